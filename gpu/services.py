"""Writes of nodes about their devices. All times are the database's."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from gpu.breaker import FAILURES_ALLOWED, Breaker, after_failure, after_trial
from gpu.devices import DeviceState, FailureKind, SlotLimits, Verdict
from gpu.models import DeviceReport
from gpu.records import breakers_from, breakers_to, verdicts_from, verdicts_to

FORGOTTEN_AFTER = timedelta(minutes=5)
"""Age of a report from which on it is deleted. Before, the device is shown as stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescription:
    """A device for the report of its node."""

    state: DeviceState
    limits: SlotLimits
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)


def device_report(
    *, node: str, machine: str, descriptions: Collection[DeviceDescription], takes_jobs: bool = True
) -> None:
    """Replace the reports of a node. Deletes those of devices that it no longer has, and of silent nodes.

    Breakers stay: the node's child processes count failures in them.
    """
    with transaction.atomic():
        silent = Q(reported_at__lt=Now() - FORGOTTEN_AFTER)
        known = _locked(DeviceReport.objects.filter(Q(node=node) | silent))
        known.filter(node=node).exclude(uuid__in=[each.state.device.uuid for each in descriptions]).delete()
        known.filter(silent).delete()
        for each in descriptions:
            row = {"machine": machine, **_row(each), "takes_jobs": takes_jobs, "reported_at": Now()}
            DeviceReport.objects.update_or_create(node=node, uuid=each.state.device.uuid, defaults=row)


def _locked(rows: QuerySet[DeviceReport]) -> QuerySet[DeviceReport]:
    """Lock rows by node and UUID, the order in which all transactions lock them, so that none deadlock."""
    ids = rows.select_for_update().order_by("node", "uuid").values_list("id", flat=True)
    return DeviceReport.objects.filter(id__in=list(ids))


def _row(description: DeviceDescription) -> dict[str, object]:
    device = description.state.device
    works = any(verdict.available for verdict in description.verdicts.values())
    return {
        "index": device.index,
        "name": device.name,
        "kind": device.kind.value,
        "driver": device.driver,
        "render_node": device.render_node,
        "error": description.state.error,
        "reading": asdict(description.state.reading),
        "verdicts": verdicts_to(description.verdicts),
        "slots": description.limits.device if works else 0,
        "system_slots": description.limits.system,
    }


@transaction.atomic
def device_forget(*, node: str) -> None:
    """Delete the reports of a node that shuts down."""
    _locked(DeviceReport.objects.filter(node=node)).delete()


def device_record_failure(*, node: str, uuid: str, encoder: str, kind: FailureKind, pause_seconds: float) -> None:
    """Count a failure of a job's encode. A lost device opens the breakers of all its encoders at once.

    That a device is lost is what the program says that has read a stranger's file. So trials are requested, which
    close the breakers of a device that works long before their pause is over, unless this goes on and on.
    """
    pause = timedelta(seconds=pause_seconds)
    lost = kind is FailureKind.DEVICE_LOST

    def fail(breaker: Breaker, now: datetime) -> Breaker:
        return after_failure(breaker, now=now, pause=pause, at_once=lost)

    _change_breakers(node, uuid, None if lost else encoder, fail, doubted=encoder if lost else "")


def device_record_success(*, node: str, uuid: str, encoder: str) -> None:
    """Reset the count of failures after a job's encode. An open breaker stays open until a trial encode."""
    if DeviceReport.objects.filter(node=node, uuid=uuid, breakers__has_key=encoder).exists():
        _change_breakers(node, uuid, encoder, lambda breaker, _: Breaker(until=breaker.until))


def device_record_trial(*, node: str, uuid: str, encoder: str, passed: bool, pause_seconds: float) -> None:
    """Close the breaker after a passed trial encode, or open it for a longer pause after a failed one."""
    pause = timedelta(seconds=pause_seconds)

    def judge(breaker: Breaker, now: datetime) -> Breaker:
        return after_trial(breaker) if passed else after_failure(breaker, now=now, pause=pause, at_once=True)

    _change_breakers(node, uuid, encoder, judge)


@transaction.atomic
def device_request_trials(*, node: str = "") -> int:
    """Request new trial encodes of all encoders on a node, or on all. Returns the number of devices."""
    rows = DeviceReport.objects.filter(node=node) if node else DeviceReport.objects.all()
    return _locked(rows).update(trial_requested=True)


@transaction.atomic
def device_pop_trial_request(*, node: str) -> bool:
    """Return True if trials were requested on this node since the last call."""
    return bool(_locked(DeviceReport.objects.filter(node=node, trial_requested=True)).update(trial_requested=False))


@transaction.atomic
def _change_breakers(
    node: str, uuid: str, encoder: str | None, change: Callable[[Breaker, datetime], Breaker], *, doubted: str = ""
) -> None:
    """Change the breaker of one encoder, or of all with a verdict. Does nothing for an unknown device.

    Requests trials if the failures of the `doubted` encoder are few enough to be those of a single job.
    """
    rows = DeviceReport.objects.select_for_update(no_key=True).annotate(now=Now())
    row = rows.filter(node=node, uuid=uuid).first()
    if row is None:
        return
    breakers = breakers_from(row.breakers)
    for name in [encoder] if encoder else verdicts_from(row.verdicts):
        breakers[name] = change(breakers.get(name, Breaker()), row.now)
    row.breakers = breakers_to(breakers)
    if doubted and breakers.get(doubted, Breaker()).failures <= FAILURES_ALLOWED:
        row.trial_requested = True
    row.save(update_fields=["breakers", "trial_requested"])
