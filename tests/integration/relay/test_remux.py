"""Remuxes by PyAV in jailed processes: what comes out is measured against what went in."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.isolation import NotIsolated, jail_of
from execution.process import descendant_pids, is_running
from execution.remuxing.pool import RemuxPool
from execution.remuxing.process import MAX_STREAMS
from execution.streaming import StreamRunner
from relay.engines.engine import Attempt, EngineError, EngineFacts, EngineKind, EngineRequest, EngineRun
from relay.engines.remux import Native, RemuxEngine, RemuxMode
from relay.engines.transcode import Tuning
from tests.live_media import (
    PACKET,
    TONE_DB,
    Live,
    Measured,
    between,
    joined,
    measured,
    stream_of,
    tone_levels,
    with_gap,
    with_jump,
    with_losses,
    without_audio,
    wrapping,
)
from tests.live_runs import Feeding, output_of, through

WAIT_SECONDS = 60
LIMITS = LimitConfig()
OWNER = UUID(int=1)


@dataclass
class Remuxed:
    """The output of a remux, and its last findings."""

    stream: bytes
    facts: EngineFacts


def request(container: str = "mpegts") -> EngineRequest:
    return EngineRequest(kind=EngineKind.REMUX, container=container)


@pytest.fixture(scope="module")
def engine() -> Iterator[RemuxEngine]:
    config = ExecutionConfig()
    engine = RemuxEngine(RemuxPool(config, max_processes=1), StreamRunner(config, LIMITS), mode=RemuxMode.NATIVE)
    yield engine
    engine.close()


Start = Callable[..., EngineRun]


@pytest.fixture
def start(engine: RemuxEngine) -> Start:
    return lambda container="mpegts": engine.attempts(request(container), owner_id=OWNER).next().start()


Remux = Callable[..., Remuxed]


@pytest.fixture
def remux(start: Start) -> Remux:
    def done(stream: bytes, container: str = "mpegts") -> Remuxed:
        run = start(container)
        taken = through(run, stream)
        run.wait()
        return Remuxed(taken, run.facts())

    return done


def in_step(found: Measured, *, pairs: int, seconds: float = 0.005) -> bool:
    """Tell whether so many beeps come with their flashes."""
    offsets = found.offsets()
    return len(offsets) >= pairs and all(abs(offset) <= seconds for offset in offsets)


@pytest.mark.parametrize(("audio", "layout"), [("mp2", "stereo"), ("ac3", "5.1"), ("eac3", "5.1"), ("aac", "5.1")])
def test_tones_come_out_as_loud_as_they_went_in(remux: Remux, audio: str, layout: str) -> None:
    done = remux(stream_of(Live(seconds=3, audio=audio, layout=layout, tones=True)))
    left, right = tone_levels(done.stream)
    assert abs(left[440] - TONE_DB) < 1
    assert abs(right[1000] - TONE_DB) < 1
    assert left[1000] < TONE_DB - 40
    assert right[440] < TONE_DB - 40
    assert done.facts.decode_errors == 0


@pytest.mark.parametrize(("video", "audio", "layout"), [("h264", "mp2", "stereo"), ("mpeg2", "ac3", "5.1")])
def test_beeps_stay_with_their_flashes(remux: Remux, video: str, audio: str, layout: str) -> None:
    done = remux(stream_of(Live(seconds=12, video=video, audio=audio, layout=layout)))
    found = measured(done.stream)
    assert found.frames == 300
    assert in_step(found, pairs=11)
    assert (found.sample_rate, done.facts) == (48_000, EngineFacts(drift_ms=0))


@pytest.mark.thorough
@pytest.mark.parametrize("share", [0, 0.0015], ids=["whole", "lossy"])
def test_beeps_stay_with_their_flashes_for_ten_minutes(remux: Remux, share: float) -> None:
    stream = with_losses(stream_of(Live(seconds=600, video="mpeg2", audio="ac3", layout="5.1")), share)
    found = measured(remux(stream).stream)
    offsets = found.offsets()
    off = [offset for offset in offsets if abs(offset) > 0.005]  # the start of a beep was lost, or that of a flash
    assert len(offsets) > 580
    assert len(off) <= share * 20 * len(offsets)
    assert abs(offsets[-1]) <= 0.005
    assert found.audio_times[1] == pytest.approx(found.video_times[1], abs=0.1)


@pytest.mark.parametrize("container", ["flv", "mp4", "mpegts"])
def test_audio_that_is_what_we_give_is_copied(remux: Remux, container: str) -> None:
    stream = stream_of(Live(seconds=6, audio="aac", container=container))
    done = remux(stream, container)
    found = measured(done.stream)
    assert found.frames == 150
    assert found.samples == pytest.approx(measured(stream).samples, abs=4096)
    assert in_step(found, pairs=5)


@pytest.mark.parametrize("bitrate", [None, 64_000])
def test_a_bit_rate_that_was_requested_is_encoded(engine: RemuxEngine, bitrate: int | None) -> None:
    stream = engine.pool.start("mpegts", owner=OWNER, audio_bitrate=bitrate)
    assert through(stream, stream_of(Live(seconds=2, audio="aac")))
    stream.wait()
    assert stream.started
    assert stream.started.copies_audio is (bitrate is None)


def test_hevc_is_copied(remux: Remux) -> None:
    found = measured(remux(stream_of(Live(seconds=4, video="hevc", audio="eac3"))).stream)
    assert (found.frames, in_step(found, pairs=3)) == (100, True)


@pytest.fixture(scope="module")
def source() -> bytes:
    return stream_of(Live(seconds=12))


def test_a_gap_of_two_seconds_is_kept_and_filled_with_silence(remux: Remux, source: bytes) -> None:
    done = remux(with_gap(source, 5, 2))
    found = measured(done.stream)
    assert in_step(found, pairs=8)
    assert done.facts.silence_ms == pytest.approx(2000, abs=50)
    assert found.audio_times[1] - found.audio_times[0] == pytest.approx(12, abs=0.1)


@pytest.mark.parametrize("seconds", [100, 3, -1, -5])
def test_a_jump_of_the_clock_moves_both_streams_alike(remux: Remux, source: bytes, seconds: int) -> None:
    done = remux(with_jump(source, 6, seconds))
    found = measured(done.stream)
    assert in_step(found, pairs=11)
    assert done.facts.restarts == 1
    assert found.video_times[1] - found.video_times[0] == pytest.approx(11.96, abs=0.05)


def test_a_clock_that_wraps_goes_on(remux: Remux, source: bytes) -> None:
    done = remux(wrapping(source, 6))
    assert in_step(measured(done.stream), pairs=11)
    assert done.facts.restarts == 0


def test_a_change_of_the_channels_is_followed(remux: Remux) -> None:
    parts = [Live(seconds=4, audio="ac3", layout=layout) for layout in ("stereo", "5.1", "stereo")]
    done = remux(joined(*parts))
    found = measured(done.stream)
    assert in_step(found, pairs=9)
    assert found.audio_times[1] - found.audio_times[0] == pytest.approx(12, abs=0.1)


def test_lost_packets_shift_nothing(remux: Remux, source: bytes) -> None:
    done = remux(with_losses(source, 0.0015))
    found = measured(done.stream)
    assert in_step(found, pairs=9)
    assert done.facts.silence_ms > 0
    assert found.audio_times[1] == pytest.approx(found.video_times[1], abs=0.1)


def test_missing_audio_is_filled_with_silence_while_the_video_goes_on(remux: Remux, source: bytes) -> None:
    done = remux(without_audio(source, 4, 8))
    assert in_step(measured(done.stream), pairs=7)
    assert done.facts.silence_ms == pytest.approx(4000, abs=50)


@pytest.mark.parametrize(("video", "audio"), [("h264", ""), ("", "mp2")])
def test_a_source_may_have_one_stream_only(remux: Remux, video: str, audio: str) -> None:
    found = measured(remux(stream_of(Live(seconds=4, video=video, audio=audio))).stream)
    assert (found.frames > 0, found.samples > 0) == (bool(video), bool(audio))


def test_a_source_may_start_anywhere(remux: Remux, source: bytes) -> None:
    middle = source[100 * PACKET + 77 :]
    assert in_step(measured(remux(middle).stream), pairs=9)


@pytest.mark.parametrize(
    ("stream", "code"),
    [(b"", "source_ended"), (b"<html>" * 10_000, "source_not_media"), (os.urandom(3 << 20), "source_not_media")],
    ids=["nothing", "html", "noise"],
)
def test_a_source_that_is_no_media_is_refused(remux: Remux, stream: bytes, code: str) -> None:
    with pytest.raises(EngineError) as refused:
        remux(stream)
    assert (refused.value.code, refused.value.source_at_fault) == (code, True)


def test_a_source_that_turns_into_noise_for_ever_fails(start: Start, source: bytes) -> None:
    run = start()
    feeding = Feeding(run, source + os.urandom(20 << 20), endless=True)
    taken = output_of(run)
    with pytest.raises(EngineError) as failed:
        run.wait()
    feeding.close()
    assert failed.value.code == "source_not_media"
    assert in_step(measured(taken), pairs=10)


def test_bytes_that_are_no_packets_are_skipped(remux: Remux, source: bytes) -> None:
    done = remux(between(source, 0, 6) + os.urandom(300_000) + between(source, 6))
    assert in_step(measured(done.stream), pairs=9)


def test_a_run_ends_at_once_on_request(start: Start, source: bytes) -> None:
    run = start()
    feeding = Feeding(run, source * 20, endless=True)
    assert output_of(run, first=True)
    run.end()
    run.end()
    run.wait()
    output_of(run)
    feeding.close()


def test_a_run_ends_when_its_reader_leaves(start: Start, source: bytes) -> None:
    run = start()
    feeding = Feeding(run, source, endless=True)  # it is silent after that
    assert output_of(run, first=True)
    os.close(run.output)
    run.wait()
    feeding.close()


def test_a_run_that_nobody_reads_can_be_ended(start: Start, source: bytes) -> None:
    run = start()
    feeding = Feeding(run, source * 20)
    run.end()
    feeding.close()
    os.close(run.output)


def test_eight_streams_share_a_process(engine: RemuxEngine, start: Start, source: bytes) -> None:
    runs = [start() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        outputs = list(threads.map(lambda run: through(run, source), runs))
    for run, output in zip(runs, outputs, strict=True):
        run.wait()
        assert output == outputs[0]
    assert in_step(measured(outputs[0]), pairs=11)
    assert len(engine.pool.pids) == 1


@pytest.mark.thorough
def test_a_process_keeps_nothing_of_streams_that_ended(engine: RemuxEngine, start: Start, source: bytes) -> None:
    changing = joined(*(Live(seconds=4, audio="ac3", layout=layout) for layout in ("stereo", "5.1", "stereo")))
    streams = [source, changing, with_losses(source, 0.05), b"<html>" * 50_000, os.urandom(1 << 20)]

    def held() -> tuple[int, int, int]:
        """Return resident bytes, threads and descriptors."""
        folder = Path(f"/proc/{descendant_pids(engine.pool.pids[0])[-1]}")
        fields = folder.joinpath("status").read_text()
        threads = int(fields.partition("Threads:")[2].split()[0])
        resident = int(fields.partition("VmRSS:")[2].split()[0]) << 10
        return resident, threads, len(list(folder.joinpath("fd").iterdir()))

    def remux_all() -> None:
        for stream in streams:
            run = start()
            through(run, stream)
            with suppress(EngineError):
                run.wait()

    for _ in range(10):
        remux_all()
    resident, *others = held()
    for _ in range(40):
        remux_all()
    after, *others_after = held()
    assert others_after == others
    assert after - resident < 4 << 20


def test_streams_of_a_killed_process_fail_and_the_next_one_starts_another(
    engine: RemuxEngine, start: Start, remux: Remux, source: bytes
) -> None:
    runs = [start() for _ in range(2)]
    feedings = [Feeding(run, source * 20, endless=True) for run in runs]
    assert all(output_of(run, first=True) for run in runs)
    (pid,) = engine.pool.pids
    os.kill(pid, signal.SIGKILL)
    for run, feeding in zip(runs, feedings, strict=True):
        with pytest.raises(EngineError) as failed:
            run.wait()
        assert (failed.value.code, failed.value.source_at_fault) == ("encoder_failed", False)
        run.end()
        output_of(run)
        feeding.close()
    assert in_step(measured(remux(source).stream), pairs=11)


def test_its_process_is_jailed(engine: RemuxEngine, remux: Remux, source: bytes) -> None:
    remux(source)
    program = descendant_pids(engine.pool.pids[0])[-1]
    status = Path(f"/proc/{program}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert b"HOME=" not in Path(f"/proc/{program}/environ").read_bytes()
    assert Path(f"/proc/{program}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


@pytest.mark.parametrize("form", ["container", "none"])
def test_it_works_in_the_other_forms_of_isolation(form: str, source: bytes) -> None:
    config = ExecutionConfig(isolation=form)
    try:
        jail_of(config)
    except NotIsolated as error:
        pytest.skip(str(error))
    pool = RemuxPool(config, max_processes=1)
    assert in_step(measured(through(Native(pool, request(), owner_id=OWNER).start(Tuning()), source)), pairs=11)
    pool.close()


def test_an_idle_process_ends(source: bytes) -> None:
    pool = RemuxPool(ExecutionConfig(), max_processes=1, idle_seconds=0)
    run = Native(pool, request(), owner_id=OWNER).start(Tuning())
    assert through(run, source)
    run.wait()
    deadline = time.monotonic() + WAIT_SECONDS
    while pool.pids and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pool.pids == []


def test_nothing_is_left_when_the_pool_is_closed(source: bytes) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    pool = RemuxPool(ExecutionConfig(), max_processes=1)
    run = Native(pool, request(), owner_id=OWNER).start(Tuning())
    feeding = Feeding(run, source * 20, endless=True)
    assert output_of(run, first=True)
    (pid,) = pool.pids
    pool.close()
    with pytest.raises(EngineError):
        run.wait()
    output_of(run)
    feeding.close()
    assert not is_running(pid)
    assert set(Path("/proc/self/fd").iterdir()) <= before


def test_a_process_takes_so_many_streams_only() -> None:
    pool = RemuxPool(ExecutionConfig(), max_processes=1)
    runs = [Native(pool, request(), owner_id=OWNER).start(Tuning()) for _ in range(MAX_STREAMS)]
    with pytest.raises(EngineError) as refused:
        Native(pool, request(), owner_id=OWNER).start(Tuning())
    assert (refused.value.code, refused.value.source_at_fault) == ("relay_full", False)
    pool.close()
    for run in runs:
        os.close(run.input)
        os.close(run.output)


def served(engine: RemuxEngine, stream: bytes) -> tuple[Attempt, bytes]:
    """Try the ways in turn, as the server does. Return the one that worked, and what came of it."""
    ways = engine.attempts(request(), owner_id=OWNER)
    failure: EngineError | None = None
    while True:
        attempt = ways.next(failure)
        try:
            run = attempt.start()
            taken = through(run, stream)
            run.wait()
        except EngineError as error:
            failure = error
        else:
            return attempt, taken


def an_engine(mode: RemuxMode, *, python: str = "") -> RemuxEngine:
    """Return an engine, with another program than Python if so requested."""
    pool = RemuxPool(ExecutionConfig(), max_processes=1, python=python or None)
    return RemuxEngine(pool, StreamRunner(ExecutionConfig(), LIMITS), mode=mode)


@pytest.mark.parametrize(
    ("mode", "python", "encoder", "fallback"),
    [
        (RemuxMode.FFMPEG, "", "copy", None),
        (RemuxMode.AUTO, "/bin/false", "copy", "encoder_failed"),
    ],
)
def test_ffmpeg_does_the_same(mode: RemuxMode, python: str, encoder: str, fallback: str | None) -> None:
    attempt, taken = served(an_engine(mode, python=python), stream_of(Live(seconds=6, audio="ac3", layout="5.1")))
    assert attempt.encoder == encoder
    assert (attempt.fallback.code if attempt.fallback else None) == fallback
    found = measured(taken)
    assert found.sample_rate == 48_000
    assert in_step(found, pairs=4)


@pytest.mark.parametrize(("mode", "python"), [(RemuxMode.NATIVE, "/bin/false"), (RemuxMode.AUTO, "")])
def test_the_other_way_is_not_tried_where_it_may_not_or_cannot_help(mode: RemuxMode, python: str) -> None:
    code = "encoder_failed" if python else "source_not_media"
    with pytest.raises(EngineError) as refused:
        served(an_engine(mode, python=python), b"<html>" * 10_000)
    assert refused.value.code == code
