"""A crowd of probes."""

from __future__ import annotations

import asyncio
import threading

import pytest

from relay.http.probes import Document, Probes

DEADLINE_SECONDS = 60


class Slow:
    """Facts that take until `go`."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.threads: list[str] = []

    def ready(self) -> Document:
        return self._found("ready")

    def health(self) -> Document:
        return self._found("health")

    def metrics(self, authorization: str | None, *, host: str) -> bytes | None:
        return str(self._found("metrics")).encode()

    def _found(self, name: str) -> Document:
        self.threads.append(threading.current_thread().name)
        assert self.go.wait(DEADLINE_SECONDS)
        return {"name": name}


@pytest.mark.parametrize("name", ["ready", "health"])
def test_a_crowd_gets_one_document(name: str) -> None:
    async def work() -> None:
        slow = Slow()
        probes = Probes(slow)
        crowd = asyncio.gather(*(getattr(probes, name)() for _ in range(50)))
        await asyncio.sleep(0)
        slow.go.set()
        assert await crowd == [{"name": name}] * 50
        assert len(slow.threads) == 1

    asyncio.run(work())


def test_probes_take_no_thread_of_those_who_have_a_key() -> None:
    async def work() -> None:
        slow = Slow()
        probes = Probes(slow)
        crowd = asyncio.gather(*(probes.metrics(None, host="127.0.0.1") for _ in range(100)))
        await asyncio.sleep(0)
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await asyncio.to_thread(lambda: "admitted") == "admitted"
        assert len(set(slow.threads)) <= 2
        slow.go.set()
        await crowd

    asyncio.run(work())
