"""Live streams through real ffmpegs: takeovers join to one video, in step with its audio, that finish accepts."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from tests.ffmpeg.feeds import fed, in_blocks, joined
from tests.ffmpeg.golden import NEVER, beep_seconds, shown_numbers, start_and_duration
from tests.ffmpeg.sources import AAC, Card, make
from tests.ffmpeg.sources import run as ffmpeg
from transcoding.commands.livestream import FEED, livestream_command
from transcoding.containers.live_segments import LiveAudioSegmenter, LivePart, LiveVideoSegmenter
from transcoding.containers.segments import Segment
from transcoding.containers.verification import PublishedRun, verify_rendition
from transcoding.flv.facts import IncomingFacts
from transcoding.grid import FrameGrid
from transcoding.planning.latency import Latency
from transcoding.planning.livestream import AUDIO, LadderRequest, plan_livestream
from transcoding.planning.plan import EncodePlan

NEW, OLD = "", "/usr/bin/ffmpeg"
SECONDS = 9
AUDIO_LATE = 0.000_375
"""A beep begins with a zero, and is loud some samples later."""
TWO_MS = 0.002


def a_plan(rate: Fraction, latency: Latency, encoder: str = "x264") -> EncodePlan:
    facts = IncomingFacts(width=320, height=180, rate=rate, video_codec="h264")
    return plan_livestream(facts, LadderRequest(encoder=encoder, preset="ultrafast"), latency=latency)


@dataclass(kw_only=True)
class Run:
    """One run of ffmpeg, and all that segmenters gave of it."""

    video: LiveVideoSegmenter
    audio: LiveAudioSegmenter
    given: dict[str, list[LivePart | Segment]]

    def segments(self, name: str) -> list[Segment]:
        return [each for each in self.given[name] if isinstance(each, Segment)]


def encode(plan: EncodePlan, stream: bytes, shown: Fraction, *, first_segment: int = 0, binary: str = NEW) -> Run:
    (rung,), (track,) = plan.renditions, plan.audio
    run = Run(
        video=LiveVideoSegmenter(plan, rung, first_segment=first_segment),
        audio=LiveAudioSegmenter(plan, track, first_segment=first_segment),
        given={rung.name: [], track.name: []},
    )
    runner = FfmpegRunner(ExecutionConfig(ffmpeg_path=binary), LimitConfig())
    runner.run(
        livestream_command(plan, first_segment=first_segment, starts_at=shown),
        {
            rung.name: lambda data: run.given[rung.name].extend(run.video.feed(data)),
            track.name: lambda data: run.given[track.name].extend(run.audio.feed(data)),
        },
        inputs={FEED: in_blocks(stream)},
        stop=NEVER,
    )
    return run


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Fraction], Path]:
    """A publisher's stream of nine seconds and a bit, with frames in another order than shown, by its rate."""
    folder = tmp_path_factory.mktemp("cards")

    @cache
    def of(rate: Fraction) -> Path:
        gop = str(FrameGrid(rate=rate, total_frames=None).gop_frames)
        options = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", gop, "-sc_threshold", "0", "-crf", "20")
        return make(folder / f"{rate.numerator}.flv", Card(rate=rate, frames=int(rate * SECONDS) + 5), *options, *AAC)

    return of


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind of run."""

    binary: str = NEW
    encoder: str = "x264"
    rate: Fraction = Fraction(30)
    latency: Latency = Latency.NORMAL


CASES = {
    "normal": Case(),
    "low": Case(latency=Latency.LOW),
    "normal, older ffmpeg": Case(binary=OLD),
    "low, older ffmpeg": Case(binary=OLD, latency=Latency.LOW),
    "low, NTSC": Case(latency=Latency.LOW, rate=Fraction(30000, 1001)),
    "low, PAL": Case(latency=Latency.LOW, rate=Fraction(25)),
    "low, HEVC": Case(latency=Latency.LOW, rate=Fraction(25), encoder="x265"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_takeover_goes_on_as_if_nothing_had_happened(
    case: Case, card: Callable[[Fraction], Path], tmp_path: Path
) -> None:
    rate, binary = case.rate, case.binary
    plan = a_plan(rate, case.latency, case.encoder)
    (rung,) = plan.renditions
    first = encode(plan, *fed(card(rate)), binary=binary)
    later = encode(plan, *fed(card(rate), key_frame=2), first_segment=2, binary=binary)
    assert (first.video.init, first.audio.init) == (later.video.init, later.audio.init)
    tail = later.video.end()
    assert tail
    video = [*first.segments(rung.name)[:2], *later.segments(rung.name), tail]
    total = sum(segment.frames for segment in video)
    ending = later.audio.end(total)
    audio = [*first.segments(AUDIO)[:2], *(s for s in later.segments(AUDIO) if s.number < ending[0].number), *ending]
    for name, segments, init in ((rung.name, video, first.video.init), (AUDIO, audio, first.audio.init)):
        verify_rendition(plan.closed(total), name, [as_run(segments)])
        (tmp_path / f"{name}.mp4").write_bytes((init or b"") + b"".join(segment.data for segment in segments))
    assert shown_numbers(tmp_path / f"{rung.name}.mp4") == list(range(int(rate * SECONDS) + 5))
    assert start_and_duration(tmp_path / f"{rung.name}.mp4")[0] == 0
    beeps = [seconds - AUDIO_LATE for seconds in beep_seconds(tmp_path / f"{AUDIO}.mp4")]
    assert beeps == pytest.approx([1, 3, 5, 7, 9], abs=TWO_MS)


def as_run(segments: list[Segment]) -> PublishedRun:
    return PublishedRun(
        first_segment=0,
        durations=[segment.duration for segment in segments],
        frames=[segment.frames for segment in segments],
        sizes=[len(segment.data) for segment in segments],
    )


def test_a_stream_that_was_cut_goes_on_in_step(card: Callable[[Fraction], Path], tmp_path: Path) -> None:
    """The worker was unavailable for two seconds: they are lost of both, and of nothing else."""
    plan = a_plan(Fraction(30), Latency.NORMAL)
    (rung,) = plan.renditions
    first = encode(plan, *fed(card(Fraction(30))))
    later = encode(plan, *fed(card(Fraction(30)), key_frame=3), first_segment=2)
    for name, init in ((rung.name, first.video.init), (AUDIO, first.audio.init)):
        segments = [*first.segments(name)[:2], *later.segments(name)]
        (tmp_path / f"{name}.mp4").write_bytes((init or b"") + b"".join(segment.data for segment in segments))
    assert shown_numbers(tmp_path / f"{rung.name}.mp4") == [*range(120), *range(180, 240)]
    beeps = [seconds - AUDIO_LATE for seconds in beep_seconds(tmp_path / f"{AUDIO}.mp4")]
    assert beeps == pytest.approx([1, 3, 5], abs=TWO_MS)


def test_a_run_may_begin_within_what_is_fed(card: Callable[[Fraction], Path], tmp_path: Path) -> None:
    """As when an encoder died: its successor gets what was fed since a key frame, and begins with a whole segment."""
    plan = a_plan(Fraction(25), Latency.NORMAL)
    (rung,) = plan.renditions
    stream, shown = fed(card(Fraction(25)), key_frame=1)
    whole = encode(plan, stream, shown, first_segment=1)
    run = encode(plan, stream, shown + 2, first_segment=2)
    assert run.video.init == whole.video.init
    assert [segment.number for segment in run.segments(rung.name)] == [2, 3]
    (tmp_path / "later.mp4").write_bytes((run.video.init or b"") + run.segments(rung.name)[0].data)
    assert shown_numbers(tmp_path / "later.mp4") == list(range(100, 150))


@pytest.mark.parametrize("latency", list(Latency))
def test_parts_are_there_in_low_latency_alone_and_join_to_segments(
    latency: Latency, card: Callable[[Fraction], Path]
) -> None:
    plan = a_plan(Fraction(25), latency)
    run = encode(plan, *fed(card(Fraction(25))))
    for name in (plan.renditions[0].name, AUDIO):
        parts = [each for each in run.given[name] if isinstance(each, LivePart)]
        assert bool(parts) == (latency is Latency.LOW)
        for segment in run.segments(name) if parts else []:
            own = [part for part in parts if part.number == segment.number]
            assert segment.data == b"".join(part.data for part in own)
            assert [part.index for part in own] == [0, 1, 2, 3]
            assert own[0].independent


@pytest.mark.parametrize("binary", [NEW, OLD], ids=["new", "old"])
def test_frames_of_another_size_are_fitted_into_the_usual_one(binary: str, tmp_path: Path) -> None:
    options = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-crf", "20")
    card = Card(rate=Fraction(25), frames=50)
    wide = make(tmp_path / "wide.flv", card, *options, *AAC)
    square = make(tmp_path / "square.flv", replace(card, width=240, height=240), *options, *AAC)
    plan = a_plan(Fraction(25), Latency.NORMAL)
    run = encode(plan, *joined((wide, 0), (square, 2000)), binary=binary)
    first, later = run.segments(plan.renditions[0].name)
    (tmp_path / "fitted.mp4").write_bytes((run.video.init or b"") + first.data + later.data)
    assert len(shown_sides := side(tmp_path / "fitted.mp4")) == 100
    assert shown_sides[25] > 30
    assert shown_sides[75] < 30, "a bar beside what is square"


def side(path: Path) -> bytes:
    """The lightness of the lower left of every frame."""
    chosen = ("-vf", "crop=50:60:10:110,scale=1:1:flags=area,format=gray", "-fps_mode", "passthrough")
    return ffmpeg(["-i", f"file:{path}", "-map", "0:v:0", *chosen, "-f", "rawvideo", "-"])
