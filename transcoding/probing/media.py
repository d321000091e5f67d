"""Facts about a source as values, from ffprobe's JSON."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, Self

from transcoding import records
from transcoding.color import ColorSpace
from transcoding.errors import InputRejected
from transcoding.grid import SEGMENT_GOPS, FrameGrid
from transcoding.probing.decoders import DECODERS
from transcoding.probing.timing import FrameTiming
from transcoding.upgrades import FACTS_UPGRADES

_NUMBER = re.compile(r"-?\d{1,20}([./]\d{1,20})?", re.ASCII)
"""The only accepted form of numbers: a hostile file may say 1e999999999, which takes for ever to work out."""
_CLOCK_TIME = re.compile(r"(\d{1,6}):(\d{1,2}):(\d{1,2}(?:\.\d{1,12})?)", re.ASCII)
_PROGRESSIVE = frozenset({"progressive", "unknown", ""})
_FULL_TURN = 360
_HALF_TURN = 180
_MAX_FRAMES_MISSING = Fraction(1, 10)
"""Share of the announced duration that may be missing before a source counts as truncated."""
_MAX_SAMPLE_RATE = 384_000
_MAX_CHANNELS = 64
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}", re.ASCII)
"""The accepted language tags (RFC 5646): they go into manifests and commands."""
_UNDETERMINED = "und"
_SLACK_SECONDS = Fraction(2)


class SourceWarning(StrEnum):
    """Something unusual about a source, which is handled by default."""

    VARIABLE_FRAME_RATE = "variable_frame_rate"
    ROTATED = "rotated"
    INTERLACED = "interlaced"
    HDR = "hdr"
    NO_AUDIO = "no_audio"
    EXTRA_STREAMS = "extra_streams"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoStream:
    """The video track that is transcoded."""

    index: int
    codec: str
    display: Resolution
    """Size with rotation and pixel aspect ratio applied."""
    rotation: int
    """Clockwise degrees: 0, 90, 180 or 270."""
    pixel_format: str
    interlaced: bool
    color: ColorSpace | None
    """The color space in the track itself. None: an earlier version inspected it, which did not read that."""
    time_base: Fraction
    bit_rate: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioStream:
    """An audio track that can be transcoded."""

    index: int
    codec: str
    channels: int
    sample_rate: int
    language: str = ""
    """As in the container, mostly ISO 639-2; empty where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """The streams of a source."""

    format_name: str
    duration: Fraction | None
    """Length of the video track in the header, in seconds. None: the container does not say."""
    streams: int
    """Number of streams of all kinds."""
    coded: Resolution
    """Size of the decoded frames, before rotation and pixel aspect ratio."""
    video: VideoStream
    audio: tuple[AudioStream, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """All that planning must know of an inspected source. Stored with the video, and measured on the working copy."""

    demuxer: str
    """The demuxer that ffmpeg is forced to use on the working copy."""
    remuxed: bool
    """The working copy is a copy of the streams in a container with an index; otherwise it is the source itself."""
    video: VideoStream
    audio: tuple[AudioStream, ...]
    first: Fraction
    """Time of the first video frame on the clock of the working copy, in seconds."""
    rate: Fraction
    """Frames per second of the outputs."""
    constant: bool
    """The frames of the source lie on the grid of that rate."""
    total_frames: int | None
    """None: the source has not ended. Inspected files always have."""
    warnings: tuple[SourceWarning, ...]
    sample_shift: int | None = None
    """Difference from the times of the file's own sample tables to ffmpeg's, in ticks of the video's time base.

    None: the two do not agree, and the file is only ever read whole.
    """

    def to_json(self) -> dict[str, object]:
        """Return the facts as JSON-ready values, with their version."""
        return records.to_versioned(self, FACTS_UPGRADES)

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read stored facts. Raises UnknownVersion for those of a later program, ValueError for anything else."""
        return records.from_versioned(cls, data, FACTS_UPGRADES)

    def grid(self, segment_gops: int = SEGMENT_GOPS) -> FrameGrid:
        """Return the frame grid of every output of this source with so many GOPs in a segment."""
        return FrameGrid(rate=self.rate, total_frames=self.total_frames, segment_gops=segment_gops)


def parse_ffprobe(text: str) -> MediaInfo:
    """Read the output of `streams_command`.

    Other audio tracks than the first are left out where they are absurd, or no decoder may touch them.

    Raises:
        InputRejected: There is no video track, or the first audio track is absurd.

    """
    document = json.loads(text)
    streams = document.get("streams", [])
    video = next((stream for stream in streams if _is_video(stream)), None)
    audio = [_audio(stream) for stream in streams if _is_audio(stream)]
    if audio:
        _refuse_absurd(audio[0])
    if video is None:
        raise InputRejected("the file has no video track")
    return MediaInfo(
        format_name=document.get("format", {}).get("format_name", ""),
        duration=_track_duration(video),
        streams=len(streams),
        coded=Resolution(width=int(video["width"]), height=int(video["height"])),
        video=_video(video),
        audio=tuple(audio[:1] + [each for each in audio[1:] if each.codec in DECODERS and not _is_absurd(each)]),
    )


def _is_video(stream: Mapping[str, Any]) -> bool:
    """Tell whether a stream is moving video: cover art is listed as video too."""
    return (
        stream.get("codec_type") == "video"
        and not stream.get("disposition", {}).get("attached_pic")
        and stream.get("width", 0) > 0
    )


def _is_audio(stream: Mapping[str, Any]) -> bool:
    return stream.get("codec_type") == "audio" and int(stream.get("sample_rate", 0)) > 0


def _video(stream: Mapping[str, Any]) -> VideoStream:
    rotation = _rotation(stream)
    return VideoStream(
        index=stream["index"],
        codec=stream.get("codec_name", "unknown"),
        display=_display_size(stream, turned=rotation % _HALF_TURN != 0),
        rotation=rotation,
        pixel_format=stream.get("pix_fmt", "unknown"),
        interlaced=stream.get("field_order", "") not in _PROGRESSIVE,
        color=_color(stream),
        time_base=Fraction(stream["time_base"]),
        bit_rate=int(stream["bit_rate"]) if stream.get("bit_rate", "").isdigit() else None,
    )


def _color(stream: Mapping[str, Any]) -> ColorSpace:
    """Read the color space of a video track. Pixel formats of JPEG (yuvj420p) are of full range by their name."""
    full = str(stream.get("pix_fmt", "")).startswith("yuvj")
    return ColorSpace.of_names(
        primaries=stream.get("color_primaries"),
        transfer=stream.get("color_transfer"),
        matrix=stream.get("color_space"),
        range_="pc" if full else stream.get("color_range"),
    )


def _track_duration(stream: Mapping[str, Any]) -> Fraction | None:
    """Return the announced length of one track in seconds: a field in MP4, a tag "HH:MM:SS.fraction" in Matroska."""
    if "duration" in stream:
        return _fraction(stream["duration"])
    tag = _CLOCK_TIME.fullmatch(str(stream.get("tags", {}).get("DURATION", "")))
    if tag is None:
        return None
    hours, minutes, seconds = map(Fraction, tag.groups())
    return hours * 3600 + minutes * 60 + seconds


def _rotation(stream: Mapping[str, Any]) -> int:
    """Return the clockwise degrees that a player turns the video by: 0, 90, 180 or 270."""
    sides = (entry["rotation"] for entry in stream.get("side_data_list", ()) if "rotation" in entry)
    return round(-float(next(sides, 0)) / 90) * 90 % _FULL_TURN


def _display_size(stream: Mapping[str, Any], *, turned: bool) -> Resolution:
    width, height = int(stream["width"]), int(stream["height"])
    aspect = _fraction(str(stream.get("sample_aspect_ratio", "1:1")).replace(":", "/"))
    if aspect:
        width = max(1, round(width * aspect))
    return Resolution(width=height, height=width) if turned else Resolution(width=width, height=height)


def _audio(stream: Mapping[str, Any]) -> AudioStream:
    language = str(stream.get("tags", {}).get("language", ""))
    return AudioStream(
        index=stream["index"],
        codec=stream.get("codec_name", "unknown"),
        channels=int(stream.get("channels", 0)),
        sample_rate=int(stream["sample_rate"]),
        language=language if _LANGUAGE.fullmatch(language) and language != _UNDETERMINED else "",
    )


def _is_absurd(audio: AudioStream) -> bool:
    """Tell whether this is more audio than anybody records: resampling takes memory for it."""
    return audio.sample_rate > _MAX_SAMPLE_RATE or audio.channels > _MAX_CHANNELS


def _refuse_absurd(audio: AudioStream) -> None:
    if _is_absurd(audio):
        found = f"{audio.channels} channels at {audio.sample_rate} Hz"
        raise InputRejected(f"the audio has {found}; that is more than is allowed")


def _fraction(text: object) -> Fraction | None:
    number = str(text)
    try:
        return Fraction(number) if _NUMBER.fullmatch(number) else None
    except ZeroDivisionError:
        return None


def source_facts(media: MediaInfo, timing: FrameTiming, *, demuxer: str, remuxed: bool) -> SourceFacts:
    """Combine what planning needs. Raises InputRejected when the file ends long before it says it does."""
    _refuse_truncated(media, timing)
    return SourceFacts(
        demuxer=demuxer,
        remuxed=remuxed,
        video=media.video,
        audio=media.audio,
        first=timing.first,
        rate=timing.rate,
        constant=timing.constant,
        total_frames=timing.total_frames,
        warnings=tuple(_warnings(media, timing)),
    )


def _refuse_truncated(media: MediaInfo, timing: FrameTiming) -> None:
    """Refuse a file whose frames stop long before its announced end, as those of a broken-off upload do.

    Matroska announces the end on its own clock, which a copied transport stream starts anywhere.
    """
    if media.duration is None:
        return
    there = max(timing.first, Fraction(0)) + timing.total_frames / timing.rate
    if media.duration - there > max(_SLACK_SECONDS, media.duration * _MAX_FRAMES_MISSING):
        raise InputRejected(f"the file is truncated: {float(there):.1f} of {float(media.duration):.1f} s are there")


def _warnings(media: MediaInfo, timing: FrameTiming) -> Sequence[SourceWarning]:
    shown = 1 + bool(media.audio)  # as much as is planned for
    reported = {
        SourceWarning.VARIABLE_FRAME_RATE: not timing.constant,
        SourceWarning.ROTATED: media.video.rotation != 0,
        SourceWarning.INTERLACED: media.video.interlaced,
        SourceWarning.HDR: bool(media.video.color and media.video.color.hdr),
        SourceWarning.NO_AUDIO: not media.audio,
        SourceWarning.EXTRA_STREAMS: media.streams > shown,
    }
    return [warning for warning, applies in reported.items() if applies]
