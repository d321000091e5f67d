"""Color spaces, ranges and pixel formats; HDR and alpha."""

from tests.inputs.case import Case

TITLE = "Color"

CASES: tuple[Case, ...] = ()
