"""The findings of ffmpeg's loudnorm."""

from collections.abc import Callable

import pytest

from transcoding.commands.loudness import parse_loudness, parse_summary
from transcoding.loudness import (
    TARGET_LUFS,
    UNCHANGED,
    Correction,
    Try,
    best_gain,
    needed_correction,
    next_gain,
)
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


SUMMARY = """
[Parsed_ebur128_0 @ 0x55d440315640] Summary:

  Integrated loudness:
    I:         -23.4 LUFS
    Threshold: -33.4 LUFS

  Loudness range:
    LRA:         5.6 LU
    Threshold: -43.0 LUFS
    LRA low:   -26.0 LUFS
    LRA high:  -20.4 LUFS

  True peak:
    Peak:       -0.1 dBFS
"""


def test_the_summary_of_a_measurement_is_read() -> None:
    assert parse_summary(SUMMARY) == Loudness(integrated=-23.4, range=5.6, true_peak=-0.1)
    assert parse_summary(SUMMARY.replace("-0.1 dBFS", "-inf dBFS")) is None
    assert parse_summary("") is None


def test_quiet_audio_gets_a_gain_and_loud_peaks_a_limiter() -> None:
    assert needed_correction(Loudness(integrated=-23.0, range=5.0, true_peak=-12.0)) == Correction(gain=7.0)
    assert needed_correction(Loudness(integrated=-23.0, range=5.0, true_peak=-3.0)) == Correction(
        gain=7.0, limited=True
    )
    assert needed_correction(Loudness(integrated=-9.0, range=5.0, true_peak=1.0)) == Correction(gain=-7.0)
    assert needed_correction(Loudness(integrated=-65.0, range=0.0, true_peak=-40.0)) == UNCHANGED
    assert needed_correction(None) == UNCHANGED


def _tried(first: float, answer: Callable[[float], float]) -> list[Try]:
    tries: list[Try] = []
    gain: float | None = first
    while gain is not None:
        tries.append(Try(gain=gain, integrated=answer(gain)))
        gain = next_gain(tries)
    return tries


def test_the_gain_is_raised_until_what_the_limiter_takes_is_made_up_for() -> None:
    tries = _tried(10.0, lambda gain: -26.0 + 4.0 + 0.4 * (gain - 4.0))
    assert len(tries) <= 4
    assert abs(tries[-1].integrated - TARGET_LUFS) <= 0.15
    assert best_gain(tries) == tries[-1].gain


def test_a_single_click_is_not_turned_up_without_end() -> None:
    tries = _tried(10.0, lambda gain: -30.0 + 0.01 * gain)
    assert len(tries) <= 5
    assert max(each.gain for each in tries) <= 25.0


@pytest.mark.parametrize("said", ["", "{}", SILENT, BROKEN], ids=["nothing", "empty", "silent", "broken"])
def test_silence_and_anything_else_is_no_loudness(said: str) -> None:
    assert parse_loudness(said) is None
