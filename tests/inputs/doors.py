"""Raw streams, animated images, and containers that are recognized by their structure."""

from tests.inputs.case import Case

TITLE = "Less common containers and raw streams"

CASES: tuple[Case, ...] = ()
