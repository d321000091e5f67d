"""The media contract, verified on what real sources become: opened, decoded and read back frame by frame."""

import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.ffmpeg import sources
from tests.ffmpeg.cases import ALIKE, CASES, Case
from tests.ffmpeg.conftest import Goldens
from tests.ffmpeg.golden import (
    Golden,
    beep_seconds,
    key_frame_seconds,
    probe,
    runner,
    shown_frames,
    shown_numbers,
    start_and_duration,
    transcode,
)
from transcoding.commands.remux import decode_command
from transcoding.containers.boxes import read_init
from transcoding.containers.segments import check_audio_init, check_video_init
from transcoding.containers.verification import verify_rendition
from transcoding.encoders import AAC
from transcoding.errors import VerificationFailed
from transcoding.probing.streams import Resolution

every_case = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.thorough if name in ALIKE else ()) for name in CASES]
)
HALF = Fraction(1, 2)


@every_case
def test_rate_and_length_are_those_of_the_source(name: str, golden: Goldens) -> None:
    plan = golden(name).plan
    facts, case = plan.source, CASES[name]
    assert (facts.rate, facts.constant, facts.total_frames) == (case.rate, case.constant, case.frames)
    assert plan.hold == case.held


@every_case
def test_every_rendition_shows_the_right_frame_at_every_time(name: str, golden: Goldens) -> None:
    encoded_case = golden(name)
    expected = _expected_numbers(encoded_case, CASES[name])
    for rendition in encoded_case.plan.renditions:
        assert shown_numbers(encoded_case.renditions[rendition.name].path, turned=CASES[name].turned) == expected


def _expected_numbers(encoded_case: Golden, case: Case) -> list[int]:
    """Constant sources: every frame, once, in order. Others: what the source shows in the middle of each slot."""
    if case.constant:
        return case.shown(range(case.first_number, case.first_number + case.frames))
    frames = shown_frames(encoded_case.source)
    first = frames[0][0]
    slots = [(number, (seconds - first) * case.rate) for seconds, number in frames]
    return case.shown(
        [next(number for number, position in reversed(slots) if position < slot + HALF) for slot in range(case.frames)]
    )


@every_case
def test_all_chunks_of_a_rendition_have_the_same_init_segment(name: str, golden: Goldens) -> None:
    encoded_case = golden(name)
    assert {
        rendition: len(set(encoded.inits)) for rendition, encoded in encoded_case.renditions.items()
    } == dict.fromkeys(encoded_case.renditions, 1)


@every_case
def test_init_segments_are_what_the_playlist_says(name: str, golden: Goldens) -> None:
    encoded_case = golden(name)
    for rendition in encoded_case.plan.renditions:
        check_video_init(read_init(encoded_case.renditions[rendition.name].inits[0]), rendition, encoded_case.plan)
    if encoded_case.plan.audio:
        check_audio_init(read_init(encoded_case.renditions["audio"].inits[0]), encoded_case.plan.audio[0])


@every_case
def test_all_renditions_have_their_key_frames_on_the_grid(name: str, golden: Goldens) -> None:
    encoded_case = golden(name)
    grid = encoded_case.plan.grid
    expected = [float(frame / grid.rate) for frame in range(0, grid.frame_count, grid.gop_frames)]
    for rendition in encoded_case.plan.renditions:
        found = key_frame_seconds(encoded_case.renditions[rendition.name].path)
        assert [float(seconds) for seconds in found] == pytest.approx(expected, abs=2e-6)


@every_case
def test_the_video_starts_at_0_and_lasts_as_long_as_its_frames(name: str, golden: Goldens) -> None:
    encoded_case = golden(name)
    for rendition in encoded_case.plan.renditions:
        start, duration = start_and_duration(encoded_case.renditions[rendition.name].path)
        assert start == 0
        assert float(duration) == pytest.approx(float(encoded_case.plan.grid.duration), abs=2e-6)


@every_case
def test_the_audio_starts_with_the_video(name: str, golden: Goldens) -> None:
    """ffprobe counts the frame of priming, which the edit list hides from players."""
    encoded_case = golden(name)
    assert ("audio" in encoded_case.renditions) is CASES[name].audio
    if CASES[name].audio:
        start, _ = start_and_duration(encoded_case.renditions["audio"].path)
        assert float(start) == pytest.approx(-AAC.priming_samples / AAC.sample_rate, abs=1e-3)


