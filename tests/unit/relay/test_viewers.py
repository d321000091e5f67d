"""Queues of viewers, and what a run does with those that do not read."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any
from uuid import UUID

import pytest

from relay.engines.engine import EngineKind
from relay.runs.joining import Piece
from relay.runs.run import REQUESTED, LiveRequest, Run
from relay.runs.viewers import ENOUGH_BYTES, QUEUE_BYTES, TOO_SLOW, Outcome, Viewer

REQUEST = LiveRequest(owner_id=UUID(int=1), kind=EngineKind.REMUX, source_url="http://receiver.example/1")


class Throttled:
    """A conversion that notes whether it is held."""

    def __init__(self) -> None:
        self.held = False
        self.stopped = False
        self.delivered_bytes = 0

    def hold(self) -> None:
        self.held = True

    def resume(self) -> None:
        self.held = False

    def stop(self) -> None:
        self.stopped = True

    def delivered(self, pieces: Sequence[Piece]) -> None:
        self.delivered_bytes += sum(len(piece.data) for piece in pieces)


def run_of(idle: list[Run]) -> tuple[Run, Throttled]:
    run, conversion = Run(REQUEST, key_id=None, host="receiver.example", on_idle=idle.append), Throttled()
    run.conversion = conversion  # type: ignore[assignment]  # all that a run does with one here
    return run, conversion


def in_loop(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_a_viewer_begins_with_the_tables_at_the_next_point() -> None:
    async def work() -> None:
        viewer = Viewer()
        assert viewer.offer(Piece(b"middle"))
        assert viewer.offer(Piece(b"frame", b"tables"))
        assert viewer.offer(Piece(b"more", b"tables"))
        assert await viewer.next() == b"tablesframemore"

    in_loop(work())


def test_what_waits_is_read_before_the_end() -> None:
    async def work() -> None:
        viewer = Viewer()
        viewer.offer(Piece(b"frame", b""))
        viewer.close(Outcome(REQUESTED))
        viewer.close(Outcome(TOO_SLOW))
        assert await viewer.next() == b"frame"
        assert await viewer.next() is None
        assert viewer.outcome == Outcome(REQUESTED)

    in_loop(work())


def test_a_viewer_who_is_far_behind_another_is_dropped() -> None:
    async def work() -> None:
        run, conversion = run_of([])
        slow, quick = run.add(), run.add()
        block = bytes(QUEUE_BYTES // 16)
        for _ in range(20):
            run.deliver([Piece(block, b"")])
            assert await run.read(quick)
        assert slow.outcome is not None
        assert (slow.outcome.code, slow.outcome.is_broken) == (TOO_SLOW, True)
        assert await run.read(slow) is None
        assert quick.outcome is None
        assert not conversion.held
        assert (run.dropped_viewers, run.viewers) == (1, 1)

    in_loop(work())


def test_the_engine_waits_while_every_viewer_has_enough() -> None:
    async def work() -> None:
        run, conversion = run_of([])
        viewers = [run.add(), run.add()]
        run.deliver([Piece(bytes(ENOUGH_BYTES), b"")])
        before = conversion.held
        await run.read(viewers[0])
        assert (before, conversion.held) == (True, False)
        assert all(viewer.outcome is None for viewer in viewers)

    in_loop(work())


def test_a_viewer_who_leaves_lets_the_engine_go_on_for_the_others() -> None:
    async def work() -> None:
        idle: list[Run] = []
        run, conversion = run_of(idle)
        viewer = run.add()
        run.deliver([Piece(bytes(ENOUGH_BYTES), b"")])
        late = run.add()
        assert not conversion.held
        run.leave(viewer)
        assert not idle
        run.leave(late)
        run.leave(late)
        assert idle == [run]

    in_loop(work())


@pytest.mark.parametrize("error", [None, ValueError("broken")])
def test_the_first_reason_for_an_end_counts(error: Exception | None) -> None:
    async def work() -> None:
        run, conversion = run_of([])
        viewer = run.add()
        run.stop(Outcome(REQUESTED))
        run.ended(error)
        assert conversion.stopped
        assert run.outcome == viewer.outcome == Outcome(REQUESTED)
        assert run.over.is_set()
        assert run.add().outcome == Outcome(REQUESTED)

    in_loop(work())
