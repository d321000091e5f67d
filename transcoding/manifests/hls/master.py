"""The HLS master playlist."""

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import chain, count
from types import MappingProxyType

from transcoding.color import VideoRange
from transcoding.manifests.hls import VERSION
from transcoding.manifests.hls.tags import quoted, tag, yes_or_no
from transcoding.manifests.names import IFRAME_PLAYLIST_NAME, PLAYLIST_NAME, text_playlist
from transcoding.manifests.variants import TEXT_GROUP, AudioVariant, IFrames, Presentation, TextVariant, VideoVariant
from transcoding.probing.streams import AudioRole

_CAPTIONS = "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound"
"""CHARACTERISTICS of subtitles for people who do not hear (RFC 8216, section 4.3.4.1)."""
_STARTING_RATE = 2_000_000
"""Average rate of the variant with which players begin, in bits per second (Apple's authoring rule 1.32)."""

_CHARACTERISTICS: Mapping[AudioRole, str] = MappingProxyType(
    {
        AudioRole.DESCRIPTION: "public.accessibility.describes-video",
        AudioRole.CLEAR_SPEECH: "public.accessibility.enhances-speech-intelligibility",
    }
)


def master_playlist(presentation: Presentation) -> str:
    """Render the HLS master playlist; every rendition's own playlist is `<name>/index.m3u8` beside it.

    Every rung goes with each group of audio. Without video, the audio of each group that players begin with is a
    variant, and there are groups only if there is a choice. Commentary is never chosen by language alone.
    """
    videos, audio, texts = presentation.videos, presentation.audio, presentation.texts
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if videos or len(audio) > 1:
        lines += [_audio_media(track) for track in audio]
    lines += _texts(texts)
    for group in presentation.audio_groups or ((),):
        for video in _in_order(videos):
            lines += [_stream_inf(video, group, texts), f"{video.folder}{_playlist(video.name)}"]
    lines += [_iframe_stream_inf(video, video.iframes) for video in videos if video.iframes]
    for group in () if videos else presentation.audio_groups:
        first = _first_played(group)
        lines += [_audio_stream_inf(group, texts, alone=len(audio) == 1), f"{first.folder}{_playlist(first.name)}"]
    return "\n".join(lines) + "\n"


def _in_order(videos: Sequence[VideoVariant]) -> Sequence[VideoVariant]:
    """Put the variant in front with which players begin; it is one that all of them can show."""
    if not videos:
        return videos
    usual = [video for video in videos if video.video_range in (None, VideoRange.SDR)] or videos
    kind = usual[0].codecs.partition(".")[0]
    alike = [video for video in usual if video.codecs.startswith(kind)]
    first = min(alike, key=lambda video: abs(video.average_bandwidth - _STARTING_RATE))
    return [first, *(video for video in videos if video is not first)]


def _audio_media(track: AudioVariant) -> str:
    return tag(
        "EXT-X-MEDIA",
        [
            ("TYPE", "AUDIO"),
            ("GROUP-ID", quoted(track.group)),
            ("LANGUAGE", quoted(track.language)),
            ("NAME", quoted(track.label or track.name)),
            ("DEFAULT", yes_or_no(track.default)),
            ("AUTOSELECT", yes_or_no(track.default or track.role is not AudioRole.COMMENTARY)),
            ("CHARACTERISTICS", quoted(_CHARACTERISTICS.get(track.role, ""))),
            ("CHANNELS", quoted(str(track.channels))),
            ("URI", quoted(f"{track.folder}{_playlist(track.name)}")),
        ],
    )


def _texts(texts: Sequence[TextVariant]) -> Iterator[str]:
    """Render the group of texts, whose names are unique.

    RFC 8216, section 4.3.4.1.1: those that players may choose by themselves differ in language, force or
    characteristics; the default is one of them.
    """
    titles: set[str] = set()
    kinds: set[tuple[str, bool, bool]] = set()
    for text in sorted(texts, key=lambda text: not text.default):
        kind = (text.language, text.forced, text.captions)
        title = _unlike(text.label, titles)
        yield _text_media(text, title, chosen=kind not in kinds)
        titles.add(title)
        kinds.add(kind)


