"""Ends of broadcasts: of one that has something to show, of one that has nothing, and what becomes of the video."""

from uuid import UUID

from django.db.models import Sum
from django.db.models.functions import Now

from events.types import EventType
from jobs.changes.endings import job_fail
from jobs.changes.locks import job_lock, video_lock
from jobs.leasing.claim import Claim
from jobs.leasing.live import live_step_take
from jobs.leasing.steps import step_close, step_complete
from jobs.lifecycle.services import video_drop
from jobs.models import Job, Step
from jobs.rules.retry import Failure
from jobs.rules.transitions import JOB_ENDS
from livestreams.models import Broadcast, Livestream
from livestreams.services.changes import broadcast_move, livestream_event
from livestreams.states import BroadcastState, LivestreamState
from transcoding.probing.description import describe
from videos.models import Generation, Rendition, Video
from videos.selectors import published_prefix
from videos.services import video_mark_recorded
from videos.states import HIDDEN_STATES, RenditionKind

NOTHING_RECEIVED = "nothing_received"
"""Code of broadcasts whose publisher sent nothing that could be encoded."""
_CONTAINER = "flv"


def broadcast_close_locked(*, broadcast: Broadcast, claim: Claim, total_frames: int, code: str, detail: str) -> None:
    """Close the step of a broadcast of a locked live stream, whose source has ended after so many frames.

    The caller completes the step then. `code` and `detail` say why it ended, if that was no ordinary end. Raises
    LeaseLost and what `step_close` raises.
    """
    video = video_lock(broadcast.video_id)
    step_close(claim=claim, total_frames=total_frames)
    if broadcast.state in (BroadcastState.STARTING, BroadcastState.LIVE):
        facts = generation_of(claim).encode_plan.source
        video_mark_recorded(video=video, facts=facts.to_json(), media=describe(_CONTAINER, facts))
        broadcast_move(broadcast, BroadcastState.ENDING, code=code, detail=detail)


def generation_of(claim: Claim) -> Generation:
    """Read the generation that a live step makes. Raises ValueError before it is planned."""
    if claim.generation_id is None:
        raise ValueError("the live step has no generation yet")
    return Generation.objects.get(id=claim.generation_id)


def broadcast_end_locked(*, broadcast: Broadcast, claim: Claim | None, code: str = "", detail: str = "") -> bool:
    """End a broadcast of a locked live stream with what is published of it, or fail it where that is nothing.

    `claim`: that of the caller; None: nobody shall hold the step. False: a worker holds it.
    """
    video = video_lock(broadcast.video_id)
    job = job_lock(broadcast.job_id) if broadcast.job_id else None
    if job is None or job.state in JOB_ENDS:  # cancelled by an operator, or its rows are broken
        broadcast_fail_locked(broadcast=broadcast, video=video, job=job, code=code or "cancelled", detail=detail)
        return True
    held = claim or live_step_take(job=job)
    if held is None:
        return False
    published = Step.objects.values_list("units_done", flat=True).get(id=held.step_id)
    if held.generation_id and published:
        frames = _frames(held.generation_id, published)
        broadcast_close_locked(broadcast=broadcast, claim=held, total_frames=frames, code=code, detail=detail)
        step_complete(claim=held, result={})
    else:
        said = detail or "The publisher sent nothing that could be encoded."
        broadcast_fail_locked(broadcast=broadcast, video=video, job=job, code=code or NOTHING_RECEIVED, detail=said)
    return True


def _frames(generation_id: UUID, segments: int) -> int:
    """Count the frames of the first segments of the video, as they are published."""
    videos = Rendition.objects.filter(generation=generation_id, kind=RenditionKind.VIDEO)
    whole = videos.annotate(published=Sum("runs__segment_count")).filter(published__gte=segments).order_by("position")
    return sum(segment.frames for segment in published_prefix(whole[0])[:segments])


def broadcast_fail_locked(*, broadcast: Broadcast, video: Video, job: Job | None, code: str, detail: str) -> None:
    """Fail a broadcast of a locked live stream, video and job: nothing of it can be played."""
    if job and job.state not in JOB_ENDS:
        job_fail(job=job, failure=Failure(code=code, detail=detail))
    if video.state not in HIDDEN_STATES:
        video_drop(video=video)
    broadcast_move(broadcast, BroadcastState.FAILED, code=code, detail=detail)
    error = {"error": {"code": code, "detail": detail}}
    livestream_event(broadcast.livestream, EventType.LIVESTREAM_FAILED, broadcast=broadcast, data=error)


def broadcast_withdraw(*, broadcast: Broadcast) -> None:
    """Remove a broadcast of a locked live stream that never started, as if nobody had requested it."""
    video = video_lock(broadcast.video_id)
    Broadcast.objects.filter(id=broadcast.id).delete()
    video_drop(video=video)
    newest = Broadcast.objects.filter(livestream=broadcast.livestream_id).order_by("-number").first()
    state = newest.state if newest else LivestreamState.IDLE
    error = (newest.error_code, newest.error_detail) if newest else ("", "")
    stream = Livestream.objects.filter(id=broadcast.livestream_id)
    stream.update(state=state, error_code=error[0], error_detail=error[1])


def broadcast_finish_locked(*, broadcast: Broadcast) -> None:
    """Record that a broadcast of a locked live stream is over, whose recording is complete or was not requested."""
    broadcast_move(broadcast, BroadcastState.ENDED, code=broadcast.error_code, detail=broadcast.error_detail)
    data: dict[str, object] = {"recorded": broadcast.record, "error": None}
    if broadcast.error_code:
        data["error"] = {"code": broadcast.error_code, "detail": broadcast.error_detail}
    livestream_event(broadcast.livestream, EventType.LIVESTREAM_ENDED, broadcast=broadcast, data=data)


def recording_lose(*, broadcast: Broadcast, job: Job) -> None:
    """Record that the recording of a broadcast of a locked live stream cannot be completed. The job may be retried."""
    code, detail = job.error_code or "cancelled", job.error_detail or "The job of the recording was cancelled."
    broadcast_move(broadcast, BroadcastState.FAILED, code=code, detail=detail)
    error = {"error": {"code": code, "detail": detail}}
    livestream_event(broadcast.livestream, EventType.LIVESTREAM_FAILED, broadcast=broadcast, data=error)


def publisher_gone(*, broadcast: Broadcast) -> None:
    """Record that a broadcast of a locked live stream has no publisher any more. It waits for it to return."""
    there = Broadcast.objects.filter(id=broadcast.id, publisher_left_at=None)
    if there.update(publisher_left_at=Now(), client_id=""):
        data = {"reconnect_seconds": broadcast.livestream.reconnect_seconds}
        livestream_event(broadcast.livestream, EventType.LIVESTREAM_RECONNECTING, broadcast=broadcast, data=data)
