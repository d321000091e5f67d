"""The findings of ffmpeg's loudnorm."""

import pytest

from transcoding.commands.loudness import parse_loudness
from transcoding.probing.streams import Loudness

SAID = """Output #0, null, to 'pipe:':
[Parsed_loudnorm_0 @ 0x55d4c9c0] {N}
{
	"input_i" : "-21.75",
	"input_tp" : "-18.06",
	"input_lra" : "0.00",
	"input_thresh" : "-31.75",
	"normalization_type" : "dynamic"
}
[out#0/null] video:0KiB audio:1KiB
"""


def test_the_object_at_the_end_is_read() -> None:
    assert parse_loudness(SAID) == Loudness(integrated=-21.75, range=0.0, true_peak=-18.06)


SILENT, BROKEN = SAID.replace("-21.75", "-inf"), SAID.replace("input_tp", "tp")


@pytest.mark.parametrize("said", ["", "{}", SILENT, BROKEN], ids=["nothing", "empty", "silent", "broken"])
def test_silence_and_anything_else_is_no_loudness(said: str) -> None:
    assert parse_loudness(said) is None
