"""How many encoder sessions a device may have at a time. No driver tells: NVML has no question for it. Pure."""

from gpu.devices import Device, DeviceKind, SlotLimits

GEFORCE_SYSTEM_SLOTS = 8
"""Sessions that NVIDIA's driver grants to all consumer cards of one machine together, since January 2024."""
PROFESSIONAL_SLOTS = 16
"""Sessions of a card that the driver does not limit: enough to keep its encoders busy, few enough for its memory."""
RENDER_NODE_SLOTS = 8
_CONSUMER = ("geforce", "titan")


def slot_limits(device: Device, *, device_slots: int = 0, system_slots: int = 0) -> SlotLimits:
    """The caps of a device; settings other than 0 override what is known of its kind.

    A consumer card is under the machine's cap, and one alone may use all of it. `system_slots` caps them only: the
    driver counts no others.
    """
    if not is_consumer(device):
        usual = PROFESSIONAL_SLOTS if device.kind is DeviceKind.NVIDIA else RENDER_NODE_SLOTS
        return SlotLimits(device=device_slots or usual)
    system = system_slots or GEFORCE_SYSTEM_SLOTS
    return SlotLimits(device=min(device_slots or system, system), system=system)


def is_consumer(device: Device) -> bool:
    """Whether the driver limits the sessions of such cards for the whole machine."""
    return device.kind is DeviceKind.NVIDIA and any(word in device.name.lower() for word in _CONSUMER)
