"""The tracks of a generation as its manifests describe them, from its rows and its plan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from transcoding.manifests.planned import Measured, planned_presentation
from transcoding.manifests.variants import IFrames, Presentation
from videos.models import Generation, Rendition
from videos.playback.texts import generation_texts
from videos.selectors import companions_of, has_keyframes, whole_renditions
from videos.states import GenerationState, RenditionKind

_COMPATIBLE = "avc1"
"""Sample entry of H.264, which every player plays."""


def listed_renditions(generation: Generation, *, bundled: bool = False) -> dict[Generation, list[Rendition]]:
    """Read the renditions in manifests: its own in the plan's order, then the video of its companions.

    `bundled`: in manifests that lie beside the files of the generation, and no others.
    """
    if bundled:
        return {generation: _own_renditions(generation)}
    added = {
        companion: [row for row in _own_renditions(companion) if row.kind == RenditionKind.VIDEO]
        for companion in companions_of(generation)
    }
    return {generation: _own_renditions(generation), **added}


def generation_presentation(generation: Generation, listed: Mapping[Generation, Sequence[Rendition]]) -> Presentation:
    """List what players choose from: the `listed_renditions` of a generation, and its texts."""
    own = _presentation_of(generation, listed[generation])
    added = [
        replace(video, folder=f"../{companion.number}/")
        for companion, rows in listed.items()
        if companion != generation
        for video in _presentation_of(companion, rows).videos
    ]
    # Players begin with the first one, so it should be one that all of them play.
    videos = sorted([*own.videos, *added], key=lambda video: video.sample_entry != _COMPATIBLE) if added else own.videos
    return replace(own, videos=tuple(videos), texts=tuple(generation_texts(generation, generation.encode_plan)))


def _presentation_of(generation: Generation, rows: Sequence[Rendition]) -> Presentation:
    plan = generation.encode_plan
    return planned_presentation(
        plan,
        {row.name: _measured(row) for row in rows},
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
    plan = generation.encode_plan
    if generation.state == GenerationState.COMPLETE or not plan.later_names:
        return rows
    whole, codecs = whole_renditions(generation), {each.name: each.codec for each in plan.renditions}
    awaited = {codecs[row.name] for row in rows if row.name in plan.later_names and row.name not in whole}
    return [row for row in rows if codecs.get(row.name) not in awaited]
