"""Joined recordings, wrapped clocks, odd times, damaged and truncated files."""

from tests.inputs.case import Case

TITLE = "Clocks that restart, jump and break off"

CASES: tuple[Case, ...] = ()
