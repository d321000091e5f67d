"""Publish the segments of a step: the part that all steps with segments share."""

import time
from collections.abc import Callable, Sequence
from itertools import islice

from jobs.leasing.steps import StepWork, first_chunk_has_node, job_mark_playable, step_publish
from jobs.rules.playable import MAX_SEGMENTS
from storage.keys import run_prefix
from transcoding.planning.encodings import Encoding
from transcoding.planning.plan import ChunkRun, EncodePlan
from videos.models import Generation
from videos.runs import RunFacts
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.steps.publisher import Destination, Publisher
from workers.tools import Tools

AUDIO_NICENESS = 10
"""Niceness of all but the first segments of audio.

Beside an ffmpeg of niceness 0 on full cores it gets a fifth of the processor (measured with x264 on two cores).
"""
BACKGROUND_NICENESS = 19
"""Niceness of what nobody waits for."""
_CHUNK_NICENESS = (0, 10, 15, 19)
"""Niceness of the first chunks; the last one is that of all others."""
UNWATCHED = len(_CHUNK_NICENESS)
"""Number for a chunk of another codec than the first one, which makes it as nice as can be."""
MAKE_WAY_SECONDS = 20
"""Longest pause of a step whose job is not playable yet, while the same node encodes the first chunk.

Two segments take 16 s at half of real time. What waits is either short or has minutes of work before it.
"""
_POLL_SECONDS = 0.2


def make_way(
    work: StepWork, tools: Tools, control: StepControl, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Wait a moment, if somebody waits for the first chunk, and this node encodes it."""
    deadline = time.monotonic() + MAKE_WAY_SECONDS
    _, plan = plan_of(work)
    groups = sum(set(group) <= set(plan.first_names) for group in plan.groups)
    while time.monotonic() < deadline and retry_write(
        lambda: first_chunk_has_node(claim=work.claim, node=tools.node, groups=groups), control
    ):
        control.moved()
        sleep(_POLL_SECONDS)


def chunk_niceness(ordinal: int) -> int:
    """Return the niceness of a chunk by its place in the video.

    Whoever watches during the encode needs the chunks in their order: of two on the same cores, the earlier one has
    nearly all of them. From the fourth on they share evenly, since nobody but root may lower a niceness again; what was
    published ahead of the viewer by then covers it.
    """
    return _CHUNK_NICENESS[min(ordinal, len(_CHUNK_NICENESS) - 1)]


def plan_of(work: StepWork) -> tuple[Generation, EncodePlan]:
    """Return the generation that a step of a job works on, and its plan."""
    if work.generation is None:
        raise ValueError(f"a {work.claim.kind} step belongs to a generation")
    return work.generation, EncodePlan.from_json(work.generation.plan)


def chunk_run_of(work: StepWork) -> ChunkRun:
    """Return the part of its plan that a chunk step does."""
    _, plan = plan_of(work)
    return next(islice(plan.chunk_runs(), work.claim.ordinal, None))


def encoding_of(work: StepWork) -> Encoding:
    """Return the encoding of the renditions of a chunk step."""
    _, plan = plan_of(work)
    return plan.encoding_of(chunk_run_of(work).group)


def publisher_for(
    work: StepWork, names: Sequence[str], tools: Tools, control: StepControl, *, first_segment: int
) -> Publisher:
    """Return a publisher for these renditions of the step. `first_segment` is the first unit of the whole step."""
    (generation, plan), claim = plan_of(work), work.claim
    done = claim.units_done
    beyond = first_segment >= MAX_SEGMENTS or set(names) <= set(plan.later_names)
    reported = beyond or generation.playable_at is not None

    if done and not reported:  # an attempt before this one may have ended between publishing and reporting
        reported = retry_write(lambda: job_mark_playable(claim=claim), control)

    def publish(runs: Sequence[RunFacts], count: int) -> None:
        nonlocal done, reported
        done += count
        retry_write(lambda: step_publish(claim=claim, runs=runs, units_done=done), control)
        control.published()
        if not reported:
            reported = retry_write(lambda: job_mark_playable(claim=claim), control)

    return Publisher(
        store=tools.store,
        destinations={
            rendition.name: Destination(
                rendition_id=rendition.id,
                prefix=run_prefix(work.video.id, generation.number, rendition.name, claim.step_id, claim.attempt),
                init_key=rendition.init_key,
                init_sha256=rendition.init_sha256,
            )
            for rendition in work.renditions
            if rendition.name in names
        },
        first_segment=first_segment + claim.units_done,
        publish=publish,
        every_seconds=tools.config.encode.publish_seconds,
        moved=control.moved,
        parallel=tools.config.storage.parallel_parts,
    )
