"""What the nodes' reports say of devices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F
from django.db.models.functions import Now

from gpu.breaker import Breaker
from gpu.devices import Device, DeviceKind, Reading, Verdict
from gpu.models import DeviceReport
from gpu.records import breakers_from, reading_from, verdicts_from
from gpu.selection import ANY_DEVICE, Candidate
from gpu.services import FORGOTTEN_AFTER


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDevice:
    """A device as one node reported it, `silent_seconds` ago; `due` are encoders that are to be tried again."""

    node: str
    machine: str
    device: Device
    reading: Reading
    error: str
    verdicts: Mapping[str, Verdict]
    breakers: Mapping[str, Breaker]
    due: frozenset[str]
    slots: int
    system_slots: int | None
    silent_seconds: float

    @property
    def proven(self) -> frozenset[str]:
        """Encoders that may be used: available by their trial, and not set aside."""
        if self.error:
            return frozenset()
        return frozenset(
            name
            for name, verdict in self.verdicts.items()
            if verdict.available and self.breakers.get(name, Breaker()).closed
        )


def devices_live(*, silence_seconds: float) -> list[NodeDevice]:
    """Every device as each node reported it lately."""
    return [each for each in devices_known() if each.silent_seconds <= silence_seconds]


def devices_known() -> list[NodeDevice]:
    """Those of nodes that fell silent too, until they are forgotten; by index."""
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
    )


def _due(verdicts: Mapping[str, Verdict], breakers: Mapping[str, Breaker], now: datetime) -> frozenset[str]:
    """Encoders whose pause is over, and those that are not available and have none, as when the device was busy."""
    over = {name for name, breaker in breakers.items() if breaker.until and breaker.until <= now}
    unproven = {name for name, verdict in verdicts.items() if not verdict.available}
    return frozenset(over | {name for name in unproven if breakers.get(name, Breaker()).closed})


def encoder_sessions(encoder: str, *, silence_seconds: float, index: int = ANY_DEVICE) -> int | None:
    """The most sessions that one device offers, of those that have proven this encoder. None: there is none."""
    able = [
        each.slots if each.system_slots is None else min(each.slots, each.system_slots)
        for each in devices_live(silence_seconds=silence_seconds)
        if encoder in each.proven and each.slots and index in {ANY_DEVICE, each.device.index}
    ]
    return max(able, default=None)


def device_indexes_known() -> frozenset[int]:
    """Indexes that some node has a device at."""
    return frozenset(each.device.index for each in devices_known())


def sharing(device: NodeDevice, devices: Iterable[NodeDevice]) -> frozenset[str]:
    """The devices, itself included, whose sessions count against one cap of their machine; empty: it is under none."""
    if device.system_slots is None:
        return frozenset()
    return frozenset(
        each.device.uuid for each in devices if each.machine == device.machine and each.system_slots is not None
    )


def candidates(devices: Iterable[NodeDevice], *, node: str, used: Mapping[str, int]) -> list[Candidate]:
    """A node's devices, ready for the choice. `used`: our sessions on each device by uuid, whoever's they are."""
    live = list(devices)
    return [_candidate(each, live, used) for each in live if each.node == node]


def nodes_with_room(*, silence_seconds: float, used: Mapping[str, int]) -> frozenset[str]:
    """Nodes that have a device which works and has a free slot; what steps need is not looked at."""
    live = devices_live(silence_seconds=silence_seconds)
    return frozenset(
        node
        for node in {each.node for each in live}
        if any(each.encoders and each.free_slots for each in candidates(live, node=node, used=used))
    )


def _candidate(device: NodeDevice, live: Iterable[NodeDevice], used: Mapping[str, int]) -> Candidate:
    uuid = device.device.uuid
    free = device.slots - used.get(uuid, 0)
    if device.system_slots is not None:
        free = min(free, device.system_slots - sum(used.get(each, 0) for each in sharing(device, live)))
    return Candidate(
        uuid=uuid,
        index=device.device.index,
        reading=device.reading,
        encoders=device.proven,
        used_slots=used.get(uuid, 0),
        free_slots=max(free, 0),
        healthy=not device.error,
    )
