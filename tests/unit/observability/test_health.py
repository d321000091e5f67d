from __future__ import annotations

import threading

from observability.health import RESULT_TTL_SECONDS, BackgroundCheck, Check, Health, run_checks, worst_of


def _fails() -> None:
    raise RuntimeError("unavailable")


def _check(probe: object, *, required: bool = False) -> BackgroundCheck:
    return BackgroundCheck(Check(name="it", probe=probe, required=required))  # type: ignore[arg-type]


def test_a_probe_that_returns_is_ok() -> None:
    assert run_checks([_check(lambda: None)], timeout_seconds=60) == {"it": Health.OK}


def test_a_probe_that_raises_is_degraded_or_failed() -> None:
    assert run_checks([_check(_fails)], timeout_seconds=60) == {"it": Health.DEGRADED}
    assert run_checks([_check(_fails, required=True)], timeout_seconds=60) == {"it": Health.FAILED}


def test_the_cause_of_a_failure_is_kept_until_it_passes() -> None:
    failing, now = [True], [0.0]

    def probe() -> None:
        if failing.pop():
            _fails()
        failing.append(False)

    check = BackgroundCheck(Check(name="it", probe=probe, required=False), clock=lambda: now[0])
    run_checks([check], timeout_seconds=60)
    assert check.cause == "unavailable"
    failing.append(False)
    now[0] += RESULT_TTL_SECONDS
    run_checks([check], timeout_seconds=60)
    assert check.cause == ""


def test_a_probe_that_hangs_is_not_waited_for_and_runs_once() -> None:
    answer, runs = threading.Event(), list[int]()

    def probe() -> None:
        runs.append(1)
        answer.wait()

    check = _check(probe)
    for _ in range(3):
        assert run_checks([check], timeout_seconds=0.01) == {"it": Health.DEGRADED}
    answer.set()
    assert check.result(60) is Health.OK
    assert len(runs) == 1


def test_a_result_is_valid_for_a_moment() -> None:
    runs: list[int] = []
    now = [0.0]
    check = BackgroundCheck(Check(name="it", probe=lambda: runs.append(1), required=False), clock=lambda: now[0])
    for _ in range(100):
        run_checks([check], timeout_seconds=60)
    assert len(runs) == 1
    now[0] += RESULT_TTL_SECONDS
    run_checks([check], timeout_seconds=60)
    assert len(runs) == 2


def test_the_worst_counts() -> None:
    assert worst_of({"a": Health.OK, "b": Health.FAILED, "c": Health.DEGRADED}) is Health.FAILED
    assert worst_of({"a": Health.OK, "b": Health.DEGRADED}) is Health.DEGRADED
    assert worst_of({}) is Health.OK
