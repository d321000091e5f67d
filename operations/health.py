"""Health of what a process depends on, and alerts about the platform as a whole."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from coordination.wiring import server
from jobs.rules.steps import SERVED_BY
from observability.health import BackgroundCheck, Check, Health, MigrationsApplied, check_database, worst_of
from operations.statistics import FailingEndpoint, FailingPurges, NodeHealth, QueueLoad, RecentJobs
from operations.wiring import store
from storage.errors import ObjectNotFound

WAIT_SECONDS = 2.0
MAX_WAITING = 1000
MAX_FAILURE_RATE = 0.1
MIN_ENDED = 10
"""Below this, a share of failures says nothing."""
MAX_SILENT_SECONDS = 120.0
MAX_QUARANTINED = 100
WEBHOOK_WINDOW_SECONDS = 24 * 3600
"""Receivers are noticed on the day on which they fail."""
_NO_OBJECT = "health/none"


@cache
def dependency_checks(*, with_store: bool = True) -> Sequence[BackgroundCheck]:
    """List the dependencies of this process: without the database nothing works, without the others less well.

    `with_store` False: the process has no use for the object store, and perhaps no way to it.
    """
    checks = [
        Check(name="database", probe=check_database, required=True),
        Check(name="migrations", probe=MigrationsApplied(), required=True),
    ]
    if with_store:
        checks.append(Check(name="store", probe=_store_answers, required=False))
    if redis := server():
        checks.append(Check(name="redis", probe=redis.ping, required=False))
    return [BackgroundCheck(check) for check in checks]


def _store_answers() -> None:
    """Raise when the store does not answer, or does not know us."""
    try:
        store().get(_NO_OBJECT)
    except ObjectNotFound:
        return


NO_ISOLATION = "none"
"""Form of isolation of a node that has none."""
USER_ISOLATION = "uid"
"""Form of isolation that needs Landlock to keep files apart from each other that everybody may read."""


class AlertCode(StrEnum):
    QUEUE_LONG = "queue_long"
    NO_WORKER = "no_worker"
    JOBS_FAIL = "jobs_fail"
    QUARANTINE_FULL = "quarantine_full"
    WORKER_SILENT = "worker_silent"
    STORE = "store"
    REDIS = "redis"
    PURGES_FAIL = "purges_fail"
    WEBHOOKS_FAIL = "webhooks_fail"
    NOT_ISOLATED = "not_isolated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a person should look at."""

    code: AlertCode
    detail: str


NO_PURGES = FailingPurges(steps=0, error="")


def alerts(  # noqa: PLR0913 - each number by its name
    loads: Sequence[QueueLoad],
    nodes: Sequence[NodeHealth],
    recent: RecentJobs,
    *,
    quarantined: int,
    purges: FailingPurges = NO_PURGES,
    endpoints: Sequence[FailingEndpoint] = (),
) -> Iterator[Alert]:
    """Yield an alert for each number that is out of the ordinary."""
    for load in loads:
        if load.ready > MAX_WAITING:
            yield Alert(code=AlertCode.QUEUE_LONG, detail=f"{load.ready} steps wait in queue {load.queue}.")
        if load.ready and not any(SERVED_BY.get(load.queue, load.queue) in node.queues for node in nodes if node.alive):
            yield Alert(
                code=AlertCode.NO_WORKER,
                detail=f"{load.ready} steps wait in queue {load.queue}, which no worker serves.",
            )
    rate = recent.success_rate
    if rate is not None and recent.completed + recent.failed >= MIN_ENDED and 1 - rate > MAX_FAILURE_RATE:
        yield Alert(
            code=AlertCode.JOBS_FAIL, detail=f"{recent.failed} jobs failed in the last {recent.window_seconds} s."
        )
    if quarantined > MAX_QUARANTINED:
        yield Alert(code=AlertCode.QUARANTINE_FULL, detail=f"{quarantined} jobs are in quarantine.")
    for node in nodes:
        yield from _node_alerts(node)
    if purges.steps:
        yield Alert(
            code=AlertCode.PURGES_FAIL,
            detail=f"{purges.steps} deletions of objects keep failing, and are tried again: {purges.error}",
        )
    if failed := sum(endpoint.failed for endpoint in endpoints):
        receivers = sum(bool(endpoint.failed) for endpoint in endpoints)
        yield Alert(
            code=AlertCode.WEBHOOKS_FAIL,
            detail=f"{failed} webhook deliveries to {receivers} endpoints failed for good in the last day.",
        )


def _node_alerts(node: NodeHealth) -> Iterator[Alert]:
    if node.silent_seconds > MAX_SILENT_SECONDS:
        yield Alert(code=AlertCode.WORKER_SILENT, detail=f"{node.name} was heard of {node.silent_seconds:.0f} s ago.")
    if node.alive and node.isolation == NO_ISOLATION:
        yield Alert(
            code=AlertCode.NOT_ISOLATED,
            detail=f"{node.name} opens sources without isolation: see docs/security.md.",
        )
    if node.alive and node.isolation == USER_ISOLATION and node.landlock == 0:
        yield Alert(
            code=AlertCode.NOT_ISOLATED,
            detail=f"{node.name} isolates by users only: its kernel has no Landlock. See docs/security.md.",
        )


def dependency_alerts(checks: Iterable[BackgroundCheck], results: Mapping[str, Health]) -> Iterator[Alert]:
    """Yield an alert for each optional dependency that does not work, with the cause that its check met.

    Without the required ones nobody could read an alert.
    """
    for check in checks:
        name = check.check.name
        if results[name] is Health.DEGRADED:
            yield Alert(code=AlertCode(name), detail=check.cause or f"No answer within {WAIT_SECONDS:g} s.")


def system_state(checks: Mapping[str, Health], found: Sequence[Alert]) -> Health:
    """The worst of the checks; alerts make it degraded at least."""
    worst = worst_of(checks)
    return Health.DEGRADED if worst is Health.OK and found else worst
