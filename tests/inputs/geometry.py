"""Rotated, mirrored, interlaced, anamorphic, cropped and odd-sized videos; slow and fast ones."""

from tests.inputs.case import Case

TITLE = "Geometry and frame rates"

CASES: tuple[Case, ...] = ()
