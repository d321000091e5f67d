from __future__ import annotations

import time

import pytest

from workers.node.consumer_probe import Hearing, Pulse


class Clock:
    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hearing(clock: Clock) -> Hearing:
    return Hearing(Pulse(), quiet_seconds=10, deaf_seconds=60, clock=clock)


def _ask(hearing: Hearing, clock: Clock, seconds: float) -> None:
    """Let so much time pass, asking whenever it is due; the broker takes every ticket."""
    for _ in range(int(seconds)):
        clock.now += 1
        if hearing.ask():
            hearing.sent()


def test_a_node_is_asked_only_after_a_while_of_silence(hearing: Hearing, clock: Clock) -> None:
    clock.now += 9
    assert not hearing.ask()
    clock.now += 1
    assert hearing.ask()
    assert not hearing.ask(), "the answer is given time"


def test_a_node_that_answers_nothing_is_deaf(hearing: Hearing, clock: Clock) -> None:
    _ask(hearing, clock, 69)
    assert not hearing.deaf
    _ask(hearing, clock, 1)
    assert hearing.deaf, "10 s of silence and 60 s without an answer"


def test_any_ticket_is_an_answer(clock: Clock) -> None:
    pulse = Pulse()
    hearing = Hearing(pulse, quiet_seconds=10, deaf_seconds=60, clock=clock)
    clock.now -= 30  # so that a beat of the real clock comes after what was asked
    _ask(hearing, clock, 15)
    pulse.beat()
    clock.now += 100
    assert not hearing.deaf


def test_an_answer_that_comes_before_the_broker_confirms_counts(clock: Clock) -> None:
    pulse = Pulse()
    hearing = Hearing(pulse, quiet_seconds=0, deaf_seconds=60, clock=clock)
    assert hearing.ask()
    pulse.beat()
    clock.now += 1
    hearing.sent()
    clock.now += 100
    assert not hearing.deaf


def test_a_broker_that_is_away_excuses(hearing: Hearing, clock: Clock) -> None:
    _ask(hearing, clock, 60)
    hearing.excuse()
    clock.now += 1000
    assert not hearing.deaf
    _ask(hearing, clock, 61)
    assert hearing.deaf, "only what was sent since then counts"
