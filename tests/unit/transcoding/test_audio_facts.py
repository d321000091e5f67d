"""Facts about sources without video: their length, their grid, and what is refused."""

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.unit.transcoding.builders import a_video_track, an_audio_track, ffprobe_json
from transcoding.errors import InputRejected
from transcoding.probing.audio_facts import audio_facts
from transcoding.probing.description import describe, describe_headers
from transcoding.probing.facts import Condition, SourceFacts
from transcoding.probing.media import parse_ffprobe
from transcoding.probing.warnings import Notice, SourceWarning
from transcoding.timeline import AudioSpan

COVER = a_video_track(codec_name="mjpeg", width=640, height=640, disposition={"attached_pic": 1})


def facts(time: AudioSpan | None, *tracks: dict[str, object], demuxer: str = "flac") -> SourceFacts:
    media = parse_ffprobe(ffprobe_json(*tracks))
    return audio_facts(replace(media, audio=(replace(media.audio[0], span=time),)), demuxer=demuxer)


def a_time(start: str = "0", end: str = "10", *, filled: str = "") -> AudioSpan:
    length = Fraction(filled) if filled else Fraction(end) - Fraction(start)
    return AudioSpan(start=Fraction(start), end=Fraction(end), filled=length, delay=Fraction(0))


def test_a_cover_is_no_video() -> None:
    found = facts(a_time(), an_audio_track(codec_name="mp3"), COVER)
    assert (found.has_video, found.video_stream, found.remuxed) == (False, None, False)
    assert [track.codec for track in found.audio] == ["mp3"]
    assert found.warnings == (
        Notice(code=SourceWarning.NO_VIDEO),
        Notice(code=SourceWarning.STREAMS_IGNORED, count=1),
    )
    with pytest.raises(ValueError, match="no video"):
        _ = found.video
    assert SourceFacts.from_json(found.to_json()) == found


def test_a_video_beside_the_audio_is_one_whatever_its_codec() -> None:
    """It would be lost without a word, so the file is refused where it cannot be decoded."""
    media = parse_ffprobe(ffprobe_json(an_audio_track(), a_video_track(codec_name="svq3")))
    assert media.video.codec == "svq3"


def test_neither_video_nor_audio_is_refused() -> None:
    for tracks in ((), (COVER,), (an_audio_track(codec_name="atrac3"),)):
        with pytest.raises(InputRejected, match="no video track, and no audio track"):
            parse_ffprobe(ffprobe_json(*tracks))


@pytest.mark.parametrize(
    ("time", "announced", "positions"),
    [
        (a_time(), None, 250),
        (a_time("0.025", "10.025"), None, 250),  # what is heard, wherever that is
        (a_time("-0.02", "9.98"), None, 250),
        (a_time("0", "10.0004"), None, 250),  # rounded by the container
        (a_time("0", "10.01"), None, 251),  # the last samples are not cut off
        (a_time("0", "10.05"), "10.000", 250),  # padding that the header leaves out
        (a_time("0", "10.5"), "10.000", 263),
        (a_time("0", "9.5"), "10.000", 238),  # the header is an estimate
        (a_time("0", "0.001"), None, 1),
        (a_time("36000", "36010"), "10.000", 250),
        (a_time("36000", "36010"), "36010.000", 250),  # Matroska announces the end on its own clock
    ],
)
def test_the_grid_reaches_to_the_last_sample(time: AudioSpan, announced: str | None, positions: int) -> None:
    track = an_audio_track(**({"duration": announced} if announced else {}))
    found = facts(time, track)
    assert (found.total_frames, found.rate, found.first) == (positions, Fraction(25), time.start)


@pytest.mark.parametrize(
    ("time", "announced", "said"),
    [
        (None, None, "nothing that can be decoded"),
        (a_time("5", "5"), None, "nothing that can be decoded"),
        (a_time("0", "40"), "100.0", "truncated: 40.0 of 100.0 s"),
        (a_time("0", "40000", filled="10"), None, "10 s of audio, but would become 40000 s"),
    ],
)
def test_what_is_empty_cut_off_or_nearly_all_gap_is_refused(
    time: AudioSpan | None, announced: str | None, said: str
) -> None:
    with pytest.raises(InputRejected, match=said):
        facts(time, an_audio_track(**({"duration": announced} if announced else {})))


def test_documents_describe_the_audio() -> None:
    shown = describe("mp3", facts(a_time(), an_audio_track(codec_name="mp3"), COVER))
    expected = {"duration": 10.0, "width": None, "height": None, "codec": "mp3", "bitrate": None, "frame_rate": None}
    assert {name: shown[name] for name in expected} == expected
    assert (shown["audio_codec"], shown["audio_channels"]) == ("mp3", 2)
    media = parse_ffprobe(ffprobe_json(an_audio_track(codec_name="mp3", duration="10.0"), COVER))
    assert describe_headers(media) == expected


@pytest.mark.parametrize("announced", ["1000000000000.000000", "8589934560000000000.000000"])
def test_a_length_of_years_in_the_headers_is_none(announced: str) -> None:
    media = parse_ffprobe(ffprobe_json(an_audio_track(codec_name="mp3", duration=announced)))
    assert describe_headers(media)["duration"] is None


def test_the_length_of_a_raw_stream_is_an_estimate() -> None:
    """MP3 without an index: ffprobe takes the bit rate of the first frames for that of all."""
    track = an_audio_track(codec_name="mp3", duration="3600")
    assert facts(a_time("0", "60"), track, demuxer="mp3").total_frames == 1500


def test_a_small_tail_that_is_missing_is_a_warning() -> None:
    media = parse_ffprobe(ffprobe_json(an_audio_track(duration="10.0")))
    media = replace(media, audio=(replace(media.audio[0], span=a_time("0", "9.5")),))
    found = audio_facts(media, demuxer="mov", condition=Condition(missing=Fraction(1, 20)))
    notice = Notice(code=SourceWarning.TRUNCATED, seconds=Fraction(1, 2))
    assert found.warnings == (Notice(code=SourceWarning.NO_VIDEO), notice)
