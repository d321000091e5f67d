"""The description of a source for clients: names and numbers of its facts as JSON-ready values."""

from dataclasses import asdict

from transcoding.color import ColorSpace
from transcoding.probing.facts import SourceFacts
from transcoding.probing.media import MediaInfo
from transcoding.probing.streams import StreamFacts

_LONGEST_SECONDS = 366 * 86_400


def describe(family: str, facts: SourceFacts) -> dict[str, object]:
    """Return what the API shows of a source in a container of this family."""
    audio = facts.audio[0] if facts.audio else None
    return {
        "container": family,
        "duration": float(facts.duration),
        **(_video(facts) if facts.has_video else _no_video(facts)),
        "audio_codec": audio.codec if audio else None,
        "audio_channels": audio.channels if audio else None,
        "loudness": asdict(facts.loudness) if facts.loudness else None,
        "streams": [_stream(stream) for stream in facts.streams],
    }


def _no_video(facts: SourceFacts) -> dict[str, object]:
    """Return what describes the main track where that is audio."""
    return {"width": None, "height": None, "codec": facts.audio[0].codec, "frame_rate": None, "bitrate": None}


def _video(facts: SourceFacts) -> dict[str, object]:
    video = facts.video
    return {
        "width": video.display.width,
        "height": video.display.height,
        "codec": video.codec,
        "frame_rate": round(float(facts.rate), 3),
        "constant_frame_rate": facts.steady,
        "rotation": video.rotation,
        "mirrored": bool(video.mirrored),
        "pixel_format": video.pixel_format,
        "interlaced": video.interlaced,
        "field_order": video.field_order.value,
        "film": video.film,
        "closed_captions": video.captions,
        **_color(video.color or ColorSpace()),
        "bitrate": video.bit_rate,
    }


def describe_headers(media: MediaInfo) -> dict[str, object]:
    """Return what the headers say of a source that is not inspected yet. Inspection measures it.

    A length of years is none: a few forged bytes say it, and counters and dates have no room for it.
    """
    video, duration = media.video_stream, media.duration or media.file_duration
    if duration and duration > _LONGEST_SECONDS:
        duration = None
    return {
        "duration": round(float(duration), 3) if duration else None,
        "width": video.display.width if video else None,
        "height": video.display.height if video else None,
        "codec": video.codec if video else media.audio[0].codec,
        "bitrate": video.bit_rate if video else None,
        "frame_rate": round(float(media.mean_rate), 3) if media.mean_rate else None,
    }


def _color(color: ColorSpace) -> dict[str, object]:
    names = {
        "color_primaries": color.primaries,
        "color_transfer": color.transfer,
        "color_matrix": color.matrix,
        "color_range": color.range,
    }
    return {"hdr": color.hdr} | {name: None if value == "unknown" else value for name, value in names.items()}


def _stream(stream: StreamFacts) -> dict[str, object]:
    size = stream.size
    return {
        "index": stream.index,
        "kind": stream.kind.value,
        "codec": stream.codec,
        "language": stream.language or None,
        "role": stream.role.value if stream.role else None,
        "default": stream.default,
        "forced": stream.forced,
        "cover": stream.cover,
        "width": size.width if size else None,
        "height": size.height if size else None,
        "channels": stream.channels or None,
        "layout": stream.layout or None,
        "sample_rate": stream.sample_rate or None,
        "duration": None if stream.duration is None else round(float(stream.duration), 3),
        "used": stream.used,
    }
