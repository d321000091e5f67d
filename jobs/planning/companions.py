"""Generations that stand beside the one that plays: their video is added to it, and they do not take its place."""

from dataclasses import dataclass, replace
from uuid import UUID

from transcoding.errors import BesideRefused
from transcoding.planning.beside import refuse_beside
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Video
from videos.states import GONE_STATES, GenerationState


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The generation that players have, its plan, and all codecs that they have or will have with it."""

    generation: Generation
    plan: EncodePlan
    codecs: frozenset[str]


def base_of(video: Video, *, job_id: UUID | None = None) -> Base:
    """Return what a generation of this video can stand beside. Another one of the same job does not count.

    Raises BesideRefused where players have nothing that is complete.
    """
    generation = video.current_generation
    if generation is None or generation.state != GenerationState.COMPLETE:
        raise BesideRefused(
            "the video has nothing yet that is complete; transcode it first, without beside", field="beside"
        )
    companions = Generation.objects.filter(beside=generation).exclude(state__in=GONE_STATES)
    if job_id is not None:
        companions = companions.exclude(job_id=job_id)
    plan, *others = (EncodePlan.from_json(each.plan) for each in [generation, *companions])
    codecs = frozenset(encoding.codec for each in [plan, *others] for encoding in each.encodings)
    return Base(generation=generation, plan=plan, codecs=codecs)


def plan_beside(plan: EncodePlan, base: Base) -> EncodePlan:
    """Return a plan whose renditions stand beside those of another one, with the same audio. Raises BesideRefused."""
    refuse_beside(plan, base.plan, base.codecs)
    return replace(plan, audio=base.plan.audio)
