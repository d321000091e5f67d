"""The last step of a job: verify that the segments of all chunks join, then complete the generation."""

from collections.abc import Sequence
from hashlib import sha256

from jobs.leasing.steps import StepWork
from jobs.lifecycle.outcomes import job_complete
from jobs.rules.steps import LEFT_OBJECTS
from storage.keys import generation_prefix
from transcoding.containers.boxes import read_init
from transcoding.containers.segments import check_audio_init, check_video_init
from transcoding.containers.verification import PublishedRun, digest_of, verify_rendition
from transcoding.errors import VerificationFailed
from transcoding.manifests.hls.media import target_seconds
from transcoding.manifests.hls.rates import average_rate, peak_rate
from transcoding.planning.plan import EncodePlan
from videos.assets.selectors import generation_assets
from videos.models import Asset, Generation, Rendition, SegmentRun
from videos.selectors import generation_runs, published_keyframes, run_segments
from videos.services import VerifiedRendition
from videos.states import AssetKind, RenditionKind
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.steps.publishing import plan_of
from workers.tools import Tools


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Compare every rendition's runs and init segment with the plan. Takes a short time, however long the video is."""
    generation, plan = plan_of(work)
    runs = generation_runs(generation)
    verified = []
    for rendition in work.renditions:
        control.moved()
        init = _verify_init(rendition, plan, tools)
        verified.append(_verify_joins(rendition, plan, runs.get(rendition.id, []), init_bytes=len(init)))
    assets = list(generation_assets(generation))
    _verify_assets(plan, assets, tools)
    removed = _tidy(work, generation, [run for each in runs.values() for run in each], assets, tools)
    result = {"objects_removed": removed}
    retry_write(lambda: job_complete(claim=work.claim, verified=verified, result=result), control)


def _tidy(
    work: StepWork, generation: Generation, runs: Sequence[SegmentRun], assets: Sequence[Asset], tools: Tools
) -> int:
    """Delete the objects of lost attempts, which no row names. All other steps of the generation are done by now."""
    named = {segment.key for run in runs for segment in run_segments(run)}
    named |= {rendition.init_key for rendition in work.renditions} | {asset.key for asset in assets}
    prefix = generation_prefix(work.video.id, generation.number)
    garbage = [
        stored.key
        for stored in tools.store.list(prefix)
        if stored.key.endswith(LEFT_OBJECTS) and stored.key not in named
    ]
    tools.store.delete(garbage)
    return len(garbage)


def _verify_init(rendition: Rendition, plan: EncodePlan, tools: Tools) -> bytes:
    """Read an init segment from the store, and compare it with its published digest and with the plan."""
    data = tools.store.get(rendition.init_key)
    if sha256(data).hexdigest() != rendition.init_sha256:
        raise VerificationFailed(f"{rendition.name}: the stored init segment is not the one that was published")
    if rendition.kind == RenditionKind.AUDIO:
        check_audio_init(read_init(data), next(track for track in plan.audio if track.name == rendition.name))
        return data
    planned = next(planned for planned in plan.renditions if planned.name == rendition.name)
    check_video_init(read_init(data), planned, plan)
    return data


def _verify_assets(plan: EncodePlan, assets: Sequence[Asset], tools: Tools) -> None:
    """Check that every planned asset is published and stored. The steps that made them verified their content."""
    planned = {(AssetKind.MP4, name) for name in plan.mp4_names} | {(AssetKind.M4A, name) for name in plan.m4a_names}
    missing = planned - {(AssetKind(asset.kind), asset.name) for asset in assets}
    if missing:
        raise VerificationFailed(f"there is no {' '.join(min(missing))}")
    for asset in assets:
        if tools.store.head(asset.key).size != asset.size_bytes:
            raise VerificationFailed(f"{asset.name}: the stored {asset.kind} is not the one that was made")


def _verify_joins(
    rendition: Rendition, plan: EncodePlan, runs: Sequence[SegmentRun], *, init_bytes: int
) -> VerifiedRendition:
    published = [
        PublishedRun(first_segment=run.first_segment, durations=run.durations, frames=run.frames, sizes=run.sizes)
        for run in runs
    ]
    totals = verify_rendition(plan, rendition.name, published)
    digests = [digest for run in runs for digest in run.digests]
    keyframes = published_keyframes(rendition)
    sizes, ticks = [each.size for each in keyframes], [each.duration for each in keyframes]
    target = target_seconds(plan.grid.segment_seconds)
    return VerifiedRendition(
        rendition_id=rendition.id,
        peak_bitrate=totals.peak_bandwidth,
        avg_bitrate=totals.average_bandwidth,
        size_bytes=init_bytes + totals.size,
        sha256=digest_of([rendition.init_sha256, *digests]),
        keyframe_peak_bitrate=peak_rate(sizes, ticks, timescale=rendition.timescale, target_seconds=target) or None,
        keyframe_avg_bitrate=average_rate(sizes, ticks, timescale=rendition.timescale) or None,
    )
