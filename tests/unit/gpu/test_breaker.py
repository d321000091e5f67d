from datetime import UTC, datetime, timedelta

from gpu.breaker import MAX_PAUSE, Breaker, after_failure, after_trial

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


def test_at_once_opens_it_after_one_failure() -> None:
    assert failed(Breaker(), at_once=True) == Breaker(failures=1, until=NOW + PAUSE)


def test_pauses_double_up_to_a_limit() -> None:
    pauses = []
    breaker = failed(Breaker(), 2)
    for _ in range(9):
        breaker = failed(breaker)
        assert breaker.until is not None
        pauses.append((breaker.until - NOW) / PAUSE)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_many_failures_give_the_longest_pause() -> None:
    assert failed(Breaker(), 500, at_once=True).until == NOW + MAX_PAUSE


def test_a_trial_closes_it_but_keeps_the_count_of_failures() -> None:
    breaker = after_trial(failed(Breaker(), 3))
    assert breaker.closed
    assert failed(breaker).until == NOW + 2 * PAUSE
