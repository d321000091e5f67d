"""HLS playlists of a generation, from its rows and its plan."""

from collections.abc import Mapping
from fractions import Fraction

from transcoding.manifests.hls import AudioVariant, VideoVariant, master_playlist, media_playlist, target_seconds
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition
from videos.selectors import published_prefix
from videos.states import GenerationState, RenditionKind

CHANNELS = 2
"""Sound is always stereo."""


def generation_master(generation: Generation) -> str:
    """The master playlist. What was promised comes from the plan; averages are as measured."""
    plan = EncodePlan.from_json(generation.plan)
    rows = {row.name: row for row in generation.renditions.all()}
    return master_playlist(generation_videos(plan, rows), generation_sound(plan, rows))


def generation_videos(plan: EncodePlan, rows: Mapping[str, Rendition]) -> list[VideoVariant]:
    """What manifests say of the rungs."""
    return [
        VideoVariant(
            name=rung.name,
            width=rung.width,
            height=rung.height,
            frame_rate=plan.grid.rate,
            codecs=rung.codecs,
            peak_bandwidth=rung.peak_bandwidth,
            average_bandwidth=rows[rung.name].avg_bitrate or rung.bitrate,
        )
        for rung in plan.renditions
    ]


def generation_sound(plan: EncodePlan, rows: Mapping[str, Rendition]) -> AudioVariant | None:
    """What manifests say of the sound, if there is any."""
    if plan.audio is None:
        return None
    return AudioVariant(
        name=plan.audio.name,
        codecs=plan.audio.codecs,
        channels=CHANNELS,
        peak_bandwidth=plan.audio.peak_bandwidth,
        average_bandwidth=rows[plan.audio.name].avg_bitrate or plan.audio.bitrate,
    )


def rendition_playlist(rendition: Rendition) -> str:
    """The playlist of one rendition: what is published of it without a gap, so far or for good."""
    grid = EncodePlan.from_json(rendition.generation.plan).grid
    durations = [Fraction(segment.duration, rendition.timescale) for segment in published_prefix(rendition)]
    return media_playlist(
        durations,
        target_seconds=target_seconds(grid.segment_frames / grid.rate),
        complete=rendition.generation.state == GenerationState.COMPLETE,
    )


def content_type(rendition: Rendition) -> str:
    """The media type of a rendition's init and media segments."""
    return "audio/mp4" if rendition.kind == RenditionKind.AUDIO else "video/mp4"
