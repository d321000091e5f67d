"""HLS playlists of single renditions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction

from transcoding.encoders import AUDIO_ENCODERS
from transcoding.manifests.hls import VERSION
from transcoding.manifests.names import INIT_NAME, segment_name, text_segment_name

_FRAGMENTS = ("#EXT-X-INDEPENDENT-SEGMENTS", f'#EXT-X-MAP:URI="{INIT_NAME}"')
"""Tags of playlists whose segments are fragments of MP4."""

_LONGEST_AUDIO_FRAME = max(Fraction(each.frame_samples, each.sample_rate) for each in AUDIO_ENCODERS.values())


def media_playlist(durations: Sequence[Fraction], *, target_seconds: int, complete: bool) -> str:
    """Render the HLS playlist of one rendition: its segments' lengths in seconds, in order, from segment 0."""
    return whole_playlist(_segments(durations, first=0), target_seconds=target_seconds, complete=complete)


def whole_playlist(entries: Iterable[str], *, target_seconds: int, complete: bool, tags: Iterable[str] = ()) -> str:
    """Render a playlist of all there is of a rendition, from its beginning.

    Until it is complete it is an EVENT playlist that only ever grows. Players would join that at its end; it says that
    it starts at its beginning.
    """
    return _whole(entries, target_seconds=target_seconds, complete=complete, tags=[*tags, *_FRAGMENTS])


def webvtt_playlist(durations: Sequence[Fraction], *, target_seconds: int, complete: bool) -> str:
    """Render the HLS playlist of a text, like `media_playlist`: segments of WebVTT, as long as those of a rendition."""
    entries = _segments(durations, first=0, name=text_segment_name)
    return _whole(entries, target_seconds=target_seconds, complete=complete)


def _whole(entries: Iterable[str], *, target_seconds: int, complete: bool, tags: Iterable[str] = ()) -> str:
    kind = [f"#EXT-X-PLAYLIST-TYPE:{'VOD' if complete else 'EVENT'}", "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES", *tags]
    lines = _lines(entries, target_seconds=target_seconds, first_segment=0, tags=kind)
    return "\n".join([*lines, *["#EXT-X-ENDLIST"] * complete]) + "\n"


def _segments(durations: Iterable[Fraction], *, first: int, name: Callable[[int], str] = segment_name) -> Iterator[str]:
    for number, duration in enumerate(durations, first):
        yield f"#EXTINF:{float(duration):.6f},\n{name(number)}"


def _lines(entries: Iterable[str], *, target_seconds: int, first_segment: int, tags: Iterable[str]) -> Iterator[str]:
    yield "#EXTM3U"
    yield f"#EXT-X-VERSION:{VERSION}"
    yield f"#EXT-X-TARGETDURATION:{target_seconds}"
    yield f"#EXT-X-MEDIA-SEQUENCE:{first_segment}"
    yield from tags
    yield from entries


def target_seconds(segment: Fraction) -> int:
    """Return the TARGETDURATION of every rendition: no segment, rounded to whole seconds, is longer.

    Audio segments end at the frame nearest to the boundary, so they may be 1/47 s longer than the video's.
    """
    return max(1, round(segment + _LONGEST_AUDIO_FRAME))
