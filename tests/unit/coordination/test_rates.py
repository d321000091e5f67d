from __future__ import annotations

import pytest

from coordination.rates import Rate, RateLimiter


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    """One that counts for itself, a tenth of what is allowed."""
    return RateLimiter(None, clock=clock)


SIX = Rate(60)
"""Six a minute where every process counts for itself."""


def test_all_of_a_minute_may_come_at_once_and_no_more(limiter: RateLimiter) -> None:
    verdicts = [limiter.take("a", SIX) for _ in range(8)]
    assert [verdict.allowed for verdict in verdicts] == [True] * 6 + [False] * 2
    assert [verdict.remaining for verdict in verdicts] == [5, 4, 3, 2, 1, 0, 0, 0]
    assert verdicts[5].reset_seconds == 60
    assert verdicts[6].retry_after_seconds == 10, "one is let through every ten seconds"


def test_the_bucket_drains_steadily(limiter: RateLimiter, clock: Clock) -> None:
    for _ in range(6):
        limiter.take("a", SIX)
    clock.now += 9.9
    assert not limiter.take("a", SIX).allowed
    clock.now += 0.2
    assert limiter.take("a", SIX).allowed
    assert not limiter.take("a", SIX).allowed
    clock.now += 60
    assert limiter.take("a", SIX).remaining == 5


def test_clients_do_not_share_a_bucket(limiter: RateLimiter) -> None:
    for _ in range(6):
        limiter.take("a", SIX)
    assert limiter.take("b", SIX).allowed


def test_a_refusal_costs_nothing(limiter: RateLimiter, clock: Clock) -> None:
    for _ in range(100):
        limiter.take("a", SIX)
    clock.now += 10
    assert limiter.take("a", SIX).allowed


def test_somebody_is_always_let_through() -> None:
    assert Rate(1).stricter == Rate(1)


def test_memory_is_bounded(limiter: RateLimiter) -> None:
    for number in range(10_001):
        limiter.take(str(number), SIX)
    assert limiter.take("1", SIX).remaining == 4, "as long as there is room"
    assert limiter.take("0", SIX).remaining == 5, "whoever has not been seen for longest is forgotten"
