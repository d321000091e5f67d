"""Limits of concurrent encoder sessions per device. Constants, since NVML has no query for them. Pure."""

from gpu.devices import Device, DeviceKind, SlotLimits

GEFORCE_SYSTEM_SLOTS = 8
"""Sessions of all consumer cards of a machine together, as in NVIDIA's drivers since January 2024."""
PROFESSIONAL_SLOTS = 16
"""Sessions of a card without a driver limit: an estimate that keeps its encoders busy and fits its memory."""
RENDER_NODE_SLOTS = 8
"""Sessions of an AMD or Intel device: an estimate, their drivers have no limit."""
_CONSUMER = ("geforce", "titan")


def slot_limits(device: Device, *, device_slots: int = 0, system_slots: int = 0) -> SlotLimits:
    """Return the session limits of a device. Arguments other than 0 override the defaults of its kind.

    Consumer cards share the machine's limit, and one of them may use all of it. `system_slots` applies to them only.
    """
    if not is_consumer(device):
        usual = PROFESSIONAL_SLOTS if device.kind is DeviceKind.NVIDIA else RENDER_NODE_SLOTS
        return SlotLimits(device=device_slots or usual)
    system = system_slots or GEFORCE_SYSTEM_SLOTS
    return SlotLimits(device=min(device_slots or system, system), system=system)


def is_consumer(device: Device) -> bool:
    """Return True for cards whose sessions the driver limits per machine."""
    return device.kind is DeviceKind.NVIDIA and any(word in device.name.lower() for word in _CONSUMER)