def _unlike(name: str, others: Container[str]) -> str:
    """Return the name, or where there is one like it, the name with a number."""
    numbered = (f"{name} ({number})" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in others)


def _text_media(track: TextVariant, title: str, *, chosen: bool) -> str:
    return tag(
        "EXT-X-MEDIA",
        [
            ("TYPE", "SUBTITLES"),
            ("GROUP-ID", quoted(TEXT_GROUP)),
            ("LANGUAGE", quoted(track.language)),
            ("NAME", quoted(title)),
            ("DEFAULT", yes_or_no(track.default)),
            ("AUTOSELECT", yes_or_no(chosen)),
            ("FORCED", yes_or_no(track.forced)),
            ("CHARACTERISTICS", quoted(_CAPTIONS) if track.captions else None),
            ("URI", quoted(text_playlist(track.name))),
        ],
    )


def _stream_inf(video: VideoVariant, audio: Sequence[AudioVariant], texts: Sequence[TextVariant]) -> str:
    """Render a variant with the bandwidth of the largest audio rendition, as one of them plays at a time."""
    peak = video.peak_bandwidth + max((track.peak_bandwidth for track in audio), default=0)
    average = video.average_bandwidth + max((track.average_bandwidth for track in audio), default=0)
    return tag(
        "EXT-X-STREAM-INF",
        [
            ("BANDWIDTH", str(peak)),
            ("AVERAGE-BANDWIDTH", str(average)),
            ("CODECS", _codecs(video, *audio)),
            ("RESOLUTION", f"{video.width}x{video.height}"),
            ("FRAME-RATE", f"{float(video.frame_rate):.3f}"),
            ("VIDEO-RANGE", video.video_range),
            ("AUDIO", quoted(audio[0].group) if audio else None),
            ("SUBTITLES", quoted(TEXT_GROUP) if texts else None),
            ("CLOSED-CAPTIONS", "NONE"),
        ],
    )


def _iframe_stream_inf(video: VideoVariant, iframes: IFrames) -> str:
    average = iframes.average_bandwidth
    return tag(
        "EXT-X-I-FRAME-STREAM-INF",
        [
            ("BANDWIDTH", str(iframes.peak_bandwidth)),
            ("AVERAGE-BANDWIDTH", None if average is None else str(average)),
            ("CODECS", _codecs(video)),
            ("RESOLUTION", f"{video.width}x{video.height}"),
            ("VIDEO-RANGE", video.video_range),
            ("URI", quoted(f"{video.folder}{video.name}/{IFRAME_PLAYLIST_NAME}")),
        ],
    )


def _audio_stream_inf(audio: Sequence[AudioVariant], texts: Sequence[TextVariant], *, alone: bool) -> str:
    """Render a variant of a presentation without video."""
    return tag(
        "EXT-X-STREAM-INF",
        [
            ("BANDWIDTH", str(max(track.peak_bandwidth for track in audio))),
            ("AVERAGE-BANDWIDTH", str(max(track.average_bandwidth for track in audio))),
            ("CODECS", _codecs(*audio)),
            ("AUDIO", None if alone else quoted(audio[0].group)),
            ("SUBTITLES", quoted(TEXT_GROUP) if texts else None),
        ],
    )


def _codecs(*tracks: VideoVariant | AudioVariant) -> str | None:
    return quoted(",".join(dict.fromkeys(track.codecs for track in tracks)))


def _first_played(audio: Sequence[AudioVariant]) -> AudioVariant:
    return next((track for track in audio if track.default), audio[0])


def _playlist(name: str) -> str:
    return f"{name}/{PLAYLIST_NAME}"
