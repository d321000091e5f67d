"""Files without any video."""

from tests.inputs.case import Case

TITLE = "Audio alone"

CASES: tuple[Case, ...] = ()
