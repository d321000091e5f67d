"""The facts about an incoming stream that planning needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from transcoding.color import ColorSpace
from transcoding.errors import InputRejected
from transcoding.flv.aac import AacConfig, read_aac_config
from transcoding.flv.amf import AmfInvalid, Value, amf_values
from transcoding.flv.tags import FlvTag, TagKind
from transcoding.sniffing.bits import OutOfBits
from transcoding.sniffing.sequences import FrameFacts, read_h264_frames, read_hevc_frames

_MIN_RATE, _MAX_RATE = 1, 240
_MAX_KBPS = 1_000_000
_NTSC_RATES = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120))
_NTSC_TOLERANCE = Fraction(1, 100)
_HEVC_SEQUENCE = 33


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingFacts:
    """All that is known of an incoming stream at its first key frame. Rates are bits per second."""

    width: int
    height: int
    """Size of the decoded and cropped frames."""
    rate: Fraction | None
    """Frames per second. None: nothing says it."""
    video_codec: str
    audio_sample_rate: int | None = None
    """None: no audio has come yet."""
    audio_channels: int | None = None
    video_bitrate: int | None = None
    """As its metadata declare it."""
    audio_bitrate: int | None = None
    sample_aspect: Fraction = Fraction(1)
    """Width of a pixel for a height of 1."""
    interlaced: bool = False
    """Frames may consist of fields."""
    color: ColorSpace | None = None
    """None: its headers do not say."""


def incoming_facts(tags: Iterable[FlvTag]) -> IncomingFacts | None:
    """Read the facts from the newest of these tags; None as long as there is no key frame that can be decoded.

    Raises InputRejected for video that is neither H.264 nor HEVC, and for parameters that cannot be read.
    """
    declared: Mapping[str, Value] = {}
    audio: AacConfig | None = None
    header: FlvTag | None = None
    keyframe = False
    for tag in tags:
        if tag.kind == TagKind.DATA:
            declared = metadata(tag) or declared
        elif tag.is_sequence_header and tag.is_video:
            header = tag
        elif tag.is_sequence_header and tag.codec == "aac":
            audio = read_aac_config(tag.payload) or audio
        elif tag.is_keyframe:
            keyframe = True
            if tag.codec not in ("h264", "hevc"):
                raise InputRejected(f"the video is {tag.codec or 'in a format that is not known'}; send H.264")
    if not keyframe or header is None:
        return None
    frames = _frames(header)
    return IncomingFacts(
        width=frames.width,
        height=frames.height,
        rate=_rate(declared.get("framerate")) or _rate(frames.rate),
        video_codec=header.codec,
        audio_sample_rate=audio.rate if audio else None,
        audio_channels=(audio.channels or None) if audio else None,
        video_bitrate=_bitrate(declared.get("videodatarate")),
        audio_bitrate=_bitrate(declared.get("audiodatarate")),
        sample_aspect=frames.sample_aspect,
        interlaced=frames.interlaced,
        color=frames.color,
    )


def metadata(tag: FlvTag) -> Mapping[str, Value]:
    """Return the metadata of a data tag; nothing where it has none."""
    try:
        values = amf_values(tag.data)
    except AmfInvalid:
        return {}
    return next((value for value in values if isinstance(value, Mapping)), {}) if "onMetaData" in values[:2] else {}


def _frames(header: FlvTag) -> FrameFacts:
    record = header.payload
    try:
        return (
            read_h264_frames(_avc_sequence(record))
            if header.codec == "h264"
            else read_hevc_frames(_hevc_sequence(record))
        )
    except (OutOfBits, IndexError) as error:
        raise InputRejected("the parameters of the video cannot be read") from error


def _avc_sequence(record: bytes) -> bytes:
    """Return the first sequence parameter set of an AVCDecoderConfigurationRecord. Raises IndexError."""
    return record[8 : 8 + int.from_bytes((record[6], record[7]), "big")]


def _hevc_sequence(record: bytes) -> bytes:
    """Return the first sequence parameter set of an HEVCDecoderConfigurationRecord. Raises IndexError."""
    position = 23
    for _ in range(record[22]):
        kind, count = record[position] & 0x3F, record[position + 1] << 8 | record[position + 2]
        position += 3
        for _ in range(count):
            size = record[position] << 8 | record[position + 1]
            position += 2
            if kind == _HEVC_SEQUENCE:
                return record[position : position + size]
            position += size
    raise IndexError


def _rate(declared: Value | Fraction) -> Fraction | None:
    """Return a rate that can be one, with the denominator that it stands for."""
    if isinstance(declared, bool) or not isinstance(declared, int | float | Fraction):
        return None
    if not _MIN_RATE <= declared <= _MAX_RATE:
        return None
    rate = Fraction(declared).limit_denominator(1001)
    return next((ntsc for ntsc in _NTSC_RATES if abs(rate - ntsc) < _NTSC_TOLERANCE), rate)


def _bitrate(kilobits: Value) -> int | None:
    if isinstance(kilobits, bool) or not isinstance(kilobits, int | float) or not 0 < kilobits < _MAX_KBPS:
        return None
    return round(kilobits * 1000)
