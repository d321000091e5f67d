"""Runs with real engines: one for all viewers, replaced before the first byte, and gone after the last one."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings

from execution.daemons import poll_until
from execution.remuxing.pool import RemuxPool
from execution.streaming import StreamRunner
from relay.engines.engine import (
    Attempt,
    Attempts,
    EngineError,
    EngineFacts,
    EngineKind,
    EngineRequest,
    EngineRun,
    Fallback,
)
from relay.engines.remux import RemuxEngine, RemuxMode
from relay.errors import SourceSilent, StartTimeout
from relay.metrics import SessionCounts
from relay.runs.registry import Opens, Registry, RunLimits
from relay.runs.run import REQUESTED, SOURCE_ENDED, VIEWERS_GONE, LiveRequest, Run
from relay.runs.viewers import Outcome, Viewer
from relay.sources.source import Source, SourceStats
from tests.live_media import Live, measured, stream_of
from tests.live_runs import open_files
from transcoding.errors import TranscodeError

FILM = Live(seconds=4, audio="mp2")
OWNER = UUID(int=1)
DEADLINE_SECONDS = 120
LIMITS = RunLimits(
    max_runs=3, max_runs_per_owner=2, max_runs_per_host=2, start_seconds=DEADLINE_SECONDS, linger_seconds=0
)


class Memory:
    """A source in memory. It stays open after its last byte until it is closed, or ends there."""

    container = "mpegts"

    def __init__(self, stream: bytes, *, ends: bool) -> None:
        self.stats = SourceStats()
        self._stream = stream
        self._ends = ends
        self._closed = threading.Event()

    def blocks(self) -> Iterator[bytes]:
        for start in range(0, len(self._stream), 1 << 14):
            block = self._stream[start : start + (1 << 14)]
            self.stats.bytes += len(block)
            yield block
        if not self._ends:
            self._closed.wait()

    def close(self) -> None:
        self._closed.set()


@dataclass
class Ways:
    """Attempts in a fixed order."""

    ways: list[Attempt]
    failures: list[TranscodeError] = field(default_factory=list)

    def next(self, failure: TranscodeError | None = None) -> Attempt:
        if failure:
            self.failures.append(failure)
        if not self.ways:
            raise self.failures[-1]
        return self.ways.pop(0)


@dataclass
class Broken:
    """A way whose engine reads nothing, and fails."""

    encoder: str = "h264_vaapi"
    fallback: Fallback | None = None

    def start(self) -> EngineRun:
        return BrokenRun()


class BrokenRun:
    encoder = "h264_vaapi"

    def __init__(self) -> None:
        source, self.input = os.pipe()
        self.output, target = os.pipe()
        os.close(target)
        os.close(source)

    def facts(self) -> EngineFacts:
        return EngineFacts()

    def wait(self, seconds: float | None = None) -> bool:
        raise EngineError("the driver is gone", code="hardware_unavailable")

    def end(self) -> None:
        """Nothing is left."""


@dataclass
class Replaced:
    """A way that is not the preferred one."""

    way: Attempt
    fallback: Fallback | None

    @property
    def encoder(self) -> str:
        return self.way.encoder

    def start(self) -> EngineRun:
        return self.way.start()


@dataclass
class Notes:
    """Records in memory."""

    ends: list[tuple[str, SessionCounts]] = field(default_factory=list)
    first: list[tuple[str, str]] = field(default_factory=list)

    async def started(self, run: Run) -> None:
        await asyncio.sleep(0)

    def first_byte(self, session_id: UUID, encoder: str, fallback: Fallback | None) -> None:
        self.first.append((encoder, fallback.code if fallback else ""))

    def ended(self, session_id: UUID, outcome: Outcome, counts: SessionCounts) -> None:
        self.ends.append((outcome.code, counts))


@pytest.fixture(scope="module")
def engine() -> Iterator[RemuxEngine]:
    config = settings.TRANSCODER
    runner = StreamRunner(config.execution, config.limits)
    engine = RemuxEngine(RemuxPool(config.execution), runner, mode=RemuxMode.NATIVE)
    yield engine
    engine.close()


def remux(engine: RemuxEngine) -> Callable[[EngineRequest, UUID], Attempts]:
    return lambda request, owner_id: engine.attempts(request, owner_id=owner_id)


def live_request(number: int = 1, *, host: str = "receiver.example", owner: UUID = OWNER) -> LiveRequest:
    return LiveRequest(owner_id=owner, kind=EngineKind.REMUX, source_url=f"http://{host}/{number}")


def opening(*, ends: bool = False, stream: bytes | None = None) -> Opens:
    def opens(_: threading.Event) -> Source:
        return Memory(stream_of(FILM) if stream is None else stream, ends=ends)

    return opens


def failing(error: Exception) -> Opens:
    def opens(_: threading.Event) -> Source:
        raise error

    return opens


def silent(ended: threading.Event) -> Source:
    ended.wait()
    raise SourceSilent("nothing came")


def in_loop(work: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await work

    asyncio.run(bounded())


@contextmanager
def nothing_left() -> Iterator[None]:
    """Check that no descriptor and no thread is left of what ran inside."""
    before = open_files()
    yield
    assert poll_until(lambda: open_files() == before, DEADLINE_SECONDS), (before, open_files())
    assert threads_end()


def live_threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("live-"))


def threads_end() -> bool:
    """Wait for the threads of ended runs: each ends a moment after its last call."""
    return poll_until(lambda: not live_threads(), DEADLINE_SECONDS)


async def everything(run: Run, viewer: Viewer) -> bytes:
    taken = b""
    while (block := await run.read(viewer)) is not None:
        taken += block
    return taken


async def gone(run: Run) -> None:
    await run.over.wait()
    while live_threads():  # noqa: ASYNC110 - a thread ends a moment after its last call
        await asyncio.sleep(0.01)


def registry(ways: Any, notes: Notes, **limits: Any) -> Registry:  # noqa: ANN401 - of the limits' fields
    values = {name: getattr(LIMITS, name) for name in LIMITS.__slots__} | limits
    return Registry(ways=ways, records=notes, limits=RunLimits(**values))


def test_viewers_of_one_source_share_a_run(engine: RemuxEngine) -> None:
    notes = Notes()

    async def work() -> None:
        runs = registry(remux(engine), notes)
        joined = [runs.join(live_request(), key_id=None, opens=opening(ends=True)) for _ in range(5)]
        assert len({run for run, _ in joined}) == len(runs.runs) == 1
        taken = await asyncio.gather(*(everything(run, viewer) for run, viewer in joined))
        run, viewer = joined[0]
        assert viewer.outcome == Outcome(SOURCE_ENDED)
        assert len({bytes(each) for each in taken}) == 1
        assert measured(taken[0]).offsets()
        await gone(run)
        assert not runs.runs

    in_loop(work())
    assert notes.first == [("aac (PyAV)", "")]
    ((code, counts),) = notes.ends
    assert code == SOURCE_ENDED
    assert counts.bytes_in == len(stream_of(FILM))


def test_the_last_viewer_to_leave_ends_the_run(engine: RemuxEngine) -> None:
    notes = Notes()

    async def work() -> None:
        runs = registry(remux(engine), notes)
        run, first = runs.join(live_request(), key_id=None, opens=opening())
        _, second = runs.join(live_request(), key_id=None, opens=opening())
        assert await run.read(first)
        run.leave(first)
        assert run.outcome is None
        run.leave(second)
        await gone(run)
        assert not runs.runs

    with nothing_left():
        in_loop(work())
    assert [code for code, _ in notes.ends] == [VIEWERS_GONE]


def test_a_run_that_lingers_is_found_again(engine: RemuxEngine) -> None:
    notes = Notes()

    async def work() -> None:
        runs = registry(remux(engine), notes, linger_seconds=0.2)
        run, viewer = runs.join(live_request(), key_id=None, opens=opening())
        assert await run.read(viewer)
        run.leave(viewer)
        again, viewer = runs.join(live_request(), key_id=None, opens=opening())
        assert again is run
        run.leave(viewer)
        await gone(run)

    in_loop(work())
    assert [code for code, _ in notes.ends] == [VIEWERS_GONE]


def test_an_engine_that_fails_is_replaced_over_the_same_bytes(engine: RemuxEngine) -> None:
    notes = Notes()
    fallback = Fallback(code="hardware_unavailable", text="the driver is gone")
    found: list[Ways] = []

    def ways(request: EngineRequest, owner_id: UUID) -> Attempts:
        found.append(Ways([Broken(), Broken(), Replaced(engine.attempts(request, owner_id=owner_id).next(), fallback)]))
        return found[0]

    async def work() -> None:
        runs = registry(ways, notes)
        run, viewer = runs.join(live_request(), key_id=None, opens=opening(ends=True))
        assert len(measured(await everything(run, viewer)).flashes) == len(measured(stream_of(FILM)).flashes)
        await gone(run)

    in_loop(work())
    assert [failure.code for failure in found[0].failures] == ["hardware_unavailable"] * 2
    assert notes.first == [("aac (PyAV)", "hardware_unavailable")]


def test_without_another_way_the_viewer_gets_the_failure(engine: RemuxEngine) -> None:
    async def work() -> None:
        runs = registry(lambda *_: Ways([Broken()]), Notes())
        run, viewer = runs.join(live_request(), key_id=None, opens=opening())
        assert await run.read(viewer) is None
        assert viewer.outcome is not None
        assert viewer.outcome.code == "hardware_unavailable"
        await gone(run)

    in_loop(work())


@pytest.mark.parametrize("stream", [b"", b"G" + bytes(187)])
def test_a_source_without_anything_is_an_error(engine: RemuxEngine, stream: bytes) -> None:
    async def work() -> None:
        runs = registry(remux(engine), Notes())
        run, viewer = runs.join(live_request(), key_id=None, opens=opening(ends=True, stream=stream))
        assert await run.read(viewer) is None
        assert viewer.outcome is not None
        assert viewer.outcome.code in {"source_ended", "source_not_media"}
        await gone(run)

    in_loop(work())


def test_the_start_is_bounded_and_a_silent_source_is_left(engine: RemuxEngine) -> None:
    notes = Notes()

    async def work() -> None:
        runs = registry(remux(engine), notes, start_seconds=0.2)
        run, viewer = runs.join(live_request(), key_id=None, opens=silent)
        assert await run.read(viewer) is None
        assert viewer.outcome is not None
        assert isinstance(viewer.outcome.error, StartTimeout)
        await gone(run)

    in_loop(work())
    assert [code for code, _ in notes.ends] == ["start_timeout"]


def test_an_error_of_the_source_reaches_every_viewer(engine: RemuxEngine) -> None:
    async def work() -> None:
        runs = registry(remux(engine), Notes())
        error = SourceSilent("nothing came")
        joined = [runs.join(live_request(), key_id=None, opens=failing(error)) for _ in range(2)]
        for run, viewer in joined:
            assert await run.read(viewer) is None
            assert viewer.outcome == Outcome("source_silent", error)

    in_loop(work())


def test_a_run_ends_on_request_with_what_waits(engine: RemuxEngine) -> None:
    async def work() -> None:
        runs = registry(remux(engine), Notes())
        run, viewer = runs.join(live_request(), key_id=None, opens=opening())
        assert await run.read(viewer)
        runs.end([run.id], Outcome(REQUESTED))
        await everything(run, viewer)
        assert viewer.outcome == Outcome(REQUESTED)
        await gone(run)

    in_loop(work())


def test_owners_share_nothing(engine: RemuxEngine) -> None:
    async def work() -> None:
        runs = registry(remux(engine), Notes())
        run, _ = runs.join(live_request(), key_id=None, opens=silent)
        other, _ = runs.join(live_request(owner=UUID(int=2)), key_id=None, opens=silent)
        assert run is not other
        await runs.close()

    in_loop(work())


def test_nothing_is_left_of_many_runs(engine: RemuxEngine) -> None:
    async def once(runs: Registry, number: int) -> None:
        run, viewer = runs.join(live_request(number), key_id=UUID(int=number), opens=opening())
        if number % 2:
            assert await run.read(viewer)
        run.leave(viewer)
        await gone(run)

    async def work() -> None:
        runs = registry(remux(engine), Notes())
        for number in range(10):
            await once(runs, number)

    in_loop(work())
    with nothing_left():
        in_loop(work())