@every_case
def test_beeps_are_heard_while_their_frames_are_shown(name: str, golden: Goldens) -> None:
    case = CASES[name]
    if case.audio:
        received = beep_seconds(golden(name).renditions["audio"].path)
        assert received == pytest.approx(case.beeps(), abs=float(1 / case.rate))


@every_case
def test_the_finishing_proof_holds(name: str, golden: Goldens) -> None:
    encoded_case = golden(name)
    for rendition, encoded in encoded_case.renditions.items():
        totals = verify_rendition(encoded_case.plan, rendition, [encoded.as_run])
        assert totals.segments == encoded_case.plan.total_segments


@every_case
def test_the_last_segment_decodes_by_itself(name: str, golden: Goldens, tmp_path: Path) -> None:
    encoded_case = golden(name)
    rendition = encoded_case.plan.renditions[0]
    encoded, size = encoded_case.renditions[rendition.name], Resolution(width=rendition.width, height=rendition.height)
    alone = tmp_path / "alone.mp4"
    alone.write_bytes(encoded.inits[0] + encoded.segments[-1].data)
    report = runner().run(decode_command(str(alone), size), {"nothing": None}, stop=threading.Event())
    assert (report.frames, report.stderr) == (encoded.segments[-1].frames, "")


@pytest.mark.parametrize("name", ["tail_of_five_frames", "ten_frames", "to_hevc", "to_av1", "to_vp9"])
def test_the_byte_range_of_a_key_frame_decodes_to_that_frame(name: str, golden: Goldens, tmp_path: Path) -> None:
    encoded_case = golden(name)
    grid = encoded_case.plan.grid
    encoded = encoded_case.renditions[encoded_case.plan.renditions[0].name]
    for segment in encoded.segments:
        for keyframe in segment.keyframes:
            alone = tmp_path / f"{segment.number}-{keyframe.ticks}.mp4"
            alone.write_bytes(encoded.inits[0] + segment.data[keyframe.offset : keyframe.offset + keyframe.size])
            assert shown_numbers(alone) == [grid.first_frame(segment.number) + keyframe.ticks // grid.frame_ticks]
    assert sum(len(segment.keyframes) for segment in encoded.segments) == -(-grid.frame_count // grid.gop_frames)


def test_audio_that_changes_in_mid_stream_is_reported_before_it_is_published_garbled(tmp_path: Path) -> None:
    """ffmpeg builds a new filter graph for it, which begins at 0 again: the audio so far would come out as silence."""
    card = sources.Card(rate=Fraction(25), frames=125)
    mono = sources.make(tmp_path / "mono.ts", card, *sources.H264, *sources.AAC)
    later = ("-ac", "2", "-ar", "44100", "-output_ts_offset", "5.08")
    stereo = sources.make(tmp_path / "stereo.ts", replace(card, first_number=125), *sources.H264, *sources.AAC, *later)
    source = tmp_path / "source.ts"
    source.write_bytes(mono.read_bytes() + stereo.read_bytes())
    with pytest.raises(VerificationFailed, match="audio: the frame before"):
        transcode(source, tmp_path / "out")


def test_nothing_tells_where_and_with_what_a_video_was_taken(tmp_path: Path) -> None:
    tags = ["location=+52.5200+013.4050/", "comment=SECRET", "title=SECRET", "creation_time=2011-11-11T11:11:11Z"]
    options = [word for tag in tags for word in ("-metadata", tag)]
    named = ["-metadata:s:v", "handler_name=SECRET", "-metadata:s:a", "handler_name=SECRET"]
    card = sources.Card(rate=Fraction(25), frames=60)
    source = sources.make(tmp_path / "source.mp4", card, *sources.H264, *sources.AAC, *options, *named)
    assert b"SECRET" in source.read_bytes()
    for encoded in transcode(source, tmp_path / "out").renditions.values():
        data = encoded.path.read_bytes()
        assert not [word for word in (b"SECRET", b"+52.5", b"Lavf") if word in data]
        assert "2011" not in probe(encoded.path).tags
