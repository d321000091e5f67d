"""Slots of the relay: steps without video or job, which only hold a session of a device.

Nobody claims such a step. The relay inserts it as running, by the check of room that claims make and under the same
lock, so that films and live streams never overbook a card. It renews the lease while its encoder runs, and deletes the
row at the end. `relay_steps_expire` deletes those of a relay that died.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from jobs.changes.wake import dispatcher_wake
from jobs.leasing.slots import DeviceOffer, sessions_free, slots_lock
from jobs.models import Step
from jobs.rules.steps import GPU_QUEUE, UNCLAIMED_KINDS, StepKind
from jobs.rules.transitions import StepState

_SHARE = """
SELECT
    (SELECT coalesce(sum(held.sessions), 0) FROM jobs_step held
     WHERE held.device = ANY(%(sharing)s) AND held.sessions > 0 AND held.lease_expires_at > clock_timestamp()
       AND held.owner_id = %(owner)s AND held.kind = %(kind)s) AS own,
    EXISTS (SELECT FROM jobs_step held
            WHERE held.device = ANY(%(sharing)s) AND held.sessions > 0 AND held.lease_expires_at > clock_timestamp()
              AND held.owner_id <> %(owner)s)
    OR EXISTS (SELECT FROM jobs_step step
               WHERE step.state = 'ready' AND step.queue = %(queue)s AND step.owner_id <> %(owner)s
                 AND step.encoder = ANY(%(encoders)s)) AS others
"""
"""Sessions of an owner's live streams on the devices under a cap, and whether others use them or wait for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayClaim:
    """The right to one session of a device, until its lease ends."""

    step_id: UUID
    encoder: str
    device: str


@transaction.atomic
def relay_step_start(  # noqa: PLR0913 - one row's facts
    *, owner_id: UUID, node: str, pid: int, encoder: str, offer: DeviceOffer, lease_seconds: float
) -> RelayClaim | None:
    """Take a session of the offered device for `lease_seconds`. None: it has none left for this owner.

    `encoder` is one of the requirements that the offer meets. A live stream lasts, and is in no queue that would take
    turns: an owner's have half of the sessions at most while others use the device or wait for one like it, and
    otherwise all but one.
    """
    if encoder not in offer.encoders:
        raise ValueError(f"device {offer.uuid} does not offer {encoder}")
    slots_lock(offer)
    if sessions_free(offer) < 1 or _has_its_share(owner_id, offer):
        return None
    step = Step.objects.create(
        owner_id=owner_id,
        kind=StepKind.RELAY,
        queue="",
        encoder=encoder,
        sessions=1,
        device=offer.uuid,
        state=StepState.RUNNING,
        rank_at=Now(),
        attempt=1,
        lease_expires_at=Now() + timedelta(seconds=lease_seconds),
        node=node,
        worker_pid=pid,
        claimed_at=Now(),
    )
    return RelayClaim(step_id=step.id, encoder=encoder, device=offer.uuid)


def _has_its_share(owner_id: UUID, offer: DeviceOffer) -> bool:
    """Tell whether the live streams of an owner hold as many sessions as they may. Call it under `slots_lock`."""
    values: dict[str, Any] = {
        "owner": owner_id,
        "sharing": list(offer.sharing),
        "encoders": list(offer.encoders),
        "kind": StepKind.RELAY,
        "queue": GPU_QUEUE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SHARE, values)
        own, others = cursor.fetchone()
    share = (offer.capacity + 1) // 2 if others else offer.capacity - 1
    return int(own) >= max(1, share)


def relay_step_renew(claim: RelayClaim, lease_seconds: float) -> bool:
    """Renew the lease: it ends `lease_seconds` from now. False: it has expired, and others may have the session."""
    live = Step.objects.filter(id=claim.step_id, lease_expires_at__gt=Now())
    return bool(live.update(lease_expires_at=Now() + timedelta(seconds=lease_seconds)))


@transaction.atomic
def relay_step_end(claim: RelayClaim) -> None:
    """Give the session back. Call it when the encoder's process is gone; a second call does nothing."""
    if Step.objects.filter(id=claim.step_id).delete()[0]:
        dispatcher_wake()


def relay_steps_expire() -> int:
    """Delete the steps of relays that died: nobody renewed their lease. Return their number."""
    expired = Step.objects.filter(state=StepState.RUNNING, lease_expires_at__lt=Now(), kind__in=UNCLAIMED_KINDS)
    return expired.delete()[0]
