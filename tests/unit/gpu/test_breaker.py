from datetime import UTC, datetime, timedelta

from gpu.breaker import LONGEST_PAUSE, Breaker, after_failure, after_trial

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PAUSE = timedelta(minutes=1)


def failed(breaker: Breaker, times: int = 1, *, at_once: bool = False) -> Breaker:
    for _ in range(times):
        breaker = after_failure(breaker, now=NOW, pause=PAUSE, at_once=at_once)
    return breaker


def test_a_new_breaker_is_closed() -> None:
    assert Breaker().closed


def test_two_failures_are_allowed() -> None:
    assert failed(Breaker(), 2).closed
    assert failed(Breaker(), 3) == Breaker(failures=3, until=NOW + PAUSE)


def test_a_grave_failure_is_not() -> None:
    assert failed(Breaker(), at_once=True) == Breaker(failures=1, until=NOW + PAUSE)


def test_each_further_pause_is_twice_as_long_up_to_a_limit() -> None:
    pauses = []
    breaker = failed(Breaker(), 2)
    for _ in range(9):
        breaker = failed(breaker)
        assert breaker.until is not None
        pauses.append((breaker.until - NOW) / PAUSE)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_trials_that_fail_for_ever_pause_for_the_longest() -> None:
    assert failed(Breaker(), 500, at_once=True).until == NOW + LONGEST_PAUSE


def test_a_trial_closes_it_but_the_next_failure_opens_it_for_longer() -> None:
    watched = after_trial(failed(Breaker(), 3))
    assert watched.closed
    assert failed(watched).until == NOW + 2 * PAUSE
