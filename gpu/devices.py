"""Values about devices: identity, readings, trial results, limits, failures."""

from dataclasses import dataclass, field
from enum import StrEnum

_TEN_BITS = ":10"


class DeviceKind(StrEnum):
    """Maker of a device."""

    NVIDIA = "nvidia"
    AMD = "amd"
    INTEL = "intel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Identity of a device of a machine."""

    index: int
    """Counts the machine's devices: NVIDIA's first, by PCI address (as CUDA with `CUDA_DEVICE_ORDER`), then others."""
    uuid: str
    name: str
    kind: DeviceKind
    driver: str = ""
    render_node: str = ""
    """Path of its DRM render node; empty for NVIDIA."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Momentary values of a device. None: the device or its driver does not report the value."""

    memory_total_mb: int | None = None
    """In MiB, as the other memory values."""
    memory_used_mb: int | None = None
    memory_free_mb: int | None = None
    utilization_percent: int | None = None
    """Of about the last second, as `encoder_percent`."""
    encoder_percent: int | None = None
    sessions: int | None = None
    """Encoder sessions of all programs."""
    temperature_c: int | None = None
    power_watts: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """A device with its reading, or the reason why it has none."""

    device: Device
    reading: Reading = field(default_factory=Reading)
    error: str = ""
    """Reason why the device cannot be queried, for example that it is lost; empty when it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All devices of a machine."""

    devices: tuple[DeviceState, ...] = ()
    reasons: tuple[str, ...] = ()
    """Reasons why devices may be missing, such as a library that is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Result of a trial encode of an encoder on a device."""

    encoder: str
    available: bool
    reason: str
    """Reason why it is not available; empty when it is."""
    ten_bits: bool = False
    """It encoded 10 bits, too."""
    ten_bits_reason: str = ""
    """Reason why it did not; empty where it did, or has no such profile."""
    driver: str
    ffmpeg_version: str


def in_ten_bits(encoder: str) -> str:
    """Return the name of what a device can do that has encoded 10 bits with an encoder."""
    return f"{encoder}{_TEN_BITS}"


def without_depth(name: str) -> str:
    """Return the encoder in a name of `in_ten_bits`, or in its own name."""
    return name.removesuffix(_TEN_BITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotLimits:
    """Limits of concurrent encoder sessions."""

    device: int
    system: int | None = None
    """Limit of all consumer cards of the machine together; None: there is none."""


class FailureKind(StrEnum):
    """Failure of a device: it is gone, or its encoder refused."""

    DEVICE_LOST = "device_lost"
    ENCODER_REFUSED = "encoder_refused"
