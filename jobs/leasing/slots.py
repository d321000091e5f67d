"""GPU slots: leases are the only record of their use.

A step holds its sessions until its lease ends, whatever its state: a worker that lost the database ends its ffmpeg
before that, and a worker whose step was cancelled may take as long.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Now

from jobs.models import Step

ROOM = """SELECT least(
        %(slots)s - coalesce(sum(held.sessions) FILTER (WHERE held.device = %(device)s), 0),
        %(shared_slots)s - coalesce(sum(held.sessions), 0)
    ) AS sessions
    FROM jobs_step held
    WHERE held.device = ANY(%(sharing)s) AND held.sessions > 0 AND held.lease_expires_at > clock_timestamp()"""
"""Query for the sessions that an offered device has left, with `room_values`: the one check of all who take slots.

A live lease is a slot, whatever became of its step: its ffmpeg may still be running.
"""

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOffer:
    """A device that a worker claims steps for."""

    uuid: str
    slots: int
    """Sessions that the device may have at a time."""
    encoders: frozenset[str]
    """The requirements that it meets: encoders that its trial encodes have verified."""
    machine: str = ""
    system_slots: int | None = None
    """A cap on the sessions of several devices of the machine together; None: there is no cap."""
    sharing: frozenset[str] = frozenset()
    """UUIDs of the devices under the cap, this one included."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sharing", self.sharing | {self.uuid})

    @property
    def shared_slots(self) -> int:
        """Return the sessions that the devices under the cap may have together."""
        return self.slots if self.system_slots is None else self.system_slots

    @property
    def capacity(self) -> int:
        """Return the sessions that a step can have on the device when nothing else runs."""
        return min(self.slots, self.shared_slots)


def slots_lock(offer: DeviceOffer) -> None:
    """Lock the slots of this device, or of all under its cap, until the transaction ends.

    Count the slots in a later statement: the one that waits for the lock has the snapshot of before.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [f"gpu slots: {offer.machine if offer.system_slots is not None else offer.uuid}"])


def room_values(offer: DeviceOffer | None) -> Mapping[str, Any]:
    """Return the parameters of `ROOM`; without an offer there is no room."""
    return {
        "device": offer.uuid if offer else "",
        "slots": offer.slots if offer else 0,
        "sharing": list(offer.sharing) if offer else [],
        "shared_slots": offer.shared_slots if offer else 0,
    }


def sessions_free(offer: DeviceOffer) -> int:
    """Count the sessions that an offered device has left. Under `slots_lock` nobody else takes them."""
    with connection.cursor() as cursor:
        cursor.execute(ROOM, room_values(offer))
        (sessions,) = cursor.fetchone()
    return int(sessions)


def sessions_used() -> Mapping[str, int]:
    """Count the sessions in use on each device that has any, by its UUID."""
    held = Step.objects.filter(sessions__gt=0, lease_expires_at__gt=Now())
    return dict(held.values("device").annotate(used=Sum("sessions")).values_list("device", "used"))
