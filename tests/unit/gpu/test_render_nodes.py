from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gpu.devices import DeviceKind, DeviceState, Reading, Survey
from gpu.telemetry.readings import CombinedTelemetry
from gpu.telemetry.render_nodes import RenderNodes

AMD = {
    "vendor": "0x1002",
    "uevent": "DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_SLOT_NAME=0000:03:00.0\n",
    "product_name": "Radeon PRO V520",
    "mem_info_vram_total": str(8 << 30),
    "mem_info_vram_used": str(1 << 30),
    "gpu_busy_percent": "37",
    "hwmon/hwmon2/temp1_input": "54000",
    "hwmon/hwmon2/power1_average": "61500000",
}
INTEL = {"vendor": "0x8086", "device": "0x56c0", "uevent": "DRIVER=i915\nPCI_SLOT_NAME=0000:04:00.0\n"}
NVIDIA = {"vendor": "0x10de", "uevent": "DRIVER=nvidia\nPCI_SLOT_NAME=0000:01:00.0\n"}


def a_machine(root: Path, nodes: Mapping[str, Mapping[str, str]], *, without: str = "") -> RenderNodes:
    (root / "dev/dri").mkdir(parents=True)
    for node, files in nodes.items():
        for name, text in files.items():
            path = root / "sys/class/drm" / node / "device" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        if node != without:
            (root / "dev/dri" / node).touch()
    return RenderNodes(machine="m1", sys=root / "sys", dev=root / "dev")


def test_a_machine_without_render_nodes_has_no_devices(tmp_path: Path) -> None:
    assert a_machine(tmp_path, {}).survey() == Survey()


def test_devices_of_amd_and_intel_are_listed_but_not_of_nvidia(tmp_path: Path) -> None:
    machine = a_machine(tmp_path, {"renderD128": NVIDIA, "renderD129": AMD, "renderD130": INTEL, "card0": AMD})
    amd, intel = machine.survey().devices
    assert (amd.device.index, amd.device.kind, amd.device.name) == (0, DeviceKind.AMD, "AMD GPU Radeon PRO V520")
    assert amd.device.uuid == "PCI-m1-0000:03:00.0"
    assert amd.device.driver.startswith("amdgpu of Linux ")
    assert amd.device.render_node == str(tmp_path / "dev/dri/renderD129")
    assert (intel.device.index, intel.device.kind, intel.device.name) == (1, DeviceKind.INTEL, "Intel GPU 0x56c0")


def test_amd_has_readings_and_intel_has_none(tmp_path: Path) -> None:
    amd, intel = a_machine(tmp_path, {"renderD128": AMD, "renderD129": INTEL}).survey().devices
    assert amd.reading == Reading(
        memory_total_mb=8192,
        memory_used_mb=1024,
        memory_free_mb=7168,
        utilization_percent=37,
        temperature_c=54,
        power_watts=61.5,
    )
    assert intel == DeviceState(device=intel.device)


def test_a_node_that_the_container_lacks_is_a_reason(tmp_path: Path) -> None:
    survey = a_machine(tmp_path, {"renderD128": AMD}, without="renderD128").survey()
    assert survey.devices == ()
    (reason,) = survey.reasons
    assert reason.endswith("renderD128 is missing")


def test_a_node_without_permission_has_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = a_machine(tmp_path, {"renderD128": INTEL})
    monkeypatch.setattr("gpu.telemetry.render_nodes.os.access", lambda *_: False)  # root has access to everything
    (seen,) = machine.survey().devices
    assert seen.error.startswith("no permission to use ")


def test_devices_of_several_sources_are_numbered_consecutively(tmp_path: Path) -> None:
    first = a_machine(tmp_path / "a", {"renderD128": AMD, "renderD129": INTEL})
    second = a_machine(tmp_path / "b", {"renderD128": INTEL}, without="renderD128")
    third = a_machine(tmp_path / "c", {"renderD128": INTEL})
    survey = CombinedTelemetry([first, second, third]).survey()
    assert [(each.device.index, each.device.kind) for each in survey.devices] == [
        (0, DeviceKind.AMD),
        (1, DeviceKind.INTEL),
        (2, DeviceKind.INTEL),
    ]
    assert len(survey.reasons) == 1
