"""Responses to viewers who read slowly, not at all, or were never there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.asgi import Message
from relay.engines.remux import RemuxEngine
from relay.errors import RelayError
from relay.http.connections import ABORT
from relay.http.streams import Streams
from relay.runs.run import VIEWERS_GONE
from tests.integration.relay.test_runs import (
    DEADLINE_SECONDS,
    Notes,
    engine,
    failing,
    in_loop,
    live_request,
    opening,
    registry,
    remux,
    threads_end,
)

__all__ = ["engine"]


async def staying() -> Message:
    """Receive from a client that sends nothing, and stays."""
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}


def test_a_viewer_who_does_not_read_is_dropped_and_cut_off(engine: RemuxEngine) -> None:
    notes, aborted = Notes(), []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def work() -> None:
        runs = registry(remux(engine), notes)
        streams = Streams(runs, start_seconds=DEADLINE_SECONDS, send_seconds=0.05)
        scope: dict[str, Any] = {ABORT: lambda: aborted.append(1)}
        await streams.fetched(scope, staying, send, live_request(), None, opening())
        await runs.close()

    in_loop(work())
    assert aborted == [1]
    ((code, counts),) = notes.ends
    assert (code, counts.dropped_viewers, counts.viewers) == (VIEWERS_GONE, 1, 0)
    assert threads_end()


def test_a_viewer_gets_the_whole_stream_and_its_end(engine: RemuxEngine) -> None:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def work() -> None:
        runs = registry(remux(engine), Notes())
        streams = Streams(runs, start_seconds=DEADLINE_SECONDS)
        await streams.fetched({}, staying, send, live_request(), None, opening(ends=True))
        await runs.close()

    in_loop(work())
    assert messages[0]["status"] == 200
    assert dict(messages[0]["headers"])[b"x-vodmill-encoder"] == b"aac (PyAV)"
    assert messages[-1] == {"type": "http.response.body", "body": b""}
    assert all(message["more_body"] for message in messages[1:-1])


def test_a_viewer_who_does_not_take_the_end_is_cut_off(engine: RemuxEngine) -> None:
    aborted = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await asyncio.Event().wait()

    async def work() -> None:
        runs = registry(remux(engine), Notes())
        streams = Streams(runs, start_seconds=DEADLINE_SECONDS, send_seconds=0.05)
        scope: dict[str, Any] = {ABORT: lambda: aborted.append(1)}
        await streams.fetched(scope, staying, send, live_request(), None, opening(ends=True))
        await runs.close()

    in_loop(work())
    assert aborted == [1]


def test_a_client_that_is_gone_gets_nothing(engine: RemuxEngine) -> None:
    notes = Notes()

    async def send(message: Message) -> None:
        pytest.fail(f"nobody is there for {message['type']}")

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def work() -> None:
        runs = registry(remux(engine), notes)
        await Streams(runs, start_seconds=DEADLINE_SECONDS).fetched({}, gone, send, live_request(), None, opening())
        await runs.close()

    in_loop(work())
    assert [code for code, _ in notes.ends] == [VIEWERS_GONE]


def test_a_failure_before_the_first_byte_is_raised(engine: RemuxEngine) -> None:
    async def send(message: Message) -> None:
        pytest.fail(f"no status is known, but {message['type']}")

    async def work() -> None:
        runs = registry(remux(engine), Notes())
        streams = Streams(runs, start_seconds=DEADLINE_SECONDS)
        with pytest.raises(RelayError, match="nobody"):
            await streams.fetched({}, staying, send, live_request(), None, failing(RelayError("nobody answers")))
        await runs.close()

    in_loop(work())


def test_a_viewer_who_may_not_watch_any_more_is_cut_off(engine: RemuxEngine) -> None:
    notes, aborted = Notes(), []
    dismissed = asyncio.Event()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            dismissed.set()

    async def work() -> None:
        runs = registry(remux(engine), notes)
        streams = Streams(runs, start_seconds=DEADLINE_SECONDS)
        scope: dict[str, Any] = {ABORT: lambda: aborted.append(1)}
        await streams.fetched(scope, staying, send, live_request(), None, opening(), dismissed)
        await runs.close()

    in_loop(work())
    assert aborted == [1]
    assert [code for code, _ in notes.ends] == [VIEWERS_GONE]
