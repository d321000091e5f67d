"""HLS playlists of a generation, from its rows and its plan."""

from collections.abc import Iterable
from fractions import Fraction

from transcoding.manifests.hls.iframes import IFrame, iframe_playlist
from transcoding.manifests.hls.live import LiveSegment, LiveWindow, live_playlist
from transcoding.manifests.hls.master import master_playlist
from transcoding.manifests.hls.media import media_playlist, target_seconds
from videos.models import Generation, Rendition
from videos.playback.presentation import generation_presentation, listed_renditions
from videos.selectors import PublishedSegment, has_keyframes, newest_segments, published_keyframes, published_prefix
from videos.states import GenerationState, RenditionKind

WINDOW_SEGMENTS = 6
"""Segments in the playlist of a live stream. RFC 8216, section 6.2.2, wants three target durations at least; twice as
many let a player that reloads late go on."""


def has_hls(generation: Generation) -> bool:
    """Tell whether a generation has playlists, unless they were not wanted."""
    return generation.encode_plan.hls


def generation_master(generation: Generation, *, audio: str = "", bundled: bool = False) -> str:
    """Render the master playlist. Players begin with the audio rendition of a name, where one is given.

    `bundled`: for a folder that has the files of the generation, and no others.

    Raises KeyError for a name that there is not.
    """
    presentation = generation_presentation(generation, listed_renditions(generation, bundled=bundled))
    return master_playlist(presentation.starting_with(audio) if audio else presentation)


def rendition_playlist(rendition: Rendition) -> str:
    """Return the playlist of one rendition.

    It lists what is published without a gap from the beginning, so far or for good; of an open rendition, the newest
    segments.
    """
    target = target_seconds(rendition.generation.encode_plan.grid.segment_seconds)
    if rendition.total_segments is None:
        window = newest_segments(rendition, WINDOW_SEGMENTS)
        first = window[0].number if window else 0
        segments = [LiveSegment(duration=seconds) for seconds in _seconds(window, rendition)]
        return live_playlist(LiveWindow(first_segment=first, segments=segments, target_seconds=target, blocking=False))
    durations = _seconds(published_prefix(rendition), rendition)
    complete = rendition.generation.state == GenerationState.COMPLETE
    return media_playlist(durations, target_seconds=target, complete=complete)


def has_iframes(rendition: Rendition) -> bool:
    """Tell whether a rendition has an I-frame playlist: it is video that ends, and its key frames are stored."""
    kind = rendition.kind == RenditionKind.VIDEO and rendition.total_segments is not None
    return kind and has_hls(rendition.generation) and has_keyframes(rendition.generation)


def rendition_iframes(rendition: Rendition) -> str:
    """Return the I-frame playlist of a rendition that has one, over the segments that its own playlist lists."""
    frames = (
        IFrame(
            segment=keyframe.segment,
            offset=keyframe.offset,
            size=keyframe.size,
            duration=Fraction(keyframe.duration, rendition.timescale),
        )
        for keyframe in published_keyframes(rendition)
    )
    target = target_seconds(rendition.generation.encode_plan.grid.segment_seconds)
    return iframe_playlist(
        frames, target_seconds=target, complete=rendition.generation.state == GenerationState.COMPLETE
    )


def _seconds(segments: Iterable[PublishedSegment], rendition: Rendition) -> list[Fraction]:
    return [Fraction(segment.duration, rendition.timescale) for segment in segments]


def content_type(rendition: Rendition) -> str:
    """Return the media type of a rendition's init and media segments."""
    return "audio/mp4" if rendition.kind == RenditionKind.AUDIO else "video/mp4"
