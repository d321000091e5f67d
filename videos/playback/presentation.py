"""The tracks of a generation as its manifests describe them, from its rows and its plan."""

from transcoding.manifests.planned import planned_presentation
from transcoding.manifests.variants import Presentation
from transcoding.planning.plan import EncodePlan
from videos.models import Generation


def generation_presentation(generation: Generation) -> Presentation:
    """List what players choose from, but renditions that were deleted."""
    averages = {row.name: row.avg_bitrate for row in generation.renditions.all()}
    return planned_presentation(EncodePlan.from_json(generation.plan), averages)
