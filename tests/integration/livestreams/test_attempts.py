"""The live step: what its worker writes, what a takeover finds, and the recording at the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models.functions import Now

from configuration import RetryConfig
from events.models import Event
from jobs.changes.endings import job_cancel_locked
from jobs.leasing.leases import LeaseLost, step_release
from jobs.leasing.steps import step_begin
from jobs.lifecycle.failures import leases_reclaim, step_fail
from jobs.lifecycle.outcomes import job_complete
from jobs.models import Job, Step
from jobs.rules.retry import Failure
from jobs.rules.steps import LIVE_QUEUE, StepKind
from jobs.rules.transitions import JobPhase, JobState, StepState
from livestreams.models import Broadcast, Period, Refusal
from livestreams.services import attempts
from livestreams.services.publishing import publisher_left
from livestreams.services.streams import livestream_stop
from livestreams.services.watch import broadcasts_watch
from livestreams.states import BroadcastState
from storage.keys import segment_key
from tests.live_rows import GOP_FRAMES, Stream, a_live_node, a_live_plan, a_stream, closed, live, publish, started
from tests.rows import a_policy, claimed, expire, state_of
from videos.models import Generation, Rendition, SegmentRun
from videos.services import VerifiedRendition
from videos.states import GenerationState, VideoState

pytestmark = pytest.mark.django_db


@pytest.fixture
def stream() -> Stream:
    a_live_node()
    return a_stream()


def types() -> list[str]:
    return list(Event.objects.order_by("id").values_list("type", flat=True))


def test_a_broadcast_is_planned_by_its_worker_once_and_a_takeover_finds_the_plan(stream: Stream) -> None:
    first = started(stream)
    generation, renditions, planned = attempts.broadcast_plan(claim=first, plan=a_live_plan())
    assert planned.generation_id == generation.id
    assert [(each.name, each.total_segments) for each in renditions] == [("360p", None)]
    publish(planned, 0, 2)
    expire(first.step_id)
    assert leases_reclaim(policy=a_policy()) == 1
    assert state_of(first.step_id) is StepState.READY
    second = claimed(queue=LIVE_QUEUE)
    assert (second.generation_id, second.units_done, second.attempt) == (generation.id, 2, 2)
    again, _, _ = attempts.broadcast_plan(claim=second, plan=a_live_plan())
    assert again == generation
    with pytest.raises(LeaseLost):
        attempts.broadcast_control(claim=first)
    with pytest.raises(LeaseLost):
        attempts.reader_ready(claim=first)


def test_players_get_a_broadcast_with_its_first_segment(stream: Stream) -> None:
    claim = live(stream, segments=1)
    attempts.broadcast_live(claim=claim)  # repeated
    broadcast = stream.broadcast
    assert (broadcast.state, stream.state, broadcast.live_at is None) == ("live", "live", False)
    assert broadcast.video.current_generation_id == claim.generation_id
    assert types().count("livestream.live") == types().count("job.playable") == 1
    job = step_begin(claim=claim).job
    assert job is not None
    assert job.phase == JobPhase.ENCODING


def test_a_broadcast_that_ends_is_verified_and_an_ordinary_video(stream: Stream) -> None:
    claim = live(stream, segments=3)
    closed(claim, 3 * GOP_FRAMES)
    broadcast = stream.broadcast
    assert (broadcast.state, stream.state) == ("ending", "ending")
    media = broadcast.video.media or {}
    assert (broadcast.video.state, media["duration"], media["width"]) == (VideoState.READY, 6.0, 640)
    assert broadcast.video.source_deleted_at is not None
    finish = claimed()
    assert finish.kind is StepKind.FINISH
    rendition = Rendition.objects.get(generation=claim.generation_id)
    assert rendition.total_segments == 3
    verified = VerifiedRendition(
        rendition_id=rendition.id, peak_bitrate=1, avg_bitrate=1, size_bytes=3_000, sha256="a" * 64
    )
    job_complete(claim=finish, verified=[verified], result={})
    broadcasts_watch()
    assert (stream.broadcast.state, stream.state) == ("ended", "ended")
    assert types()[-1] == "livestream.ended"
    broadcasts_watch()
    assert types().count("livestream.ended") == 1


def test_files_are_made_of_a_recording_if_they_are_requested() -> None:
    a_live_node()
    claim = live(a_stream(mp4=True))
    kinds = Step.objects.filter(job=claim.job_id).values_list("kind", "state")
    assert sorted(kinds) == [("finish", "waiting"), ("live", "running"), ("remux", "waiting")]
    closed(claim, 3 * GOP_FRAMES)
    assert claimed().kind is StepKind.REMUX


@pytest.mark.parametrize("code", ["internal_error", "input_corrupt", "worker_lost"])
def test_no_failure_ends_a_broadcast_whose_publisher_is_there(stream: Stream, code: str) -> None:
    claim = live(stream)
    policy = a_policy(retry=RetryConfig(max_failures=1, poison_attempts=1))
    failure = Failure(code=code, input_at_fault=code == "input_corrupt", lost=code == "worker_lost")
    for _ in range(7):
        assert step_fail(claim=claim, failure=failure, policy=policy) in (StepState.READY, StepState.DELAYED)
        assert not Step.objects.filter(id=claim.step_id, not_before__gt=Now() + timedelta(seconds=3)).exists()
        Step.objects.filter(id=claim.step_id).update(state=StepState.READY, not_before=None)
        claim = claimed(queue=LIVE_QUEUE)
    assert stream.broadcast.state == BroadcastState.LIVE
    assert Job.objects.get().state == JobState.PROCESSING


def test_a_released_step_asks_no_device_of_its_next_worker(stream: Stream) -> None:
    claim = live(stream)
    Step.objects.filter(id=claim.step_id).update(encoder="h264_nvenc", sessions=1, device="GPU-1")
    assert step_release(claim=claim)
    assert claimed(queue=LIVE_QUEUE).step_id == claim.step_id


def test_periods_say_where_the_clock_jumps(stream: Stream) -> None:
    claim = live(stream)
    now = datetime.now(UTC)
    for _ in range(2):
        attempts.period_begin(claim=claim, first_segment=3, starts_at=now)
    periods = Period.objects.filter(broadcast=stream.broadcast).order_by("first_segment")
    assert [(each.first_segment, each.attempt) for each in periods] == [(0, 1), (3, 1)]


def test_what_arrives_is_shown_and_its_changes_are_events(stream: Stream) -> None:
    claim = live(stream)
    for bitrate, silent in ((4e6, 0.0), (4.5e6, 0.1), (1e6, 1.5), (1.1e6, 1.6)):
        attempts.health_record(claim=claim, health={"bitrate": bitrate, "silent_seconds": silent})
    assert stream.broadcast.health["bitrate"] == 1.1e6
    found = {kind: types().count(f"livestream.{kind}") for kind in ("bitrate_change", "buffer_underflow")}
    assert found == {"bitrate_change": 1, "buffer_underflow": 1}


def test_a_silence_begins_and_ends_once(stream: Stream) -> None:
    claim = live(stream)
    for _ in range(2):
        attempts.publisher_lost(claim=claim)
    silent = stream.broadcast.silent_since
    for _ in range(2):
        attempts.publisher_restored(claim=claim)
    assert (silent is None, stream.broadcast.silent_since) == (False, None)
    assert types()[-2:] == ["livestream.connection_lost", "livestream.connection_restored"]


def test_the_lower_limit_counts() -> None:
    a_live_node()
    claim = live(a_stream(max_bitrate=1_000_000))
    control = attempts.broadcast_control(claim=claim)
    assert (control.max_bitrate, control.max_height) == (1_000_000, 2160)


def test_a_broadcast_over_a_limit_fails_with_the_reason_and_leaves_nothing(stream: Stream) -> None:
    claim = started(stream)
    attempts.broadcast_fail(claim=claim, code="resolution_exceeded", detail="2160 lines; 1080 are allowed")
    broadcast = stream.broadcast
    assert (broadcast.state, broadcast.error_code, stream.state) == ("failed", "resolution_exceeded", "failed")
    assert (broadcast.video.state, Job.objects.get().state) == (VideoState.DELETING, JobState.FAILED)
    assert Refusal.objects.get().code == "resolution_exceeded"
    assert types()[-1] == "livestream.failed"
    with pytest.raises(LeaseLost):
        attempts.broadcast_control(claim=claim)
    started(stream, "2")
    assert (stream.broadcast.number, stream.state, stream.row.error_code) == (2, "starting", "")


def test_what_was_published_before_a_limit_was_exceeded_is_the_recording(stream: Stream) -> None:
    claim = live(stream, segments=2)
    attempts.broadcast_fail(claim=claim, code="bitrate_exceeded", detail="too much")
    broadcast = stream.broadcast
    assert (broadcast.state, broadcast.error_code, broadcast.video.state) == ("ending", "bitrate_exceeded", "ready")
    assert claimed().kind is StepKind.FINISH
    assert Rendition.objects.get().total_segments == 2


def test_a_stop_and_an_absence_that_no_worker_sees_end_the_broadcast(stream: Stream) -> None:
    claim = live(stream, segments=2)
    step_release(claim=claim)
    livestream_stop(livestream=stream.row)
    broadcasts_watch()
    assert stream.broadcast.state == "live"  # a worker may come yet
    Broadcast.objects.update(stop_requested_at=Now() - timedelta(seconds=30))
    broadcasts_watch()
    assert stream.broadcast.state == "ending"
    assert claimed().kind is StepKind.FINISH

    other = a_stream(reconnect_seconds=20)
    step_release(claim=live(other, segments=1))
    publisher_left(other.publisher())
    Broadcast.objects.filter(livestream=other.row).update(publisher_left_at=Now() - timedelta(seconds=26))
    broadcasts_watch()
    assert other.broadcast.state == "ending"


def test_a_worker_that_holds_a_broadcast_ends_it_itself(stream: Stream) -> None:
    live(stream)
    Broadcast.objects.update(stop_requested_at=Now() - timedelta(seconds=30))
    broadcasts_watch()
    assert stream.broadcast.state == "live"


def test_a_publisher_that_sends_nothing_leaves_nothing(stream: Stream) -> None:
    claim = started(stream)
    step_release(claim=claim)
    publisher_left(stream.publisher())
    Broadcast.objects.update(publisher_left_at=Now() - timedelta(seconds=60))
    broadcasts_watch()
    broadcast = stream.broadcast
    assert (broadcast.state, broadcast.error_code) == ("failed", "nothing_received")
    assert broadcast.video.state == VideoState.DELETING


def test_a_job_that_ends_otherwise_ends_its_broadcast(stream: Stream) -> None:
    live(stream)
    job_cancel_locked(job=Job.objects.get())
    broadcasts_watch()
    assert (stream.broadcast.state, stream.state) == ("failed", "failed")


def test_a_recording_that_cannot_be_verified_is_said_to_have_failed(stream: Stream) -> None:
    closed(live(stream), 3 * GOP_FRAMES)
    failure = Failure(code="verification_failed", detail="a segment is missing")
    step_fail(claim=claimed(), failure=failure, policy=a_policy())
    broadcasts_watch()
    broadcast = stream.broadcast
    assert (broadcast.state, broadcast.error_code) == ("failed", "verification_failed")
    assert broadcast.video.state == VideoState.READY  # its job may be retried


def test_of_a_stream_that_is_not_recorded_only_the_window_is_stored() -> None:
    a_live_node()
    stream = a_stream(record=False, dvr_seconds=60)
    claim = live(stream, segments=5)
    keys = attempts.window_expire(claim=claim, keep_from_segment=2)
    assert keys == [segment_key("p0/", 0), segment_key("p1/", 1)]
    assert attempts.window_expire(claim=claim, keep_from_segment=2) == []
    assert sorted(SegmentRun.objects.values_list("first_segment", flat=True)) == [2, 3, 4]
    closed(claim, 5 * GOP_FRAMES)
    assert not Step.objects.filter(kind=StepKind.FINISH).exists()
    broadcasts_watch()
    broadcast = stream.broadcast
    assert (broadcast.state, broadcast.video.state) == ("ended", VideoState.DELETING)
    assert Job.objects.get().state == JobState.COMPLETED
    purge = Step.objects.get(kind=StepKind.PURGE)
    assert Step.objects.filter(id=purge.id, not_before__gt=Now() + timedelta(seconds=100)).exists()
    assert Generation.objects.get().state == GenerationState.BUILDING  # its last players have it yet


def test_of_a_recorded_stream_nothing_expires(stream: Stream) -> None:
    claim = live(stream, segments=5)
    assert attempts.window_expire(claim=claim, keep_from_segment=4) == []
    assert SegmentRun.objects.count() == 5
