"""The table of inputs: one module for each area, in the order of docs/inputs.md."""

from tests.inputs import (
    audio_codecs,
    audio_only,
    clocks,
    codecs,
    colour,
    doors,
    edits,
    geometry,
    mid_stream,
    ordinary,
    rates,
    refused,
    timeline,
    tracks,
)

AREAS = (
    ordinary,
    codecs,
    audio_codecs,
    rates,
    tracks,
    timeline,
    edits,
    clocks,
    mid_stream,
    geometry,
    colour,
    doors,
    audio_only,
    refused,
)
"""Modules with a `TITLE` and `CASES`; the text of a section stands in the docstring."""

CASES = {case.key: case for area in AREAS for case in area.CASES}
