"""Nothing is lost where one of them starts earlier or ends later than the other."""

from tests.inputs.case import Case

TITLE = "Audio and video that do not start or end together"

CASES: tuple[Case, ...] = ()
