"""The tracks of a generation as its manifests describe them, from its rows and its plan."""

from dataclasses import replace

from transcoding.manifests.planned import Measured, planned_presentation
from transcoding.manifests.variants import IFrames, Presentation
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition
from videos.playback.texts import generation_texts
from videos.selectors import companions_of, has_keyframes, whole_renditions
from videos.states import GenerationState, RenditionKind

_COMPATIBLE = "avc1"
"""Sample entry of H.264, which every player plays."""


def generation_presentation(generation: Generation) -> Presentation:
    """List what players choose from, but renditions that were deleted: its own, and the video of its companions."""
    own = _own_presentation(generation)
    added = [
        replace(video, folder=f"../{companion.number}/")
        for companion in companions_of(generation)
        for video in _own_presentation(companion).videos
    ]
    # Players begin with the first one, so it should be one that all of them play.
    videos = sorted([*own.videos, *added], key=lambda video: video.sample_entry != _COMPATIBLE) if added else own.videos
    texts = generation_texts(generation, EncodePlan.from_json(generation.plan))
    return replace(own, videos=tuple(videos), texts=tuple(texts))


def listed_renditions(generation: Generation) -> list[Rendition]:
    """Return the renditions in manifests: its own in the plan's order, and the video of its companions."""
    added = (row for companion in companions_of(generation) for row in _own_renditions(companion))
    return [*_own_renditions(generation), *(row for row in added if row.kind == RenditionKind.VIDEO)]


def _own_presentation(generation: Generation) -> Presentation:
    plan = EncodePlan.from_json(generation.plan)
    return planned_presentation(
        plan,
        {row.name: _measured(row) for row in _own_renditions(generation)},
        growing_iframes=generation.state != GenerationState.COMPLETE
        and not plan.grid.is_open
        and has_keyframes(generation),
    )


def _measured(row: Rendition) -> Measured:
    iframes = None
    if row.keyframe_peak_bitrate:
        iframes = IFrames(peak_bandwidth=row.keyframe_peak_bitrate, average_bandwidth=row.keyframe_avg_bitrate)
    return Measured(peak=row.peak_bitrate, average=row.avg_bitrate, iframes=iframes)


def _own_renditions(generation: Generation) -> list[Rendition]:
    """Return the renditions of one generation in manifests.

    While it grows, those of another codec than the first are among them once every segment of every one of them is
    published: players that prefer it would wait for each of its segments, and could have the first codec.
    """
    rows = list(generation.renditions.order_by("position"))
    plan = EncodePlan.from_json(generation.plan)
    if generation.state == GenerationState.COMPLETE or not plan.later_names:
        return rows
    whole, codecs = whole_renditions(generation), {each.name: each.codec for each in plan.renditions}
    awaited = {codecs[row.name] for row in rows if row.name in plan.later_names and row.name not in whole}
    return [row for row in rows if codecs.get(row.name) not in awaited]
