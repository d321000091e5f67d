"""Steps and generations whose source has not ended: what a live stream will be."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.dispatching.demand import ticket_demand
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost, step_release
from jobs.leasing.nodes import node_register, slots_alive
from jobs.leasing.steps import job_mark_playable, step_begin, step_close, step_complete, step_publish
from jobs.lifecycle.failures import leases_reclaim
from jobs.lifecycle.outcomes import job_complete
from jobs.models import Job, Step
from jobs.reports.selectors import job_views
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobPhase, JobState, StepState
from operations.statistics import recent_jobs
from tests.rows import a_bare_job, a_policy, a_step, a_video, an_owner, claim_or_none, claimed, expire
from transcoding.containers.verification import PublishedRun, verify_rendition
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from videos.models import Generation, Rendition, SegmentRun, Video
from videos.playback.playlists import WINDOW_SEGMENTS
from videos.playback.tokens import token_make
from videos.runs import RunFacts
from videos.selectors import newest_segments
from videos.services import RenditionPlan, VerifiedRendition, generation_create
from videos.states import GenerationState, RenditionState

GOP_FRAMES = 50
"""At 25 frames per second; a segment is one GOP of 2 s."""
TICKS = 50_000
FRAMES = 20 * GOP_FRAMES - 10
"""Twenty segments, the last one shorter."""

pytestmark = pytest.mark.django_db


def an_open_plan(video: Video) -> EncodePlan:
    """The plan of one rendition of a source that goes on, in segments of one GOP."""
    facts = SourceFacts.from_json(video.facts)
    plan = plan_job(facts, JobRequest(resolution="360p"), a_policy().plan)
    return replace(plan, source=replace(facts, total_frames=None), chunks=(), sizing=None, segment_gops=1)


def an_open_job(video: Video | None = None) -> Job:
    """A job with one open step, which encodes everything, and `finish` behind it."""
    video = video or a_video(audio=False)
    plan = an_open_plan(video)
    job = Job.objects.create(owner=video.owner, video=video, priority=50, request={}, open_steps=1)
    rendition = RenditionPlan(
        name="360p",
        kind="video",
        bitrate=plan.renditions[0].bitrate,
        codecs=plan.renditions[0].codecs,
        timescale=plan.grid.timescale,
        total_segments=None,
    )
    job.generation = generation_create(video=video, job_id=job.id, plan=plan.to_json(), renditions=[rendition])
    job.save(update_fields=["generation"])
    a_step(job, units_total=None, payload={})
    a_step(job, kind=StepKind.FINISH, units_total=0, payload={}, state=StepState.WAITING)
    return job


def a_segment(rendition: Rendition, number: int, *, frames: int = GOP_FRAMES) -> RunFacts:
    """A run of one segment, as an open step publishes it."""
    return RunFacts(
        rendition_id=rendition.id,
        key_prefix="p/",
        first_segment=number,
        durations=(frames * TICKS // GOP_FRAMES,),
        sizes=(1_000,),
        digests=("d" * 64,),
        frames=(frames,),
        init_key="p/init.mp4",
        init_sha256="i",
    )


def publish(claim: Claim, first: int, end: int, *, last_frames: int = GOP_FRAMES) -> None:
    rendition = Rendition.objects.get(generation=claim.generation_id)
    for number in range(first, end):
        frames = last_frames if number == end - 1 else GOP_FRAMES
        step_publish(claim=claim, runs=[a_segment(rendition, number, frames=frames)], units_done=number + 1)


def playlist(client: Client, job: Job) -> tuple[list[str], str]:
    """The lines of the playlist as players get it, and its Cache-Control."""
    token = token_make(job.video_id, expires_at=int(time.time()) + 60)
    answer = client.get(f"/play/{token}/{Generation.objects.get(job_id=job.id).number}/360p/index.m3u8")
    assert answer.status_code == 200
    return answer.content.decode().splitlines(), answer.headers["Cache-Control"]


def dash_status(client: Client, job: Job) -> int:
    token = token_make(job.video_id, expires_at=int(time.time()) + 60)
    return client.get(f"/play/{token}/{Generation.objects.get(job_id=job.id).number}/manifest.mpd").status_code


def segments_of(lines: list[str]) -> list[str]:
    return [line for line in lines if line.endswith(".m4s")]


def test_an_open_step_is_claimed_published_closed_and_finished(client: Client) -> None:
    job = an_open_job()
    claim = claimed()
    assert (claim.kind, claim.units_total) == (StepKind.CHUNK, None)
    assert step_begin(claim=claim).job is not None

    publish(claim, 0, 9)
    assert job_mark_playable(claim=claim)
    live, cache = playlist(client, job)
    assert "#EXT-X-MEDIA-SEQUENCE:3" in live
    assert segments_of(live) == [f"{number}.m4s" for number in range(3, 9)]
    assert not [line for line in live if line.startswith(("#EXT-X-PLAYLIST-TYPE", "#EXT-X-ENDLIST", "#EXT-X-START"))]
    assert cache == "public, max-age=1"
    assert dash_status(client, job) == 404, "a DASH manifest states the duration"

    publish(claim, 9, 20, last_frames=GOP_FRAMES - 10)
    step_close(claim=claim, total_frames=FRAMES)
    step_close(claim=claim, total_frames=FRAMES)  # the answer to the first commit was lost
    assert Step.objects.get(id=claim.step_id).units_total == Rendition.objects.get().total_segments == 20
    assert dash_status(client, job) == 200
    growing, _ = playlist(client, job)
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in growing
    assert "#EXT-X-MEDIA-SEQUENCE:0" in growing
    assert len(segments_of(growing)) == 20

    step_complete(claim=claim, result={})
    finish = claimed()
    assert finish.kind is StepKind.FINISH
    plan = EncodePlan.from_json(Generation.objects.get().plan)
    runs = [
        PublishedRun(first_segment=run.first_segment, durations=run.durations, frames=run.frames, sizes=run.sizes)
        for run in SegmentRun.objects.order_by("first_segment")
    ]
    totals = verify_rendition(plan, "360p", runs)
    assert (totals.segments, totals.frames) == (20, FRAMES)
    step_begin(claim=finish)
    measured = VerifiedRendition(
        rendition_id=Rendition.objects.get().id, peak_bitrate=2, avg_bitrate=1, size_bytes=3, sha256="c"
    )
    job_complete(claim=finish, verified=[measured], result={})
    job.refresh_from_db()
    assert job.state == JobState.COMPLETED
    whole, cache = playlist(client, job)
    assert whole[-1] == "#EXT-X-ENDLIST"
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in whole
    assert cache == "public, max-age=3600"


def test_what_its_source_paced_counts_in_no_speed() -> None:
    job = an_open_job()
    claim = claimed()
    step_begin(claim=claim)
    publish(claim, 0, 1)
    step_close(claim=claim, total_frames=GOP_FRAMES)
    step_complete(claim=claim, result={})
    job_complete(claim=claimed(), verified=[], result={})
    job.refresh_from_db()
    assert job.metadata["processing_time_seconds"] > 0
    assert "processing_speed" not in job.metadata
    recent = recent_jobs(window_seconds=60)
    assert (recent.completed, recent.mean_speed) == (1, None)


def test_a_window_never_goes_back_and_is_short_at_the_beginning(client: Client) -> None:
    job = an_open_job()
    claim = claimed()
    step_begin(claim=claim)
    first = []
    for number in range(10):
        publish(claim, number, number + 1)
        job_mark_playable(claim=claim)
        if number > 0:
            lines, _ = playlist(client, job)
            assert segments_of(lines)[-1] == f"{number}.m4s"
            (sequence,) = (line.rpartition(":")[2] for line in lines if line.startswith("#EXT-X-MEDIA-SEQUENCE"))
            first.append(int(sequence))
    assert first == [0, 0, 0, 0, 0, 1, 2, 3, 4]


def test_a_window_does_not_reach_over_a_gap() -> None:
    an_open_job()
    rendition = Rendition.objects.get()
    for number, count in ((0, 3), (4, 1), (5, 3)):
        SegmentRun.objects.create(
            rendition=rendition, step_id=rendition.id, attempt=1, key_prefix="p/", first_segment=number,
            segment_count=count, durations=[TICKS] * count, sizes=[1] * count, digests=["d"] * count,
            frames=[GOP_FRAMES] * count,
        )  # fmt: skip
    assert [segment.number for segment in newest_segments(rendition, WINDOW_SEGMENTS)] == [4, 5, 6, 7]
    assert [segment.number for segment in newest_segments(rendition, 2)] == [6, 7]
    assert newest_segments(rendition, 1)[0].key == "p/7.m4s"


def test_a_window_reads_its_own_rows_only() -> None:
    an_open_job()
    rendition = Rendition.objects.get()
    SegmentRun.objects.bulk_create(
        SegmentRun(
            rendition=rendition, step_id=rendition.id, attempt=1, key_prefix="p/", first_segment=number,
            segment_count=1, durations=[TICKS], sizes=[1], digests=["d"], frames=[GOP_FRAMES],
        )
        for number in range(1_000)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE videos_segmentrun")
    with CaptureQueriesContext(connection) as queries:
        assert len(newest_segments(rendition, WINDOW_SEGMENTS)) == WINDOW_SEGMENTS
    assert len(queries) == 1
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) " + queries[0]["sql"])
        explained = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan Backward using videos_run_first_segment" in explained
    assert "Seq Scan" not in explained
    assert max(float(rows) for rows in re.findall(r"actual rows=([\d.]+)", explained)) == WINDOW_SEGMENTS


def test_nothing_open_can_be_done() -> None:
    an_open_job()
    claim = claimed()
    publish(claim, 0, 3)
    with pytest.raises(IntegrityError, match="jobs_step_done_is_whole"), transaction.atomic():
        step_complete(claim=claim, result={})
    with pytest.raises(IntegrityError, match="videos_rendition_completed_is_closed"), transaction.atomic():
        Rendition.objects.update(state=RenditionState.COMPLETED)
    assert Generation.objects.get().state == GenerationState.BUILDING


def test_a_closed_step_is_done_only_with_all_of_its_segments() -> None:
    an_open_job()
    claim = claimed()
    publish(claim, 0, 3)
    step_close(claim=claim, total_frames=4 * GOP_FRAMES)
    with pytest.raises(IntegrityError, match="jobs_step_done_is_whole"), transaction.atomic():
        step_complete(claim=claim, result={})
    publish(claim, 3, 4)
    step_complete(claim=claim, result={})


def test_what_is_published_cannot_be_left_out_of_the_end() -> None:
    an_open_job()
    claim = claimed()
    publish(claim, 0, 3)
    with pytest.raises(IntegrityError, match="jobs_step_units"), transaction.atomic():
        step_close(claim=claim, total_frames=2 * GOP_FRAMES)
    assert Rendition.objects.get().total_segments is None
    step_close(claim=claim, total_frames=3 * GOP_FRAMES)
    with pytest.raises(ValueError, match="150 frames, not 200"):
        step_close(claim=claim, total_frames=4 * GOP_FRAMES)


def test_only_the_lease_s_holder_closes_and_the_next_attempt_goes_on() -> None:
    job = an_open_job()
    claim = claimed()
    step_begin(claim=claim)
    publish(claim, 0, 3)
    expire(claim.step_id)
    leases_reclaim(policy=a_policy())
    with pytest.raises(LeaseLost), transaction.atomic():
        step_close(claim=claim, total_frames=3 * GOP_FRAMES)
    assert Rendition.objects.get().total_segments is None
    again = claimed()
    assert (again.step_id, again.attempt, again.units_done, again.units_total) == (claim.step_id, 2, 3, None)
    publish(again, 3, 4)
    assert step_release(claim=again)
    third = claimed()
    step_close(claim=third, total_frames=4 * GOP_FRAMES)
    step_complete(claim=third, result={})
    assert claimed().kind is StepKind.FINISH
    assert Job.objects.get(id=job.id).phase == JobPhase.ENCODING


def _running(owner: str, *, units_total: int | None, steps: int) -> Video:
    video = a_video(an_owner(owner))
    job = a_bare_job(video)
    for ordinal in range(steps):
        lease: dict[str, Any] = {"lease_expires_at": "2099-01-01T00:00:00Z", "node": "n", "worker_pid": 1, "attempt": 1}
        a_step(job, ordinal=ordinal, units_total=units_total, state=StepState.RUNNING, **lease)
    return video


@pytest.mark.parametrize(("units_total", "first"), [(None, "ann"), (1, "bob")])
def test_open_steps_do_not_count_in_an_owners_share(units_total: int | None, first: str) -> None:
    """Bob has two steps running. Ann's streams go on for hours: her films must not wait for their end."""
    streams = _running("ann", units_total=units_total, steps=3)
    films = _running("bob", units_total=1, steps=2)
    for video in (streams, films):
        job = a_bare_job(video)
        for ordinal in range(4):
            a_step(job, ordinal=ordinal, rank_at="2026-01-01T00:00:10Z")
    claim = claimed()
    assert Video.objects.get(id=claim.video_id).owner.name == first


