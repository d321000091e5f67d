from __future__ import annotations

import time

import pytest

from workers.node.consumer_probe import ConsumerProbe, LastActivity


class Clock:
    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def probe(clock: Clock) -> ConsumerProbe:
    return ConsumerProbe(LastActivity(), idle_seconds=10, timeout_seconds=60, clock=clock)


def _pass_time(probe: ConsumerProbe, clock: Clock, seconds: float) -> None:
    """Let so much time pass, sending whenever it is due; the broker accepts every ticket."""
    for _ in range(int(seconds)):
        clock.now += 1
        if probe.is_due():
            probe.sent()


def test_a_probe_is_due_only_after_a_while_without_tickets(probe: ConsumerProbe, clock: Clock) -> None:
    clock.now += 9
    assert not probe.is_due()
    clock.now += 1
    assert probe.is_due()
    assert not probe.is_due(), "the ticket is given time"


def test_a_node_that_takes_no_ticket_is_not_consuming(probe: ConsumerProbe, clock: Clock) -> None:
    _pass_time(probe, clock, 69)
    assert not probe.not_consuming
    _pass_time(probe, clock, 1)
    assert probe.not_consuming, "10 s without a ticket and 60 s without an answer"


def test_any_ticket_is_an_answer(clock: Clock) -> None:
    last_activity = LastActivity()
    probe = ConsumerProbe(last_activity, idle_seconds=10, timeout_seconds=60, clock=clock)
    clock.now -= 30  # so that an activity by the real clock comes after the probe
    _pass_time(probe, clock, 15)
    last_activity.record()
    clock.now += 100
    assert not probe.not_consuming


def test_an_answer_that_comes_before_the_broker_confirms_counts(clock: Clock) -> None:
    last_activity = LastActivity()
    probe = ConsumerProbe(last_activity, idle_seconds=0, timeout_seconds=60, clock=clock)
    assert probe.is_due()
    last_activity.record()
    clock.now += 1
    probe.sent()
    clock.now += 100
    assert not probe.not_consuming


def test_an_unavailable_broker_resets_the_probe(probe: ConsumerProbe, clock: Clock) -> None:
    _pass_time(probe, clock, 60)
    probe.reset()
    clock.now += 1000
    assert not probe.not_consuming
    _pass_time(probe, clock, 61)
    assert probe.not_consuming, "only what was sent since then counts"
