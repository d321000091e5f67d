from collections.abc import Sequence
from fractions import Fraction

import pytest

from transcoding.probing.audio_timing import AudioMeter
from transcoding.timeline import AudioSpan


def measured(lines: Sequence[str], *, codec: str = "aac", ticks: int = 48_000) -> AudioSpan | None:
    meter = AudioMeter(codec=codec, sample_rate=48_000, time_base=Fraction(1, ticks))
    assert len(list(meter.packets(lines))) == len(lines)
    return meter.span


def a_span(start: int, end: int, *, filled: int) -> AudioSpan:
    """The time of samples at 48 kHz, where the container tells priming apart."""
    return AudioSpan(
        start=Fraction(start, 48_000), end=Fraction(end, 48_000), filled=Fraction(filled, 48_000), delay=Fraction(0)
    )


def test_what_an_edit_list_hides_is_no_audio() -> None:
    """MP4 of ffmpeg: a frame of priming, and a short one at the end."""
    lines = ["-1024,1024,21,48,KD,1024,0", "", "0,1024,4,8725,K_", "1024,1024,4,8730,K_", "2048,512,4,9000,K_"]
    assert measured([line for line in lines if line]) == a_span(0, 2560, filled=2560)


def test_priming_and_padding_are_cut_off_where_the_container_tells_them() -> None:
    """Opus in Matroska, which counts milliseconds: 6.5 of them before the first sample, 2.8 behind the last one."""
    lines = ["-7,20,3,993,K_,312,0", "14,20,3,9665,K_", "34,20,3,9700,K_,0,136"]
    found = measured(lines, codec="opus", ticks=1000)
    assert found is not None
    assert (found.start, found.end, found.delay) == (Fraction(-1, 1000), Fraction(51, 1000), Fraction(0))


def test_a_gap_behind_the_priming_is_no_audio_either() -> None:
    """MP4 in fragments, by ffmpeg: the frame of priming has no length, and the next one comes with the video."""
    found = measured(["0,N/A,4,0,K_", *(f"{3840 + 1024 * number},1024,4,0,K_" for number in range(3))])
    assert found is not None
    assert (found.start, found.delay) == (Fraction(0), Fraction(3840 + 2112, 48_000))


@pytest.mark.parametrize(("codec", "delay"), [("aac", 2112), ("mp3", 1681), ("pcm_s16le", 0)])
def test_priming_of_which_nothing_is_said_is_as_long_as_usual(codec: str, delay: int) -> None:
    """A transport stream: the lines have an empty field for what is not there."""
    lines = [f"{126_000 + 1920 * number},1920,28,N/A,K_," for number in range(3)]
    found = measured(lines, codec=codec, ticks=90_000)
    length = Fraction(3 * 1920, 90_000)
    assert found == AudioSpan(
        start=Fraction(14, 10),
        end=Fraction(14, 10) + length,
        filled=length,
        delay=Fraction(round(Fraction(delay * 90_000, 48_000)), 90_000),
    )


def test_padding_that_the_length_leaves_out_is_not_cut_off_again() -> None:
    """Opus in Ogg: the last of the packets of 960 samples has 312."""
    found = measured(["-312,960,3,137,K_,312,0", "648,960,3,140,K_", "1608,312,3,143,K_,0,648"], codec="opus")
    assert found is not None
    assert (found.start, found.end) == (Fraction(0), Fraction(1920, 48_000))


def test_packets_without_lengths_last_until_the_next_one() -> None:
    """CAF: the last one lasts as long as the one before it; nothing lasts longer than a second."""
    lines = ["0,N/A,4115,190,K_", "4096,N/A,1815,4305,K_"]
    assert measured(lines, codec="alac") == a_span(0, 8192, filled=4096)
    found = measured(["0,N/A,4115,190,K_", "480000000,N/A,1815,4305,K_"])
    assert found is not None
    assert found.filled == 1


def test_a_packet_with_a_wrong_time_fills_nothing() -> None:
    found = measured(["0,1024,4,0,K_,", "48000000,1024,4,4,K_"])
    assert found is not None
    assert (found.end, found.filled) == (1000 + Fraction(1024, 48_000), Fraction(2048, 48_000))


def test_packets_need_not_be_in_order() -> None:
    assert measured(["2048,1024,4,0,KD", "1024,1024,4,4,K_", "-3072,1024,4,4,K_"]) == a_span(-3072, 2048, filled=2048)


def test_a_track_without_packets_has_no_time() -> None:
    assert measured([]) is None
    assert measured(["0,1024,4,0,KD"]) is None
