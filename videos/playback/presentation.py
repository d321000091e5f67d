"""The tracks of a generation as its manifests describe them, from its rows and its plan."""

from transcoding.manifests.planned import Measured, planned_presentation
from transcoding.manifests.variants import IFrames, Presentation
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition
from videos.selectors import has_keyframes
from videos.states import GenerationState


def generation_presentation(generation: Generation) -> Presentation:
    """List what players choose from, but renditions that were deleted."""
    plan = EncodePlan.from_json(generation.plan)
    return planned_presentation(
        plan,
        {row.name: _measured(row) for row in generation.renditions.all()},
        growing_iframes=generation.state != GenerationState.COMPLETE
        and not plan.grid.is_open
        and has_keyframes(generation),
    )


def _measured(row: Rendition) -> Measured:
    iframes = None
    if row.keyframe_peak_bitrate:
        iframes = IFrames(peak_bandwidth=row.keyframe_peak_bitrate, average_bandwidth=row.keyframe_avg_bitrate)
    return Measured(peak=row.peak_bitrate, average=row.avg_bitrate, iframes=iframes)
