"""Frames and audio whose size, shape, format or layout changes within the file."""

from tests.inputs.case import Case

TITLE = "Changes in mid-stream"

CASES: tuple[Case, ...] = ()
