from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from observability.health import BackgroundCheck, Check, Health, run_checks
from operations.health import alerts, dependency_alerts, system_state
from operations.statistics import FailingEndpoint, FailingPurges, NodeHealth, QueueLoad, RecentJobs

IDLE = QueueLoad(queue="cpu", ready=0, delayed=0, running=0, oldest_ready_seconds=0)
NODE = NodeHealth(
    name="n1",
    state="active",
    queues=("cpu",),
    slots=2,
    busy=0,
    silent_seconds=1,
    alive=True,
    isolation="sandbox",
    landlock=0,
)
QUIET = RecentJobs(window_seconds=3600, completed=0, failed=0, cancelled=0, mean_speed=None, mean_seconds=None)


@pytest.mark.parametrize(
    ("load", "node", "recent", "codes"),
    [
        ({}, {}, {}, []),
        ({"ready": 1000}, {}, {}, []),
        ({"ready": 1001}, {}, {}, ["queue_long"]),
        ({"ready": 1, "queue": "gpu"}, {}, {}, ["no_worker"]),
        ({"ready": 1, "queue": "transfer"}, {}, {}, ["no_worker"]),
        ({"ready": 1, "queue": "transfer"}, {"queues": ("transfer",)}, {}, []),
        ({"ready": 1, "queue": "background"}, {}, {}, []),  # by the workers of `cpu`
        ({"ready": 1, "queue": "background"}, {"queues": ("transfer",)}, {}, ["no_worker"]),
        ({"ready": 1}, {"alive": False, "silent_seconds": 30}, {}, ["no_worker"]),
        ({}, {"alive": False, "silent_seconds": 121}, {}, ["worker_silent"]),
        ({}, {"isolation": "none"}, {}, ["not_isolated"]),
        ({}, {"isolation": "uid", "landlock": 0}, {}, ["not_isolated"]),
        ({}, {"isolation": "uid", "landlock": 1}, {}, []),
        ({}, {"isolation": "uid", "landlock": None}, {}, []),  # a node that does not say
        ({}, {}, {"completed": 1, "failed": 8}, []),  # too few to say anything
        ({}, {}, {"completed": 90, "failed": 10}, []),  # 10 % is allowed
        ({}, {}, {"completed": 89, "failed": 11}, ["jobs_fail"]),
        ({}, {}, {"completed": 10, "cancelled": 90}, []),
    ],
)
def test_what_is_out_of_the_ordinary_is_reported(
    load: dict[str, object], node: dict[str, object], recent: dict[str, object], codes: list[str]
) -> None:
    found = alerts([replace(IDLE, **load)], [replace(NODE, **node)], replace(QUIET, **recent), quarantined=0)  # type: ignore[arg-type]
    assert [alert.code for alert in found] == codes


def test_alerts_make_what_is_well_degraded() -> None:
    (alert,) = alerts([replace(IDLE, ready=1, queue="gpu")], [NODE], QUIET, quarantined=0)
    assert system_state({"database": Health.OK}, [alert]) is Health.DEGRADED
    assert system_state({"database": Health.FAILED}, [alert]) is Health.FAILED
    assert system_state({"database": Health.OK}, []) is Health.OK


def test_purges_and_webhooks_that_fail_are_reported() -> None:
    purges = FailingPurges(steps=2, error="storage_refused: AccessDenied")
    failing = FailingEndpoint(
        id=UUID(int=1), url="https://hooks.example/", owner="acme", state="enabled", failed=3, retried=1
    )
    retrying = replace(failing, failed=0)
    found = alerts([IDLE], [NODE], QUIET, quarantined=0, purges=purges, endpoints=[failing, retrying])
    assert [alert.code for alert in found] == ["purges_fail", "webhooks_fail"]
    assert not list(alerts([IDLE], [NODE], QUIET, quarantined=0, endpoints=[retrying]))


@pytest.mark.parametrize(("quarantined", "codes"), [(100, []), (101, ["quarantine_full"])])
def test_a_full_quarantine_is_reported(quarantined: int, codes: list[str]) -> None:
    assert [alert.code for alert in alerts([IDLE], [NODE], QUIET, quarantined=quarantined)] == codes


def test_an_optional_dependency_that_fails_is_reported_with_its_cause() -> None:
    def refuse() -> None:
        raise RuntimeError("the store refused the request")

    failing = [
        BackgroundCheck(Check(name=name, probe=refuse, required=name == "database")) for name in ("store", "database")
    ]
    found = list(dependency_alerts(failing, run_checks(failing, timeout_seconds=60)))
    assert [(alert.code, alert.detail) for alert in found] == [("store", "the store refused the request")]
    well = [BackgroundCheck(Check(name="redis", probe=lambda: None, required=False))]
    assert list(dependency_alerts(well, run_checks(well, timeout_seconds=60))) == []
