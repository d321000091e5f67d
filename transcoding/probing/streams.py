"""The streams of a source as values."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from transcoding.color import ColorSpace
from transcoding.hdr import DolbyVision, HdrMetadata
from transcoding.timeline import AudioSpan


class StreamKind(StrEnum):
    """The kinds of streams, as ffprobe names them."""

    VIDEO = "video"
    AUDIO = "audio"
    SUBTITLE = "subtitle"
    DATA = "data"
    ATTACHMENT = "attachment"
    UNKNOWN = "unknown"


class FieldOrder(StrEnum):
    """The fields of a video's frames."""

    PROGRESSIVE = "progressive"
    TOP_FIRST = "top_first"
    BOTTOM_FIRST = "bottom_first"
    UNKNOWN = "unknown"


class AudioRole(StrEnum):
    """The purpose of an audio track, as its file marks it."""

    MAIN = "main"
    """Nothing else is marked."""
    DUB = "dub"
    """Speech in another language than that of the original."""
    COMMENTARY = "commentary"
    DESCRIPTION = "description"
    """It describes the video to people who do not see it."""
    CLEAR_SPEECH = "clear_speech"
    """Its speech is easier to understand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Pixel size of a video as a viewer sees it; sources may have odd sides, renditions never have."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a video has positive sides, got {self.width}x{self.height}")

    @property
    def short_side(self) -> int:
        """The side that names a rung: 1080 for 1920x1080 and for 1080x1920."""
        return min(self.width, self.height)

    @property
    def pixels(self) -> int:
        """Number of pixels of a frame."""
        return self.width * self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """Columns and rows of a decoded frame that the container has players leave out."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __bool__(self) -> bool:
        return any((self.left, self.top, self.right, self.bottom))


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """One stream of the uploaded file, of any kind, as its headers describe it."""

    index: int
    """Its number in the file, from 0, by which requests name it."""
    kind: StreamKind
    codec: str
    """ffprobe's name; "unknown" where it has none."""
    language: str
    """As in the container, mostly ISO 639-2; empty where it is not known."""
    default: bool
    forced: bool
    cover: bool
    """An image that stands for the file, such as the cover of an album."""
    accessory: bool
    """Commentary, or a description for people who do not see or hear."""
    size: Resolution | None
    """Size of the decoded frames of a video stream."""
    frames: int | None
    """Number of frames that the header announces."""
    channels: int
    sample_rate: int
    layout: str
    duration: Fraction | None
    """Announced length in seconds. None: the container does not say."""
    decodable: bool
    """It may be decoded: its codec is among those that are accepted, and its size in audio is not absurd."""
    used: bool
    """It is in the outputs, unless a request names others."""
    role: AudioRole | None = None
    """Purpose of an audio track. None: it is another kind of stream, or an earlier version inspected it."""
    captions: bool = False
    """It is meant for people who do not hear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoStream:
    """A video track that can be transcoded."""

    index: int
    """Its number in the working copy, for commands."""
    source_index: int | None = None
    """Its number in the uploaded file. None: an earlier version inspected it."""
    codec: str
    coded: Resolution | None = None
    """Size of the decoded and cropped frames, before rotation and pixel aspect ratio.

    None: an earlier version inspected it.
    """
    crop: Crop = Crop()
    sample_aspect: Fraction = Fraction(1)
    """Width of a pixel for a height of 1."""
    display: Resolution
    """Size with rotation and pixel aspect ratio applied."""
    rotation: int
    """Clockwise degrees by which a player turns it: 0, 90, 180 or 270."""
    mirrored: bool | None = False
    """A player mirrors it from left to right, before it turns it. None: an earlier version inspected it."""
    changes: bool = False
    """Frames change their size, shape or format in mid-stream."""
    pixel_format: str
    interlaced: bool
    field_order: FieldOrder = FieldOrder.UNKNOWN
    fields_unmarked: bool = False
    """Frames do not say that they consist of fields, or name another order."""
    film: bool = False
    """Frames of film were spread over its fields (2:3 pulldown)."""
    captions: bool = False
    """Some of its frames carry closed captions (CEA-608, CEA-708)."""
    color: ColorSpace | None
    """The color space in the track itself. None: an earlier version inspected it, which did not read that."""
    hdr: HdrMetadata | None = None
    """The metadata of a video of high dynamic range, of whose parts any may be missing."""
    dolby_vision: DolbyVision | None = None
    alpha: bool = False
    """It has transparency."""
    time_base: Fraction
    bit_rate: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """The loudness of an audio track by EBU R 128."""

    integrated: float
    """LUFS, of the whole track."""
    range: float
    """LU, from its quiet to its loud parts."""
    true_peak: float
    """dBTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioStream:
    """An audio track that can be transcoded."""

    index: int
    """Its number in the working copy, for commands."""
    source_index: int | None = None
    """Its number in the uploaded file. None: an earlier version inspected it."""
    codec: str
    channels: int
    sample_rate: int
    layout: str = ""
    """ffmpeg's name of its channels, such as stereo or 5.1(side); empty where it is not known."""
    language: str = ""
    """As in the container, mostly ISO 639-2; empty where it is not known."""
    role: AudioRole = AudioRole.MAIN
    time_base: Fraction | None = None
    """Seconds of a tick of its packets. None: an earlier version inspected it."""
    span: AudioSpan | None = None
    """The time that it fills. None: that was not measured."""
    changes: bool = False
    """Its sample rate or its layout changes in mid-stream."""
