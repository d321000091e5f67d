"""What nodes write down about their devices. Only the database's clock counts."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from gpu.breaker import Breaker, after_failure, after_trial
from gpu.devices import FailureKind, Seen, SlotLimits, Verdict
from gpu.models import DeviceReport
from gpu.records import breakers_from, breakers_to, verdicts_from, verdicts_to

FORGOTTEN_AFTER = timedelta(minutes=5)
"""How long a device whose node fell silent is shown as stale before it is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A device as its node sees it now."""

    seen: Seen
    limits: SlotLimits
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)


def device_report(*, node: str, machine: str, described: Collection[Described]) -> None:
    """Replace what a node said of its devices; of those that it no longer names, and of silent nodes, nothing is kept.

    Breakers are kept: the node's children count failures in them.
    """
    with transaction.atomic():
        silent = Q(reported_at__lt=Now() - FORGOTTEN_AFTER)
        known = _locked(DeviceReport.objects.filter(Q(node=node) | silent))
        known.filter(node=node).exclude(uuid__in=[each.seen.device.uuid for each in described]).delete()
        known.filter(silent).delete()
        for each in described:
            row = {"machine": machine, **_row(each), "reported_at": Now()}
            DeviceReport.objects.update_or_create(node=node, uuid=each.seen.device.uuid, defaults=row)


def _locked(rows: QuerySet[DeviceReport]) -> QuerySet[DeviceReport]:
    """Lock rows, in the one order in which everybody locks more than one of them."""
    ids = rows.select_for_update().order_by("node", "uuid").values_list("id", flat=True)
    return DeviceReport.objects.filter(id__in=list(ids))


def _row(described: Described) -> dict[str, object]:
    device = described.seen.device
    works = any(verdict.available for verdict in described.verdicts.values())
    return {
        "index": device.index,
        "name": device.name,
        "kind": device.kind.value,
        "driver": device.driver,
        "render_node": device.render_node,
        "error": described.seen.error,
        "reading": asdict(described.seen.reading),
        "verdicts": verdicts_to(described.verdicts),
        "slots": described.limits.device if works else 0,
        "system_slots": described.limits.system,
    }


@transaction.atomic
def device_forget(*, node: str) -> None:
    """Forget the devices of a node that ends in an orderly way."""
    _locked(DeviceReport.objects.filter(node=node)).delete()


def device_note_failure(*, node: str, uuid: str, encoder: str, kind: FailureKind, pause_seconds: float) -> None:
    """Count a failure of real work. A lost device has all its encoders set aside at once, a refusal counts for one."""
    pause = timedelta(seconds=pause_seconds)
    lost = kind is FailureKind.DEVICE_LOST

    def fail(breaker: Breaker, now: datetime) -> Breaker:
        return after_failure(breaker, now=now, pause=pause, at_once=lost)

    _change_breakers(node, uuid, None if lost else encoder, fail)


def device_note_success(*, node: str, uuid: str, encoder: str) -> None:
    """Real work was encoded: earlier failures count no more. An encoder that is set aside stays so until its trial."""
    if DeviceReport.objects.filter(node=node, uuid=uuid, breakers__has_key=encoder).exists():
        _change_breakers(node, uuid, encoder, lambda breaker, _: Breaker(until=breaker.until))


def device_note_trial(*, node: str, uuid: str, encoder: str, passed: bool, pause_seconds: float) -> None:
    """A trial encode closes the breaker, or sets the encoder aside for longer than before."""
    pause = timedelta(seconds=pause_seconds)

    def judge(breaker: Breaker, now: datetime) -> Breaker:
        return after_trial(breaker) if passed else after_failure(breaker, now=now, pause=pause, at_once=True)

    _change_breakers(node, uuid, encoder, judge)


@transaction.atomic
def device_order_trials(*, node: str = "") -> int:
    """Have a node, or all of them, try every encoder again. Returns on how many devices."""
    rows = DeviceReport.objects.filter(node=node) if node else DeviceReport.objects.all()
    return _locked(rows).update(trial_wanted=True)


@transaction.atomic
def device_take_order(*, node: str) -> bool:
    """Whether trials were ordered on this node since it last asked."""
    return bool(_locked(DeviceReport.objects.filter(node=node, trial_wanted=True)).update(trial_wanted=False))


@transaction.atomic
def _change_breakers(node: str, uuid: str, encoder: str | None, change: Callable[[Breaker, datetime], Breaker]) -> None:
    """Change the breaker of one encoder, or of all that have a verdict; nothing where the device is not known."""
    rows = DeviceReport.objects.select_for_update(no_key=True).annotate(now=Now())
    row = rows.filter(node=node, uuid=uuid).first()
    if row is None:
        return
    breakers = breakers_from(row.breakers)
    for name in [encoder] if encoder else verdicts_from(row.verdicts):
        breakers[name] = change(breakers.get(name, Breaker()), row.now)
    row.breakers = breakers_to(breakers)
    row.save(update_fields=["breakers"])
