"""The slots of GPUs: the leases of running steps are the only book about who uses them.

A step holds its sessions for as long as its lease lives, whatever became of it meanwhile: a worker that lost the
database has ended its ffmpeg before that, by the contract of its lease, and to end a cancelled one may take as long.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Now

from jobs.models import Step

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOffer:
    """What a worker can claim for: a device, the sessions it may have, and the encoders that it has proven.

    `machine` and `system_slots` are those of a cap over several devices of one machine, `sharing` the devices under it.
    """

    uuid: str
    slots: int
    encoders: frozenset[str]
    machine: str = ""
    system_slots: int | None = None
    sharing: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "sharing", self.sharing | {self.uuid})

    @property
    def shared_slots(self) -> int:
        """Sessions that it and those under the same cap may have together."""
        return self.slots if self.system_slots is None else self.system_slots

    @property
    def capacity(self) -> int:
        """Sessions that a step can have there when nothing else runs."""
        return min(self.slots, self.shared_slots)


def slots_lock(offer: DeviceOffer) -> None:
    """Let nobody else claim for this device, or under the same cap, until the transaction ends.

    What is counted must be counted by a later statement: one that began to wait for the lock sees what was true before.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [f"gpu slots: {offer.machine if offer.system_slots is not None else offer.uuid}"])


def sessions_used() -> Mapping[str, int]:
    """Sessions of our own on every device that has any, by its uuid."""
    held = Step.objects.filter(sessions__gt=0, lease_expires_at__gt=Now())
    return dict(held.values("device").annotate(used=Sum("sessions")).values_list("device", "used"))
