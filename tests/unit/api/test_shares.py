"""Shares of the processor, by a clock of the test, and what they mean for turns."""

from __future__ import annotations

import asyncio

import pytest

from api.shares import BURST_SECONDS, PRESENT_SECONDS, SHARE, ProcessorShares
from api.turns import Turns
from tests.unit.api.test_turns import Clock, _idle, _party_of, _request, _run


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shares(clock: Clock) -> ProcessorShares:
    return ProcessorShares(clock)


def _serve(shares: ProcessorShares, party: str, seconds: float) -> None:
    shares.arrived(party)
    shares.charge(party, seconds)


def test_alone_nobody_exceeds_a_share(shares: ProcessorShares) -> None:
    for _ in range(100):
        _serve(shares, "a", 1.0)
    assert not shares.exceeded("a")


def test_who_uses_more_than_a_share_exceeds_it_while_another_is_served(shares: ProcessorShares, clock: Clock) -> None:
    _serve(shares, "a", BURST_SECONDS + SHARE)
    _serve(shares, "b", 0.01)
    assert shares.exceeded("a")
    assert not shares.exceeded("b")
    clock.now += PRESENT_SECONDS
    assert not shares.exceeded("a"), "the other one is gone"
    shares.arrived("b")
    assert not shares.exceeded("a"), "a second has paid for what was over"


def test_who_stays_within_its_share_never_exceeds_it(shares: ProcessorShares, clock: Clock) -> None:
    for _ in range(1000):
        _serve(shares, "a", SHARE / 10)
        _serve(shares, "b", 0.0)
        clock.now += 0.1
        assert not shares.exceeded("a")


def test_the_other_one_need_not_be_the_last(shares: ProcessorShares) -> None:
    _serve(shares, "a", 9.0)
    shares.arrived("b")
    for _ in range(5):
        shares.arrived("a")
    assert shares.exceeded("a")
    shares.arrived("c")
    assert shares.exceeded("a")


def test_who_is_within_its_share_is_forgotten(shares: ProcessorShares, clock: Clock) -> None:
    for number in range(1000):
        _serve(shares, f"p{number}", 0.001)
        clock.now += 0.01
    assert len(shares._levels) <= 1


def test_who_exceeds_its_share_has_one_turn_at_a_time(shares: ProcessorShares) -> None:
    async def test() -> None:
        turns = Turns(_party_of, total=8, limit_of=lambda _: 3, shares=shares)
        shares.arrived("b")
        running: list[str] = []
        ends = {name: asyncio.Event() for name in ("a0", "a1", "a2", "a3", "b0", "b1")}

        async def request(name: str, seconds: float = 0.0) -> None:
            async with turns.turn(_request(name[0])) as turn:
                running.append(name)
                await ends[name].wait()
                turn.processor_seconds = seconds
                running.remove(name)

        tasks = [asyncio.create_task(request(name, 1.0)) for name in ("a0", "a1", "a2", "a3")]
        await _idle()
        assert running == ["a0", "a1", "a2"]
        ends["a0"].set()
        await _idle()
        assert running == ["a1", "a2"], "a3 waits until they are done"
        tasks += [asyncio.create_task(request(name)) for name in ("b0", "b1")]
        await _idle()
        assert running == ["a1", "a2", "b0", "b1"]
        ends["a1"].set()
        ends["a2"].set()
        await _idle()
        assert running == ["b0", "b1", "a3"]
        for end in ends.values():
            end.set()
        await asyncio.gather(*tasks)

    _run(test)
