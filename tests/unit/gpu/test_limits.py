import pytest

from gpu.devices import Device, DeviceKind, SlotLimits
from gpu.limits import slot_limits


def a_device(name: str, kind: DeviceKind = DeviceKind.NVIDIA) -> Device:
    return Device(index=0, uuid="u", name=name, kind=kind)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA GeForce RTX 4090", SlotLimits(device=8, system=8)),
        ("GeForce GTX 1650", SlotLimits(device=8, system=8)),
        ("NVIDIA TITAN RTX", SlotLimits(device=8, system=8)),
        ("Tesla T4", SlotLimits(device=16)),
        ("NVIDIA L40S", SlotLimits(device=16)),
        ("NVIDIA RTX 6000 Ada Generation", SlotLimits(device=16)),
    ],
)
def test_consumer_cards_share_the_limit_of_their_machine(name: str, expected: SlotLimits) -> None:
    assert slot_limits(a_device(name)) == expected


def test_settings_override_the_defaults() -> None:
    consumer, professional = a_device("GeForce RTX 3060"), a_device("Tesla T4")
    assert slot_limits(consumer, system_slots=12) == SlotLimits(device=12, system=12)
    assert slot_limits(consumer, device_slots=3) == SlotLimits(device=3, system=8)
    assert slot_limits(consumer, device_slots=99) == SlotLimits(device=8, system=8)
    assert slot_limits(professional, device_slots=3, system_slots=2) == SlotLimits(device=3)


def test_render_nodes_have_a_limit_of_their_own() -> None:
    for kind in (DeviceKind.AMD, DeviceKind.INTEL):
        assert slot_limits(a_device("GeForce", kind)) == SlotLimits(device=8)
