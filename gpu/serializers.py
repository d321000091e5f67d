"""The GPU status document. Field names, `_mb` included, are those of the systems that vodmill replaces."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from rest_framework import serializers

from gpu.breaker import Breaker
from gpu.devices import DeviceKind, in_ten_bits
from gpu.selectors import NodeDevice
from transcoding.encoders import ENCODERS, Family


class EncoderDocument(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="As ffmpeg calls it.")
    available = serializers.BooleanField(help_text="A trial encode worked, and it is not set aside.")
    reason = serializers.CharField(help_text="Reason why it is not available; empty when it is.")
    ten_bits = serializers.BooleanField(help_text="It encodes 10 bits, too, which renditions of high range have.")
    ten_bits_reason = serializers.CharField(
        help_text="Reason why its trial encode in 10 bits failed; empty where it did not, or there was none."
    )
    driver = serializers.CharField()
    ffmpeg_version = serializers.CharField()
    retry_at = serializers.DateTimeField(allow_null=True, help_text="Time of the next trial encode; null: it works.")


class SlotsDocument(serializers.Serializer[Any]):
    used = serializers.IntegerField(help_text="Sessions of running steps.")
    total = serializers.IntegerField(help_text="Limit of sessions on the device; 0 when no encoder works.")
    system_total = serializers.IntegerField(
        allow_null=True, help_text="Limit of sessions on all consumer cards of the machine together; null: none."
    )


class DeviceDocument(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    name = serializers.CharField()
    memory_total_mb = serializers.IntegerField(allow_null=True, help_text="In MiB. Null, here and below: not reported.")
    memory_used_mb = serializers.IntegerField(allow_null=True)
    memory_free_mb = serializers.IntegerField(allow_null=True)
    utilization_percent = serializers.IntegerField(allow_null=True)
    encoder_utilization_percent = serializers.IntegerField(allow_null=True)
    temperature_c = serializers.IntegerField(allow_null=True)
    power_watts = serializers.FloatField(allow_null=True)
    sessions = serializers.IntegerField(allow_null=True, help_text="Encoder sessions of all programs.")
    uuid = serializers.CharField()
    kind = serializers.ChoiceField([kind.value for kind in DeviceKind])
    driver = serializers.CharField()
    node = serializers.CharField(help_text="The worker node that reported this.")
    nodes = serializers.ListField(child=serializers.CharField(), help_text="All worker nodes that can use it.")
    stale = serializers.BooleanField(help_text="Its nodes stopped reporting; it is removed from this list soon.")
    error = serializers.CharField(help_text="Reason why it cannot be queried; empty when it can.")
    slots = SlotsDocument()
    encoders = EncoderDocument(many=True)


class GpuStatusDocument(serializers.Serializer[Any]):
    available = serializers.BooleanField(help_text="Some device has a working encoder.")
    nvenc_supported = serializers.BooleanField(help_text="Some device has a working NVENC encoder.")
    device_count = serializers.IntegerField()
    devices = DeviceDocument(many=True)


def gpu_status_document(
    known: Iterable[NodeDevice], *, silence_seconds: float, slots_used: Mapping[str, int]
) -> dict[str, Any]:
    """Build the document with one entry per device: of its nodes that are not silent, a report of a working encoder.

    Nodes that share a device may differ in their drivers' libraries, and jobs go to the node whose encoder works.
    """

    def shown_first(each: NodeDevice) -> tuple[str, bool, bool, str]:
        return each.device.uuid, each.silent_seconds > silence_seconds, not each.usable_encoders, each.node

    by_device = sorted(known, key=shown_first)
    devices, working = [], set()
    for uuid, group in groupby(by_device, key=lambda each: each.device.uuid):
        reports = list(group)
        stale = reports[0].silent_seconds > silence_seconds
        used = slots_used.get(uuid, 0)
        devices.append(_device(reports[0], [each.node for each in reports], stale=stale, used=used))
        working |= set() if stale else set(reports[0].usable_encoders)
    return {
        "available": bool(working),
        "nvenc_supported": any(ENCODERS[name].family is Family.NVENC for name in working if name in ENCODERS),
        "device_count": len(devices),
        "devices": sorted(devices, key=lambda each: (each["node"], each["index"], each["uuid"])),
    }


def _device(found: NodeDevice, nodes: list[str], *, stale: bool, used: int) -> dict[str, Any]:
    device, reading = found.device, found.reading
    return {
        "index": device.index,
        "name": device.name,
        "memory_total_mb": reading.memory_total_mb,
        "memory_used_mb": reading.memory_used_mb,
        "memory_free_mb": reading.memory_free_mb,
        "utilization_percent": reading.utilization_percent,
        "encoder_utilization_percent": reading.encoder_percent,
        "temperature_c": reading.temperature_c,
        "power_watts": reading.power_watts,
        "sessions": reading.sessions,
        "uuid": device.uuid,
        "kind": device.kind.value,
        "driver": device.driver,
        "node": found.node,
        "nodes": sorted(nodes),
        "stale": stale,
        "error": found.error,
        "slots": {"used": used, "total": found.slots, "system_total": found.system_slots},
        "encoders": [_encoder(found, name) for name in found.verdicts],
    }


def _encoder(found: NodeDevice, name: str) -> dict[str, Any]:
    verdict, breaker = found.verdicts[name], found.breakers.get(name, Breaker())
    set_aside = f"set aside after {breaker.failures} failures" if not breaker.closed else ""
    return {
        "name": name,
        "available": name in found.usable_encoders,
        "reason": verdict.reason or set_aside or found.error,
        "ten_bits": in_ten_bits(name) in found.capabilities,
        "ten_bits_reason": verdict.ten_bits_reason,
        "driver": verdict.driver,
        "ffmpeg_version": verdict.ffmpeg_version,
        "retry_at": breaker.until,
    }
