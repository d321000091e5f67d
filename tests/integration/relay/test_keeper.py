"""A relay's node stays alive, and follows orders, whatever fails beside."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import pytest

from jobs.models import Node, NodeState
from relay.http.keeper import RelayKeeper
from relay.http.recording import SessionRecords
from relay.metrics import SessionCounts
from relay.records.services import session_request_end
from relay.runs.viewers import Outcome
from tests.rows import a_live_session

NODE = "relay-1"


class Broken:
    """A registry without counts, which notes what is ended."""

    ordered_to_drain = False

    def __init__(self) -> None:
        self.ended: list[UUID] = []
        self.twice = asyncio.Event()

    def counts(self) -> Mapping[UUID, SessionCounts]:
        raise ValueError("no counts")

    def end(self, ids: Collection[UUID], outcome: Outcome) -> None:
        self.ended.extend(ids)
        if len(self.ended) > 1 and self.ordered_to_drain:
            self.twice.set()


def fail() -> None:
    raise OSError("no process")


@pytest.mark.django_db(transaction=True)
def test_a_node_is_kept_whatever_cannot_be_reported() -> None:
    session_id = a_live_session(node=NODE)
    session_request_end(session_id=session_id)

    async def work() -> None:
        registry: Any = Broken()
        records = SessionRecords(node=NODE)
        keeper = RelayKeeper(
            registry,
            records,
            node=NODE,
            slots=1,
            heartbeat_seconds=0,
            info={},
            ensure_reporter=fail,
            report_seconds=0.01,
        )
        keeper.start()

        def drain() -> int:
            return Node.objects.filter(name=NODE).update(state=NodeState.DRAINING)

        try:
            async with asyncio.timeout(60):
                while not await records.call(drain):  # noqa: ASYNC110 - the keeper writes the row
                    await asyncio.sleep(0.01)
                await registry.twice.wait()
        finally:
            await keeper.close()
            records.close()
        assert set(registry.ended) == {session_id}

    asyncio.run(work())
    assert not Node.objects.filter(name=NODE).exists()