def test_an_open_step_holds_its_slot() -> None:
    """Its process takes no ticket, and nobody can expect its slot to become free."""
    node_register(name="n1", queues=["cpu"], slots=2, pid=1, info={})
    an_open_job()
    assert ticket_demand(silence_seconds=20) == {"cpu": 1}
    assert slots_alive(queue="cpu", silence_seconds=20) == 2
    assert claim_or_none(node="n1")
    job = a_bare_job(a_video())
    for ordinal in range(3):
        a_step(job, ordinal=ordinal)
    assert ticket_demand(silence_seconds=20) == {"cpu": 1}
    assert slots_alive(queue="cpu", silence_seconds=20) == 1
    assert claim_or_none(node="n1")
    assert slots_alive(queue="cpu", silence_seconds=20) == 1, "a step with an end frees its slot"


def test_nobody_knows_how_far_an_open_job_is(client: Client) -> None:
    job = an_open_job()
    claim = claimed()
    step_begin(claim=claim)
    publish(claim, 0, 5)
    (view,) = job_views(list(Job.objects.filter(id=job.id).select_related("video")))
    assert (view.progress, view.speed, view.eta_seconds) == (0, None, None)
    plan = client.get(f"/api/v1/jobs/{job.id}/plan").json()
    assert (plan["duration"], plan["total_frames"], plan["total_segments"], plan["steps"]) == (None, None, None, [])
    step_close(claim=claim, total_frames=5 * GOP_FRAMES)
    (view,) = job_views(list(Job.objects.filter(id=job.id).select_related("video")))
    assert view.progress == 99
    assert client.get(f"/api/v1/jobs/{job.id}/plan").json()["total_segments"] == 5
