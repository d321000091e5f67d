"""The traits records that encoder families fill in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from transcoding.color import ColorSpace

Options = Mapping[str, str]
_NONE: Options = MappingProxyType({})


class Family(StrEnum):
    """Family of an encoder: on the CPU, or through one vendor's interface to a device."""

    CPU = "cpu"
    NVENC = "nvenc"
    QSV = "qsv"
    AMF = "amf"
    VAAPI = "vaapi"


class ColorSignal(StrEnum):
    """Signalling of the color space in an encoder's output, which every encoder takes from the tags of its frames.

    `stream`: in the coded stream (VUI or sequence header), and so in the container, too. `container`: there only.
    """

    STREAM = "stream"
    CONTAINER = "container"


class HardwarePath(StrEnum):
    """Path of frames through decoding and scaling: for CPU encoders `cpu`; for others on the CPU or on the device.

    `upload` bears every source and keeps hostile ones away from drivers; `device` saves the CPU nearly all work.
    """

    CPU = "cpu"
    UPLOAD = "upload"
    DEVICE = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateControl:
    """Bits per second on average and at most, and the decoder buffer in bits.

    `constant_quality`: nobody requested a bitrate; an encoder that can holds a quality, and only the most is remaining.
    """

    bitrate: int
    max_rate: int
    buffer_size: int
    constant_quality: bool = False

    @classmethod
    def for_bitrate(cls, bitrate: int, *, constant_quality: bool = False) -> "RateControl":
        """The constrained variable rate of the ladder: half again as much at peaks, a buffer of two seconds."""
        return cls(
            bitrate=bitrate,
            max_rate=bitrate * 3 // 2,
            buffer_size=bitrate * 2,
            constant_quality=constant_quality,
        )

    def peak(self, seconds: Fraction) -> int:
        """The most bits per second that any stretch of this length can have."""
        return int(self.max_rate + self.buffer_size / seconds)


@dataclass(frozen=True, slots=True)
class CodecLevel:
    """A level as its codec's standard names it ("3.1"), and main or high tier where the codec has tiers."""

    name: str
    tier: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeTarget:
    """Encoder settings of one rendition; `gop` is the distance of key frames in frames.

    `pass_number` is 1 or 2 where an analysis goes first, whose findings lie in files that begin with `statistics`.
    `threads` bounds encoders on the CPU; 0 leaves that to them. `color` is what its frames are tagged with.
    """

    preset: str
    profile: str
    level: CodecLevel
    control: RateControl
    gop: int
    pass_number: int = 0
    statistics: str = ""
    threads: int = 0
    color: ColorSpace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One of the platform's presets in an encoder's own options.

    `speed` is how fast it is compared with veryfast of x264, a guess for the time before anything is measured.
    """

    speed: float
    profile: str
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareDevice:
    """A device as commands name it: its number within its family, or its DRM render node.

    Known only when a step is claimed, so it is no part of any plan.
    """

    family_index: int
    render_node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTraits:
    """Traits of a hardware family: upload of frames to its devices, decoding and scaling there.

    `opening` gives the global options that open the device for a path, `chosen` what says an encoder of system frames
    which one to take. `decoding` goes in front of the input on the device path; without it there is no such path.
    `decoded` are the codecs that it takes, `deinterlacer` the filter for interlaced ones.
    """

    opening: Callable[[HardwareDevice, HardwarePath], Options]
    chosen: Callable[[HardwareDevice], Options] = lambda _: _NONE
    upload: tuple[str, ...] = ()
    decoding: Options = field(default_factory=dict)
    decoded: frozenset[str] = frozenset()
    deinterlacer: str = ""
    scaler: str = ""

    def scaling(self, width: int, height: int) -> str:
        """The filter that scales on the device, to the 8 bits that every rendition has."""
        return self.scaler.format(width=width, height=height)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEncoder:
    """One video encoder: its name and options for ffmpeg, and what its output is called in a playlist.

    `presets` maps the platform's presets, which are x264's names, to its own; `options` gives all options of a
    rendition, rate control and closed GOPs of a fixed length included; `level` picks the codec level for width, height,
    frame rate and rates, `codecs` names profile and level as RFC 6381 does. `two_pass`: whether it can analyse first;
    `holds_quality`: whether it follows a quality where nobody requested a bitrate. `color_signal`: where its output
    says its color space.
    """

    ffmpeg_name: str
    codec: str
    family: Family
    presets: Mapping[str, Preset]
    pixel_format: str
    options: Callable[[EncodeTarget], Options]
    level: Callable[[int, int, Fraction, RateControl], CodecLevel]
    codecs: Callable[[str, CodecLevel], str]
    two_pass: bool = False
    holds_quality: bool = False
    color_signal: ColorSignal = ColorSignal.STREAM
    device: DeviceTraits | None = field(default=None, repr=False)

    @property
    def hardware(self) -> bool:
        """True if it runs on a device rather than the CPU."""
        return self.device is not None

    @property
    def paths(self) -> tuple[HardwarePath, ...]:
        """The ways on which it can get its frames, the safest first."""
        if self.device is None:
            return (HardwarePath.CPU,)
        return (HardwarePath.UPLOAD, HardwarePath.DEVICE) if self.device.decoding else (HardwarePath.UPLOAD,)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEncoder:
    """One audio encoder, and what every audio rendition of it is like.

    Bits per second, samples per second, and channels; the samples of priming are cut off by the edit list of its init
    segment.
    """

    ffmpeg_name: str
    codecs: str
    bitrate: int
    sample_rate: int
    channels: int
    priming_samples: int
    frame_samples: int
