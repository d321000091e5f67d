"""Devices of AMD and Intel: DRM render nodes in the kernel's sysfs. NVIDIA's are read by `gpu.telemetry.nvml`."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from gpu.devices import Device, DeviceKind, DeviceState, Reading, Survey

_VENDORS = {"0x1002": DeviceKind.AMD, "0x8086": DeviceKind.INTEL}
_NAMES = {DeviceKind.AMD: "AMD GPU", DeviceKind.INTEL: "Intel GPU"}
_MIB = 1 << 20
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def machine_id() -> str:
    """Return the kernel's boot id: the same for all processes and containers of one machine, until it restarts."""
    return _BOOT_ID.read_text().strip()


class RenderNodes:
    """Devices in /sys/class/drm with a node in /dev/dri. Only AMD's driver has readings."""

    def __init__(self, *, machine: str, sys: Path = Path("/sys"), dev: Path = Path("/dev")) -> None:
        self._machine = machine
        self._nodes = sys / "class/drm"
        self._dri = dev / "dri"

    def survey(self) -> Survey:
        """Read all render nodes of AMD and Intel. One without a node in /dev/dri is a reason and not a device."""
        devices: list[DeviceState] = []
        reasons: list[str] = []
        for folder, kind in self._folders():
            node = self._dri / folder.name
            if node.exists():
                devices.append(self._state(len(devices), folder, kind, node))
            else:
                reasons.append(f"{_NAMES[kind]}: the kernel lists it, but {node} is missing")
        return Survey(devices=tuple(devices), reasons=tuple(reasons))

    def _folders(self) -> Iterator[tuple[Path, DeviceKind]]:
        for folder in sorted(self._nodes.glob("renderD*"), key=lambda path: (len(path.name), path.name)):
            kind = _VENDORS.get(_text(folder / "device/vendor"))
            if kind:
                yield folder, kind

    def _state(self, index: int, folder: Path, kind: DeviceKind, node: Path) -> DeviceState:
        facts = dict(line.split("=", 1) for line in _text(folder / "device/uevent").splitlines() if "=" in line)
        slot = facts.get("PCI_SLOT_NAME", folder.name)
        product = _text(folder / "device/product_name") or _text(folder / "device/device")
        device = Device(
            index=index,
            uuid=f"PCI-{self._machine}-{slot}",
            name=f"{_NAMES[kind]} {product}".strip(),
            kind=kind,
            driver=f"{facts.get('DRIVER', '?')} of Linux {platform.release()}",
            render_node=str(node),
        )
        allowed = os.access(node, os.R_OK | os.W_OK)
        return DeviceState(
            device=device,
            reading=_reading(folder / "device"),
            error="" if allowed else f"no permission to use {node}; add its group to this process",
        )


def _reading(device: Path) -> Reading:
    total, used = _number(device / "mem_info_vram_total"), _number(device / "mem_info_vram_used")
    temperature = next((_number(each) for each in device.glob("hwmon/hwmon*/temp1_input")), None)
    power = next((_number(each) for each in device.glob("hwmon/hwmon*/power1_average")), None)
    return Reading(
        memory_total_mb=None if total is None else total // _MIB,
        memory_used_mb=None if used is None else used // _MIB,
        memory_free_mb=None if total is None or used is None else (total - used) // _MIB,
        utilization_percent=_number(device / "gpu_busy_percent"),
        temperature_c=None if temperature is None else temperature // 1000,
        power_watts=None if power is None else power / 1_000_000,
    )


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    """Return a file's content; empty when it cannot be read: devices vanish, and drivers refuse single values."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
