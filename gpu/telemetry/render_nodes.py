"""AMD's and Intel's devices: the kernel's DRM render nodes, described by files. NVIDIA's are left to NVML."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from gpu.devices import Device, DeviceKind, Reading, Seen, Survey

_VENDORS = {"0x1002": DeviceKind.AMD, "0x8086": DeviceKind.INTEL}
_NAMES = {DeviceKind.AMD: "AMD GPU", DeviceKind.INTEL: "Intel GPU"}
_MIB = 1 << 20


class RenderNodes:
    """Devices from /sys/class/drm whose node in /dev/dri this process may use. Only AMD's driver says how they are."""

    def __init__(self, *, machine: str, sys: Path = Path("/sys"), dev: Path = Path("/dev")) -> None:
        self._machine = machine
        self._nodes = sys / "class/drm"
        self._dri = dev / "dri"

    def survey(self) -> Survey:
        """All render nodes of these makers; one that was not given to this container is a reason, no device."""
        seen: list[Seen] = []
        reasons: list[str] = []
        for folder, kind in self._folders():
            node = self._dri / folder.name
            if node.exists():
                seen.append(self._seen(len(seen), folder, kind, node))
            else:
                reasons.append(f"{_NAMES[kind]}: {node} is not there, though the kernel knows it")
        return Survey(seen=tuple(seen), reasons=tuple(reasons))

    def _folders(self) -> Iterator[tuple[Path, DeviceKind]]:
        for folder in sorted(self._nodes.glob("renderD*"), key=lambda path: (len(path.name), path.name)):
            kind = _VENDORS.get(_text(folder / "device/vendor"))
            if kind:
                yield folder, kind

    def _seen(self, index: int, folder: Path, kind: DeviceKind, node: Path) -> Seen:
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
        return Seen(
            device=device,
            reading=_reading(folder / "device"),
            error="" if allowed else f"no permission to use {node}; is its group among this process's?",
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
    """A file's content, empty where there is none: a device may vanish, and drivers refuse single values."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
