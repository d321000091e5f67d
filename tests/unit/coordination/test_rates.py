from __future__ import annotations

import pytest

from coordination.rates import LOCAL_DIVISOR, Rate, RateLimiter


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    """Create a limiter without Redis, which allows a tenth of the rate."""
    return RateLimiter(None, clock=clock)


SIX = Rate(60)
"""Six per minute for a process that counts for itself."""


def test_all_of_a_minute_may_come_at_once_and_no_more(limiter: RateLimiter) -> None:
    decisions = [limiter.take("a", SIX) for _ in range(8)]
    assert [decision.allowed for decision in decisions] == [True] * 6 + [False] * 2
    assert [decision.remaining for decision in decisions] == [5, 4, 3, 2, 1, 0, 0, 0]
    assert decisions[5].reset_seconds == 60
    assert decisions[6].retry_after_seconds == 10, "one is let through every ten seconds"


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


def test_one_request_per_minute_is_always_allowed() -> None:
    assert Rate(1).divided(LOCAL_DIVISOR) == Rate(1)


def test_memory_is_bounded(limiter: RateLimiter) -> None:
    for number in range(10_001):
        limiter.take(str(number), SIX)
    assert limiter.take("1", SIX).remaining == 4, "as long as there is room"
    assert limiter.take("0", SIX).remaining == 5, "whoever has not been seen for longest is forgotten"
