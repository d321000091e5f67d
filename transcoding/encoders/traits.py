"""The traits records that encoder families fill in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from transcoding.color import ColorSpace
from transcoding.hdr import HdrMetadata

Options = Mapping[str, str]
_NONE: Options = MappingProxyType({})


class Family(StrEnum):
    """The vendor's interface that an encoder runs through, or the CPU."""

    CPU = "cpu"
    NVENC = "nvenc"
    QSV = "qsv"
    AMF = "amf"
    VAAPI = "vaapi"


class ColorSignal(StrEnum):
    """The place of the color space in an encoder's output. Every encoder takes it from the tags of its frames."""

    STREAM = "stream"
    """In the coded stream (VUI or sequence header), and so in the container, too."""
    CONTAINER = "container"
    """In the container only."""


class HardwarePath(StrEnum):
    """The place where frames are decoded and scaled."""

    CPU = "cpu"
    """On the CPU, for an encoder that runs there."""
    UPLOAD = "upload"
    """On the CPU, for an encoder on a device: it takes every source, and keeps hostile ones away from drivers."""
    DEVICE = "device"
    """On the device, which saves the CPU nearly all work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateControl:
    """The rates of a rendition in bits per second, and its decoder buffer in bits."""

    bitrate: int
    max_rate: int
    buffer_size: int
    constant_quality: bool = False
    """No bitrate was requested: an encoder that can holds a quality and keeps below `max_rate` only."""

    @classmethod
    def for_bitrate(cls, bitrate: int, *, constant_quality: bool = False) -> "RateControl":
        """Return the constrained variable rate of the ladder: half again as much at peaks, a buffer of two seconds."""
        return cls(
            bitrate=bitrate,
            max_rate=bitrate * 3 // 2,
            buffer_size=bitrate * 2,
            constant_quality=constant_quality,
        )

    def peak(self, seconds: Fraction) -> int:
        """Return the highest rate of any stretch of this length, in bits per second."""
        return int(self.max_rate + self.buffer_size / seconds)


@dataclass(frozen=True, slots=True)
class CodecLevel:
    """A level as its codec's standard names it ("3.1"), and main or high tier where the codec has tiers."""

    name: str
    tier: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeTarget:
    """All that an encoder must know about one rendition."""

    preset: str
    profile: str
    level: CodecLevel
    control: RateControl
    gop: int
    """Distance of key frames, in frames."""
    pass_number: int = 0
    """1 or 2 where an analysis goes first; 0: a single pass."""
    statistics: str = ""
    """Path prefix of the files with the findings of the analysis."""
    threads: int = 0
    """Limit for encoders on the CPU; 0 leaves the number to them."""
    color: ColorSpace | None = None
    """The tags of its frames."""
    hdr: HdrMetadata | None = None
    """The metadata of a rendition of high dynamic range; None: it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The meaning of one of the platform's presets for an encoder."""

    speed: float
    """Speed relative to veryfast of x264, an estimate for the time before anything is measured."""
    profile: str
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareDevice:
    """The device that a command runs on. It is chosen when a step is claimed, so it is no part of any plan."""

    family_index: int
    """Number of the device within its family."""
    render_node: str = ""
    """Path of its DRM render node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTraits:
    """The way of frames to the devices of a family, and their decoding and scaling there."""

    opening: Callable[[HardwareDevice, HardwarePath], Options]
    """Returns the global options that open the device for a path."""
    chosen: Callable[[HardwareDevice], Options] = lambda _: _NONE
    """Returns the options that name the device to an encoder of system frames."""
    upload: tuple[str, ...] = ()
    """Filters that bring frames from memory to the device."""
    decoding: Options = field(default_factory=dict)
    """Input options of the device path; a family without them has no such path."""
    decoded: frozenset[str] = frozenset()
    """Codecs that the device path decodes."""
    deinterlacer: str = ""
    """Filter for interlaced frames on the device path; a family without it gets them from the CPU."""
    scaler: str = ""

    def scaling(self, width: int, height: int) -> str:
        """Return the filter that scales on the device, to the 8 bits that every rendition has."""
        return self.scaler.format(width=width, height=height)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenBits:
    """The way in which an encoder makes renditions of high dynamic range, which have 10 bits."""

    profile: str
    pixel_format: str
    codecs: Callable[[CodecLevel, ColorSpace], str]
    """Names profile and level as RFC 6381 does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEncoder:
    """One video encoder: its name and options for ffmpeg, and its name in playlists."""

    ffmpeg_name: str
    codec: str
    family: Family
    presets: Mapping[str, Preset]
    """By the platform's names, which are those of x264."""
    pixel_format: str
    options: Callable[[EncodeTarget], Options]
    """Returns all options of a rendition, rate control and closed GOPs of a fixed length included."""
    level: Callable[[int, int, Fraction, RateControl], CodecLevel]
    """Chooses the codec level for width, height, frames per second and rates."""
    codecs: Callable[[str, CodecLevel], str]
    """Names profile and level as RFC 6381 does."""
    memory_per_pixel: int = 500
    """Bytes that it may take for each pixel of a frame: of about a hundred frames, for hardware those on their way."""
    two_pass: bool = False
    """It can analyse first."""
    holds_quality: bool = False
    """It follows a quality where no bitrate was requested."""
    ten_bits: TenBits | None = None
    """None: its renditions have 8 bits and standard range."""
    color_signal: ColorSignal = ColorSignal.STREAM
    low_delay: Options = field(default_factory=dict)
    """Options that replace others where nobody may wait for later frames: no reordering, no look-ahead."""
    device: DeviceTraits | None = field(default=None, repr=False)

    @property
    def hardware(self) -> bool:
        """Tell whether it runs on a device rather than the CPU."""
        return self.device is not None

    @property
    def paths(self) -> tuple[HardwarePath, ...]:
        """List the paths on which it can get its frames, the safest first."""
        if self.device is None:
            return (HardwarePath.CPU,)
        return (HardwarePath.UPLOAD, HardwarePath.DEVICE) if self.device.decoding else (HardwarePath.UPLOAD,)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEncoder:
    """One audio encoder, and the properties of every audio rendition."""

    ffmpeg_name: str
    codec: str
    codecs: str
    bitrate: int
    """Bits per second, of stereo."""
    surround_bitrate: int
    """Bits per second, of six channels."""
    sample_rate: int
    """Samples per second, and the time scale."""
    channels: int
    """Of the rendition that every track has."""
    priming_samples: int
    """Samples at the start that the edit list of the init segment hides."""
    frame_samples: int
    """Samples of one coded frame."""
    options: Options = field(default_factory=dict)

    def presentation(self, time: Fraction) -> int:
        """Return the decode tick of what is presented at this time, in seconds: priming comes first."""
        return round(time * self.sample_rate) + self.priming_samples

    def boundary(self, time: Fraction) -> int:
        """Return the decode tick at which a segment starts whose video starts then: that of the nearest frame."""
        return round(Fraction(self.presentation(time), self.frame_samples)) * self.frame_samples
