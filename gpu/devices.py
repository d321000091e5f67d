"""What is known of a device that may encode: who it is, how it is, what it has proven. Values only.

None in a reading means that the device or its driver does not say: that is no error and no zero.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class DeviceKind(StrEnum):
    """Whose device it is, which decides what can talk to it."""

    NVIDIA = "nvidia"
    AMD = "amd"
    INTEL = "intel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device of a machine.

    `index` counts the machine's devices: NVIDIA's first, in the order of their PCI addresses, which is CUDA's too as
    we start it; then the others. `render_node` is the path of a DRM render node, empty where none is used.
    """

    index: int
    uuid: str
    name: str
    kind: DeviceKind
    driver: str = ""
    render_node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a device is at this moment: megabytes of 2^20 bytes, percent of the last second or so, degrees, watts."""

    memory_total_mb: int | None = None
    memory_used_mb: int | None = None
    memory_free_mb: int | None = None
    utilization_percent: int | None = None
    encoder_percent: int | None = None
    sessions: int | None = None
    temperature_c: int | None = None
    power_watts: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A device and its reading; `error` says why nothing can be asked of it at present, e.g. that it is lost."""

    device: Device
    reading: Reading = field(default_factory=Reading)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All devices that a machine shows; `reasons` say why there are not more, such as a missing library."""

    seen: tuple[Seen, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a trial encode on a device said of an encoder; the reason is empty when it is available."""

    encoder: str
    available: bool
    reason: str
    driver: str
    ffmpeg_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotLimits:
    """How many sessions a device may have, and all of its kind in one machine together; None: as many as they may."""

    device: int
    system: int | None = None


class FailureKind(StrEnum):
    """What a device did wrong: it vanished, or it would not encode."""

    DEVICE_LOST = "device_lost"
    ENCODER_REFUSED = "encoder_refused"
