from __future__ import annotations

import threading

from observability.health import FRESH_SECONDS, Check, Health, Watch, overall, verdicts


def _fails() -> None:
    raise RuntimeError("away")


def _watch(look: object, *, vital: bool = False) -> Watch:
    return Watch(Check(name="it", look=look, vital=vital))  # type: ignore[arg-type]


def test_what_answers_is_well() -> None:
    assert verdicts([_watch(lambda: None)], wait_seconds=60) == {"it": Health.OK}


def test_what_raises_is_degraded_or_failed() -> None:
    assert verdicts([_watch(_fails)], wait_seconds=60) == {"it": Health.DEGRADED}
    assert verdicts([_watch(_fails, vital=True)], wait_seconds=60) == {"it": Health.FAILED}


def test_what_hangs_is_not_waited_for_and_looked_at_once() -> None:
    answer, runs = threading.Event(), list[int]()

    def look() -> None:
        runs.append(1)
        answer.wait()

    watch = _watch(look)
    for _ in range(3):
        assert verdicts([watch], wait_seconds=0.01) == {"it": Health.DEGRADED}
    answer.set()
    assert watch.verdict(60) is Health.OK
    assert len(runs) == 1


def test_an_answer_is_good_for_a_moment() -> None:
    runs: list[int] = []
    now = [0.0]
    check = Check(name="it", look=lambda: runs.append(1), vital=False)
    watch = Watch(check, clock=lambda: now[0])
    for _ in range(100):
        verdicts([watch], wait_seconds=60)
    assert len(runs) == 1
    now[0] += FRESH_SECONDS
    verdicts([watch], wait_seconds=60)
    assert len(runs) == 2


def test_the_worst_counts() -> None:
    assert overall({"a": Health.OK, "b": Health.FAILED, "c": Health.DEGRADED}) is Health.FAILED
    assert overall({"a": Health.OK, "b": Health.DEGRADED}) is Health.DEGRADED
    assert overall({}) is Health.OK
