"""Reads of the nodes' reports about devices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F
from django.db.models.functions import Now

from gpu.breaker import Breaker
from gpu.devices import Device, DeviceKind, Reading, Verdict, in_ten_bits
from gpu.models import DeviceReport
from gpu.records import breakers_from, reading_from, verdicts_from
from gpu.selection import ANY_DEVICE, Candidate
from gpu.services import FORGOTTEN_AFTER


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDevice:
    """A device as one node reported it."""

    node: str
    machine: str
    device: Device
    reading: Reading
    error: str
    verdicts: Mapping[str, Verdict]
    breakers: Mapping[str, Breaker]
    due: frozenset[str]
    """Encoders that need a new trial encode."""
    slots: int
    system_slots: int | None
    silent_seconds: float
    """Age of the report."""
    takes_jobs: bool = True
    """Its node claims steps of jobs; that of a relay does not."""

    @property
    def usable_encoders(self) -> frozenset[str]:
        """Encoders that passed their trial encode and are not set aside."""
        if self.error:
            return frozenset()
        return frozenset(
            name
            for name, verdict in self.verdicts.items()
            if verdict.available and self.breakers.get(name, Breaker()).closed
        )

    @property
    def capabilities(self) -> frozenset[str]:
        """Its usable encoders, and those that have encoded 10 bits once more under a name that says so."""
        usable = self.usable_encoders
        return usable | {in_ten_bits(name) for name in usable if self.verdicts[name].ten_bits}


def devices_live(*, silence_seconds: float) -> list[NodeDevice]:
    """List the devices of nodes that are not silent, once per node."""
    return [each for each in devices_known() if each.silent_seconds <= silence_seconds]


def devices_for_jobs(*, silence_seconds: float) -> list[NodeDevice]:
    """List those of `devices_live` whose node claims steps of jobs."""
    return [each for each in devices_live(silence_seconds=silence_seconds) if each.takes_jobs]


def devices_known() -> list[NodeDevice]:
    """List the devices of all nodes, silent ones included, once per node, by index."""
    rows = DeviceReport.objects.filter(reported_at__gte=Now() - FORGOTTEN_AFTER)
    rows = rows.annotate(silence=Now() - F("reported_at"), now=Now()).order_by("index", "uuid", "node")
    return [_node_device(row) for row in rows]


def _node_device(row: DeviceReport) -> NodeDevice:
    verdicts, breakers = verdicts_from(row.verdicts), breakers_from(row.breakers)
    now, silence = row.now, row.silence  # type: ignore[attr-defined]  # annotated
    return NodeDevice(
        node=row.node,
        machine=row.machine,
        device=Device(
            index=row.index,
            uuid=row.uuid,
            name=row.name,
            kind=DeviceKind(row.kind),
            driver=row.driver,
            render_node=row.render_node,
        ),
        reading=reading_from(row.reading),
        error=row.error,
        verdicts=verdicts,
        breakers=breakers,
        due=_due(verdicts, breakers, now),
        slots=row.slots,
        system_slots=row.system_slots,
        silent_seconds=max(silence, timedelta()).total_seconds(),
        takes_jobs=row.takes_jobs,
    )


def _due(verdicts: Mapping[str, Verdict], breakers: Mapping[str, Breaker], now: datetime) -> frozenset[str]:
    """Choose the encoders whose pause is over, and unavailable ones without a pause, as after a busy device."""
    over = {name for name, breaker in breakers.items() if breaker.until and breaker.until <= now}
    unavailable = {name for name, verdict in verdicts.items() if not verdict.available}
    return frozenset(over | {name for name in unavailable if breakers.get(name, Breaker()).closed})


def max_encoder_sessions(encoder: str, *, silence_seconds: float, index: int = ANY_DEVICE) -> int | None:
    """Return the largest session limit of a device on which the encoder, or its 10 bits, is usable, or None."""
    limits = [
        each.slots if each.system_slots is None else min(each.slots, each.system_slots)
        for each in devices_for_jobs(silence_seconds=silence_seconds)
        if encoder in each.capabilities and each.slots and index in {ANY_DEVICE, each.device.index}
    ]
    return max(limits, default=None)


def device_indexes_known() -> frozenset[int]:
    """Return the device indexes of all nodes that claim steps of jobs."""
    return frozenset(each.device.index for each in devices_known() if each.takes_jobs)


def devices_sharing_limit(device: NodeDevice, devices: Iterable[NodeDevice]) -> frozenset[str]:
    """Return the UUIDs of the devices, itself included, that share its machine's session limit; empty: no limit."""
    if device.system_slots is None:
        return frozenset()
    return frozenset(
        each.device.uuid for each in devices if each.machine == device.machine and each.system_slots is not None
    )


def candidates(devices: Iterable[NodeDevice], *, node: str, used: Mapping[str, int]) -> list[Candidate]:
    """List a node's devices as candidates. `used`: sessions of running steps by device UUID, of all nodes."""
    live = list(devices)
    return [_candidate(each, live, used) for each in live if each.node == node]


def nodes_with_free_slots(*, silence_seconds: float, used: Mapping[str, int]) -> frozenset[str]:
    """Return the nodes with a usable encoder on a device with a free slot, whatever encoder steps require."""
    live = devices_live(silence_seconds=silence_seconds)
    return frozenset(
        node
        for node in {each.node for each in live if each.takes_jobs}
        if any(each.encoders and each.free_slots for each in candidates(live, node=node, used=used))
    )


def _candidate(device: NodeDevice, live: Iterable[NodeDevice], used: Mapping[str, int]) -> Candidate:
    uuid = device.device.uuid
    free = device.slots - used.get(uuid, 0)
    if device.system_slots is not None:
        free = min(free, device.system_slots - sum(used.get(each, 0) for each in devices_sharing_limit(device, live)))
    return Candidate(
        uuid=uuid,
        index=device.device.index,
        reading=device.reading,
        encoders=device.usable_encoders,
        used_slots=used.get(uuid, 0),
        free_slots=max(free, 0),
        healthy=not device.error,
    )
