"""The GPU status as a document; names and `_mb` are those of the systems that it takes the place of."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from rest_framework import serializers

from gpu.breaker import Breaker
from gpu.selectors import NodeDevice
from transcoding.encoders import ENCODERS, Family


class EncoderDocument(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="As ffmpeg calls it.")
    available = serializers.BooleanField(help_text="A trial encode worked, and it is not set aside.")
    reason = serializers.CharField(help_text="Why it is not available; empty when it is.")
    driver = serializers.CharField()
    ffmpeg_version = serializers.CharField()
    retry_at = serializers.DateTimeField(allow_null=True, help_text="When it is tried again; null: it works.")


class SlotsDocument(serializers.Serializer[Any]):
    used = serializers.IntegerField(help_text="Sessions of steps that run there.")
    total = serializers.IntegerField(help_text="Sessions that the device may have; 0 where nothing works.")
    system_total = serializers.IntegerField(
        allow_null=True, help_text="Sessions of all consumer cards of the machine together; null: not limited."
    )


class DeviceDocument(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    name = serializers.CharField()
    memory_total_mb = serializers.IntegerField(allow_null=True, help_text="MiB; null, here and below: not told.")
    memory_used_mb = serializers.IntegerField(allow_null=True)
    memory_free_mb = serializers.IntegerField(allow_null=True)
    utilization_percent = serializers.IntegerField(allow_null=True)
    encoder_utilization_percent = serializers.IntegerField(allow_null=True)
    temperature_c = serializers.IntegerField(allow_null=True)
    power_watts = serializers.FloatField(allow_null=True)
    sessions = serializers.IntegerField(allow_null=True, help_text="Encoder sessions of anybody, as the driver counts.")
    uuid = serializers.CharField()
    kind = serializers.ChoiceField(["nvidia", "amd", "intel"])
    driver = serializers.CharField()
    node = serializers.CharField(help_text="The worker node that described it so.")
    nodes = serializers.ListField(child=serializers.CharField(), help_text="All worker nodes that can use it.")
    stale = serializers.BooleanField(help_text="Its nodes fell silent; it is dropped from this list soon.")
    error = serializers.CharField(help_text="Why nothing can be asked of it; empty when it answers.")
    slots = SlotsDocument()
    encoders = EncoderDocument(many=True)


class GpuStatusDocument(serializers.Serializer[Any]):
    available = serializers.BooleanField(help_text="A device that answers has an encoder that works.")
    nvenc_supported = serializers.BooleanField(help_text="One of those encoders is NVENC.")
    device_count = serializers.IntegerField()
    devices = DeviceDocument(many=True)


def gpu_status_document(
    known: Iterable[NodeDevice], *, silence_seconds: float, slots_used: Mapping[str, int]
) -> dict[str, Any]:
    """One entry a device, however many nodes describe it: as the first of those that are not silent does."""
    by_device = sorted(known, key=lambda each: (each.device.uuid, each.silent_seconds > silence_seconds, each.node))
    devices, working = [], set()
    for uuid, group in groupby(by_device, key=lambda each: each.device.uuid):
        described = list(group)
        stale = described[0].silent_seconds > silence_seconds
        used = slots_used.get(uuid, 0)
        devices.append(_device(described[0], [each.node for each in described], stale=stale, used=used))
        working |= set() if stale else set(described[0].proven)
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
        "available": name in found.proven,
        "reason": verdict.reason or set_aside or found.error,
        "driver": verdict.driver,
        "ffmpeg_version": verdict.ffmpeg_version,
        "retry_at": breaker.until,
    }
