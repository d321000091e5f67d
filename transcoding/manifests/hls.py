"""HLS playlists (RFC 8216). Promises come from the plan and never change while a playlist grows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcoding.color import ColorSpace
from transcoding.encoders import AAC

HLS_CONTENT_TYPE = "application/vnd.apple.mpegurl"
INIT_NAME = "init.mp4"
AUDIO_GROUP = "audio"
_VERSION = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoVariant:
    """One video rendition as the master playlist lists it. Bandwidths in bits per second, without the audio's."""

    name: str
    width: int
    height: int
    frame_rate: Fraction
    codecs: str
    peak_bandwidth: int
    average_bandwidth: int
    color: ColorSpace | None = None
    """The color space, where the source has high dynamic range; the dynamic range is named then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioVariant:
    """An audio rendition as the master playlist lists it; the language may be empty. Bandwidths in bits per second."""

    name: str
    language: str
    default: bool
    codecs: str
    channels: int
    peak_bandwidth: int
    average_bandwidth: int


def segment_name(number: int | str) -> str:
    """Return the relative URL of a segment, or the pattern of all of them for a placeholder of the number."""
    return f"{number}.m4s"


def master_playlist(videos: Sequence[VideoVariant], audio: Sequence[AudioVariant]) -> str:
    """Render the HLS master playlist; every rendition's own playlist is `<name>/index.m3u8` beside it.

    All audio renditions are one group: they have one codec, and every rung goes with each of them. Without video, the
    audio that players begin with is the only variant, and there is a group only if there is a choice.
    """
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if videos or len(audio) > 1:
        lines += [_audio_media(track) for track in audio]
    for video in videos:
        lines += [_stream_inf(video, audio), f"{video.name}/index.m3u8"]
    if not videos:
        lines += [_audio_stream_inf(audio), f"{_first_played(audio).name}/index.m3u8"]
    return "\n".join(lines) + "\n"


def _audio_media(track: AudioVariant) -> str:
    language = f'LANGUAGE="{track.language}",' if track.language else ""
    return (
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{AUDIO_GROUP}",{language}NAME="{track.name}",'
        f"DEFAULT={'YES' if track.default else 'NO'},AUTOSELECT=YES,"
        f'CHANNELS="{track.channels}",URI="{track.name}/index.m3u8"'
    )


def _stream_inf(video: VideoVariant, audio: Sequence[AudioVariant]) -> str:
    """Render a variant with the bandwidth of the largest audio rendition, as one of them plays at a time."""
    peak = video.peak_bandwidth + max((track.peak_bandwidth for track in audio), default=0)
    average = video.average_bandwidth + max((track.average_bandwidth for track in audio), default=0)
    codecs = ",".join(dict.fromkeys([video.codecs, *(track.codecs for track in audio)]))
    video_range = f",VIDEO-RANGE={video.color.video_range}" if video.color else ""
    group = f',AUDIO="{AUDIO_GROUP}"' if audio else ""
    return (
        f"#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},"
        f'CODECS="{codecs}",RESOLUTION={video.width}x{video.height},FRAME-RATE={float(video.frame_rate):.3f}{video_range}{group}'
    )


def _audio_stream_inf(audio: Sequence[AudioVariant]) -> str:
    """Render the variant of a presentation without video."""
    peak, average = (max(track.peak_bandwidth for track in audio), max(track.average_bandwidth for track in audio))
    codecs = ",".join(dict.fromkeys(track.codecs for track in audio))
    group = f',AUDIO="{AUDIO_GROUP}"' if len(audio) > 1 else ""
    return f'#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS="{codecs}"{group}'


def _first_played(audio: Sequence[AudioVariant]) -> AudioVariant:
    return next((track for track in audio if track.default), audio[0])


def media_playlist(durations: Sequence[Fraction], *, target_seconds: int, complete: bool) -> str:
    """Render the HLS playlist of one rendition: its segments' lengths in seconds, in order, from segment 0.

    Until it is complete it is an EVENT playlist that only ever grows. Players would join that at its end; it says that
    it starts at its beginning.
    """
    kind = [f"#EXT-X-PLAYLIST-TYPE:{'VOD' if complete else 'EVENT'}", "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES"]
    lines = _media_lines(durations, target_seconds=target_seconds, first_segment=0, kind=kind)
    return "\n".join([*lines, *["#EXT-X-ENDLIST"] * complete]) + "\n"


def window_playlist(durations: Sequence[Fraction], *, first_segment: int, target_seconds: int) -> str:
    """Return the HLS playlist of one rendition of a live stream: its newest segments' lengths in seconds, in order.

    It has no type, so that segments may leave it (RFC 8216, section 6.2.2). It has no EXT-X-DISCONTINUITY either, and
    so no discontinuity sequence: decode times follow from segment numbers, also after another worker has taken over.
    """
    return "\n".join(_media_lines(durations, target_seconds=target_seconds, first_segment=first_segment)) + "\n"


def _media_lines(
    durations: Iterable[Fraction], *, target_seconds: int, first_segment: int, kind: Iterable[str] = ()
) -> Iterator[str]:
    yield "#EXTM3U"
    yield f"#EXT-X-VERSION:{_VERSION}"
    yield f"#EXT-X-TARGETDURATION:{target_seconds}"
    yield f"#EXT-X-MEDIA-SEQUENCE:{first_segment}"
    yield from kind
    yield "#EXT-X-INDEPENDENT-SEGMENTS"
    yield f'#EXT-X-MAP:URI="{INIT_NAME}"'
    for number, duration in enumerate(durations, first_segment):
        yield f"#EXTINF:{float(duration):.6f},"
        yield segment_name(number)


def target_seconds(segment: Fraction) -> int:
    """Return the TARGETDURATION of every rendition: no segment, rounded to whole seconds, is longer.

    Audio segments end at the frame nearest to the boundary, so they may be 1/47 s longer than the video's.
    """
    return max(1, round(segment + Fraction(AAC.frame_samples, AAC.sample_rate)))
