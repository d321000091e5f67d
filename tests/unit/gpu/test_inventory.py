from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from configuration import GpuConfig
from coordination.locks import Locks
from gpu.devices import Device, DeviceKind, DeviceState, SlotLimits, Survey, Verdict
from gpu.inventory import Inventory
from gpu.trials import Outcome, Trials
from transcoding.encoders import VideoEncoder

GPU = Device(index=0, uuid="GPU-0", name="Tesla T4", kind=DeviceKind.NVIDIA, driver="570")
OTHER = replace(GPU, index=1, uuid="GPU-1")
NVENC = ["h264_nvenc", "hevc_nvenc", "av1_nvenc"]


class Machine:
    """Fake machine: its devices, and the reason why each encoder's trial fails."""

    def __init__(self, *devices: Device) -> None:
        self.shown = Survey(devices=tuple(DeviceState(device=each) for each in devices))
        self.reasons: dict[str, str] = {}
        self.busy = False

    def survey(self) -> Survey:
        return self.shown

    def show(self, *devices: Device, error: str = "") -> None:
        self.shown = Survey(devices=tuple(DeviceState(device=each, error=error) for each in devices))


class ScriptedTrials(Trials):
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def attempt(self, encoder: VideoEncoder, device: Device, *, on_poll: Callable[[], None] = lambda: None) -> Outcome:
        on_poll()
        name = encoder.ffmpeg_name
        reason = self._machine.reasons.get(name, "")
        said = Verdict(encoder=name, available=not reason, reason=reason, driver=device.driver, ffmpeg_version="9")
        return Outcome(verdict=said, busy=self._machine.busy)


def an_inventory(machine: Machine, config: GpuConfig | None = None) -> Inventory:
    inventory = Inventory(
        telemetry=machine, trials=ScriptedTrials(machine), locks=Locks(None), config=config or GpuConfig()
    )
    inventory.refresh()
    return inventory


def waiting(inventory: Inventory) -> list[tuple[int, str]]:
    return [(each.device.index, each.encoder.ffmpeg_name) for each in inventory.untried()]


def try_all(inventory: Inventory) -> None:
    for trial in list(inventory.untried()):
        inventory.attempt(trial)


def working(inventory: Inventory) -> set[tuple[str, str]]:
    return {
        (each.state.device.uuid, name)
        for each in inventory.descriptions()
        for name, verdict in each.verdicts.items()
        if verdict.available
    }


def test_every_encoder_is_tried_once_on_every_device() -> None:
    inventory = an_inventory(Machine(GPU, OTHER))
    assert waiting(inventory) == [(index, name) for index in (0, 1) for name in NVENC]
    try_all(inventory)
    inventory.refresh()
    assert waiting(inventory) == []
    assert working(inventory) == {(uuid, name) for uuid in ("GPU-0", "GPU-1") for name in NVENC}


def test_retry_of_one_encoder() -> None:
    machine = Machine(GPU)
    machine.reasons["h264_nvenc"] = "No capable devices found"
    inventory = an_inventory(machine)
    try_all(inventory)
    (described,) = inventory.descriptions()
    assert described.verdicts["h264_nvenc"].reason == "No capable devices found"
    machine.reasons.clear()
    inventory.retry("GPU-0", "h264_nvenc")
    assert waiting(inventory) == [(0, "h264_nvenc")]
    try_all(inventory)
    assert ("GPU-0", "h264_nvenc") in working(inventory)


def test_retry_of_all_encoders_keeps_their_verdicts_until_then() -> None:
    inventory = an_inventory(Machine(GPU, OTHER))
    try_all(inventory)
    inventory.retry("GPU-1")
    assert waiting(inventory) == [(1, name) for name in NVENC]
    inventory.retry()
    assert len(waiting(inventory)) == 6
    assert len(working(inventory)) == 6


def test_encoders_are_tried_again_after_the_device_was_unavailable() -> None:
    machine = Machine(GPU, OTHER)
    inventory = an_inventory(machine)
    try_all(inventory)
    machine.show(GPU, OTHER, error="GPU is lost")
    inventory.refresh()
    assert waiting(inventory) == []
    assert working(inventory) == set()
    machine.show(GPU)
    inventory.refresh()
    assert waiting(inventory) == [(0, name) for name in NVENC]


def test_encoders_are_tried_again_with_a_new_driver() -> None:
    machine = Machine(GPU)
    inventory = an_inventory(machine)
    try_all(inventory)
    machine.show(replace(GPU, driver="580"))
    inventory.refresh()
    assert waiting(inventory) == [(0, name) for name in NVENC]


def test_a_busy_device_does_not_overrule_a_verdict() -> None:
    machine = Machine(GPU)
    inventory = an_inventory(machine)
    try_all(inventory)
    machine.reasons, machine.busy = dict.fromkeys(NVENC, "out of memory (10)"), True
    inventory.retry()
    try_all(inventory)
    assert working(inventory) == {("GPU-0", name) for name in NVENC}


def test_a_device_that_was_always_busy_has_no_usable_encoder() -> None:
    machine = Machine(GPU)
    machine.reasons, machine.busy = dict.fromkeys(NVENC, "out of memory (10)"), True
    inventory = an_inventory(machine)
    try_all(inventory)
    assert working(inventory) == set()


def test_only_the_pinned_device_is_tried_and_has_slots() -> None:
    inventory = an_inventory(Machine(GPU, OTHER), GpuConfig(gpu_device_index=1, gpu_slots_per_device=3))
    assert waiting(inventory) == [(1, name) for name in NVENC]
    assert [each.limits for each in inventory.descriptions()] == [SlotLimits(device=0), SlotLimits(device=3)]
