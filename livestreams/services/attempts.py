"""Fenced reads and writes of the live step. Each raises LeaseLost once the claim does not hold, and may be repeated."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F, Q
from django.db.models.functions import Extract, Now

from events.types import EventType
from jobs.changes.cache_invalidation import job_changed
from jobs.changes.events import event_append
from jobs.changes.locks import job_lock, video_lock
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost, fenced
from jobs.models import Job
from jobs.planning.live import live_plan_carry_out
from jobs.wiring import job_policy
from livestreams.models import Broadcast, Period
from livestreams.services.changes import broadcast_move, livestream_event, livestream_lock
from livestreams.services.endings import broadcast_close_locked, broadcast_end_locked, generation_of
from livestreams.services.refusals import refusal_record
from livestreams.states import OPEN_STATES, BroadcastState, RefusalCode
from livestreams.tokens import token_make
from livestreams.wiring import livestream_config
from storage.keys import segment_key
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition, SegmentRun
from videos.services import generation_mark_playable

_TOKEN_SECONDS = 60
_FRESH_SECONDS = 3.0
"""Age of the newest tag up to which a worker's report confirms the publisher."""
_UNDERFLOW_SECONDS = 1.0
"""Time without a tag after which the publisher counts as too slow."""
_BITRATE_CHANGE = 1.5
"""Factor between two rates that is worth an event."""
_REFUSALS = {code.value for code in RefusalCode}


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Orders and settings of a broadcast at this moment."""

    stop_requested: bool
    publisher_present: bool
    left_seconds: float | None
    """Seconds since the publisher left, by the clock of the database. None: it is there."""
    ingest_address: str
    """"host:port/app"."""
    ingest_name: str
    token: str
    """Argument `token` by which the ingest server lets a reader in, for a minute."""
    ladder: Mapping[str, Any]
    latency: str
    record: bool
    dvr_seconds: int
    reconnect_seconds: int
    max_bitrate: int
    """Bits per second: the lower one of the stream's limit and the installation's. So is the next one, in lines."""
    max_height: int
    mp4: bool
    push: Sequence[Mapping[str, Any]]


_LEFT = Extract(ExpressionWrapper(Now() - F("publisher_left_at"), output_field=DurationField()), "epoch")


def broadcast_control(*, claim: Claim) -> Control:
    """Read what the step must know now. It costs one query."""
    rows = Broadcast.objects.filter(job=claim.job_id, state__in=OPEN_STATES, job__steps__in=fenced(claim))
    found = rows.select_related("livestream").annotate(left_seconds=_LEFT).first()
    if found is None:
        raise LeaseLost(claim)
    stream, config = found.livestream, livestream_config()
    expires_at = int(time.time()) + _TOKEN_SECONDS
    return Control(
        stop_requested=found.stop_requested_at is not None,
        publisher_present=found.publisher_left_at is None,
        left_seconds=None if found.left_seconds is None else float(found.left_seconds),
        ingest_address=found.ingest_address,
        ingest_name=stream.ingest_name,
        token=token_make(config.ingest_secret, found.id, expires_at=expires_at),
        ladder=stream.ladder,
        latency=stream.latency,
        record=found.record,
        dvr_seconds=stream.dvr_seconds,
        reconnect_seconds=stream.reconnect_seconds,
        max_bitrate=min(config.live_max_bitrate, stream.max_bitrate or config.live_max_bitrate),
        max_height=min(config.live_max_height, stream.max_height or config.live_max_height),
        mp4=stream.mp4,
        push=stream.push,
    )


def _broadcast(claim: Claim) -> Broadcast:
    """Find the broadcast of a claim, with its live stream locked, and check the fence."""
    found = Broadcast.objects.filter(job=claim.job_id).select_related("livestream").first()
    if found is None:
        raise LeaseLost(claim)
    livestream = livestream_lock(found.livestream_id)
    if not fenced(claim).exists():
        raise LeaseLost(claim)
    found.refresh_from_db()
    found.livestream = livestream
    return found


def _job_lock(claim: Claim) -> Job:
    if claim.job_id is None:
        raise ValueError(f"a {claim.kind} step broadcasts nothing")
    return job_lock(claim.job_id)


def _update(claim: Claim, **columns: object) -> None:
    """Write columns of the broadcast without a lock. Raises LeaseLost."""
    if not Broadcast.objects.filter(job=claim.job_id, job__steps__in=fenced(claim)).update(**columns):
        raise LeaseLost(claim)


def reader_ready(*, claim: Claim) -> None:
    """Record that a reader waits at the ingest server: the publisher may be let in."""
    _update(claim, reader_ready_at=Now())


@transaction.atomic
def broadcast_plan(*, claim: Claim, plan: EncodePlan) -> tuple[Generation, Sequence[Rendition], Claim]:
    """Store the plan that the first key frame led to, or return the stored one. The claim then has its generation."""
    broadcast = _broadcast(claim)
    video, job = video_lock(claim.video_id), _job_lock(claim)
    generation = job.generation or live_plan_carry_out(
        job=job, video=video, plan=plan, policy=job_policy(), recorded=broadcast.record
    )
    renditions = Rendition.objects.filter(generation=generation).order_by("position")
    return generation, list(renditions), replace(claim, generation_id=generation.id)


@transaction.atomic
def period_begin(*, claim: Claim, first_segment: int, starts_at: datetime) -> None:
    """Begin a period at a segment that is not published yet: wall clock and media agree from there on."""
    broadcast = _broadcast(claim)
    values = {"starts_at": starts_at, "attempt": claim.attempt}
    Period.objects.update_or_create(broadcast=broadcast, first_segment=first_segment, defaults=values)


@transaction.atomic
def broadcast_live(*, claim: Claim) -> None:
    """Let players have the broadcast: its first segment is published."""
    broadcast = _broadcast(claim)
    if broadcast.state != BroadcastState.STARTING:
        return
    video_lock(claim.video_id)
    job = _job_lock(claim)
    generation = generation_of(claim)
    generation_mark_playable(generation=generation)
    Job.objects.filter(id=job.id).update(playable_at=Now())
    event_append(job_id=job.id, type=EventType.JOB_PLAYABLE, data={"generation": generation.number})
    job_changed(job.id, job.owner_id)
    Broadcast.objects.filter(id=broadcast.id).update(live_at=Now())
    broadcast_move(broadcast, BroadcastState.LIVE)
    livestream_event(broadcast.livestream, EventType.LIVESTREAM_LIVE, broadcast=broadcast)


@transaction.atomic
def health_record(*, claim: Claim, health: Mapping[str, Any]) -> None:
    """Store the newest measurements of what arrives, and renew the publisher by them.

    `bitrate` in bits per second, `silent_seconds`, the age of the newest tag, and the states of destinations in `push`
    lead to events.
    """
    broadcast = _broadcast(claim)
    before, stored = broadcast.health, dict(health)
    stored["reported_bitrate"] = _bitrate_report(broadcast, before.get("reported_bitrate"), health.get("bitrate"))
    silent = health.get("silent_seconds")
    if silent is not None and silent >= _UNDERFLOW_SECONDS > (before.get("silent_seconds") or 0.0):
        data = {"silent_seconds": round(silent, 3)}
        livestream_event(broadcast.livestream, EventType.LIVESTREAM_BUFFER_UNDERFLOW, broadcast=broadcast, data=data)
    _push_report(broadcast, before.get("push", {}), health.get("push", {}))
    Broadcast.objects.filter(id=broadcast.id).update(health=stored, health_at=Now())
    if silent is not None and silent < _FRESH_SECONDS and health.get("bitrate"):  # it says when nothing came yet, too
        _publisher_confirm(broadcast, age_seconds=silent)


def _bitrate_report(broadcast: Broadcast, reported: float | None, bitrate: float | None) -> float | None:
    """Append an event if the rate differs much from the one that was last reported. Return the newest reported one."""
    if not bitrate or not reported:
        return bitrate or reported
    if 1 / _BITRATE_CHANGE < bitrate / reported < _BITRATE_CHANGE:
        return reported
    data = {"bitrate": round(bitrate), "previous_bitrate": round(reported)}
    livestream_event(broadcast.livestream, EventType.LIVESTREAM_BITRATE_CHANGE, broadcast=broadcast, data=data)
    return bitrate


def _push_report(broadcast: Broadcast, before: Mapping[str, Any], states: Mapping[str, Any]) -> None:
    """Append events for destinations that take the broadcast now, or do not take it any more."""
    types = {"sending": EventType.LIVESTREAM_PUSH_STARTED, "failed": EventType.LIVESTREAM_PUSH_FAILED}
    for push_id, state in states.items():
        type_ = types.get(state["state"])
        if type_ is None or before.get(push_id, {}).get("state") == state["state"]:
            continue
        data = {"push_id": push_id, **({"error": state["error"]} if state["state"] == "failed" else {})}
        livestream_event(broadcast.livestream, type_, broadcast=broadcast, data=data)


def _publisher_confirm(broadcast: Broadcast, *, age_seconds: float) -> None:
    """Record that bytes of so long ago came from the publisher. Those of before it left prove nothing."""
    left_before = Now() - timedelta(seconds=age_seconds + 1)
    there = Broadcast.objects.filter(Q(publisher_left_at=None) | Q(publisher_left_at__lt=left_before), id=broadcast.id)
    there.update(publisher_seen_at=Now(), publisher_left_at=None)


@transaction.atomic
def publisher_lost(*, claim: Claim) -> None:
    """Record that nothing arrives any more."""
    broadcast = _broadcast(claim)
    if Broadcast.objects.filter(id=broadcast.id, silent_since=None).update(silent_since=Now()):
        livestream_event(broadcast.livestream, EventType.LIVESTREAM_CONNECTION_LOST, broadcast=broadcast)


@transaction.atomic
def publisher_restored(*, claim: Claim) -> None:
    """Record that something arrives again."""
    broadcast = _broadcast(claim)
    if Broadcast.objects.filter(id=broadcast.id, silent_since__isnull=False).update(silent_since=None):
        _publisher_confirm(broadcast, age_seconds=0.0)
        livestream_event(broadcast.livestream, EventType.LIVESTREAM_CONNECTION_RESTORED, broadcast=broadcast)


@transaction.atomic
def broadcast_close(*, claim: Claim, total_frames: int) -> None:
    """Close the step, whose source has ended after so many frames. Complete it after this.

    Raises what `step_close` raises.
    """
    broadcast_close_locked(broadcast=_broadcast(claim), claim=claim, total_frames=total_frames, code="", detail="")


@transaction.atomic
def broadcast_fail(*, claim: Claim, code: str, detail: str) -> None:
    """End the broadcast and the step for a reason. What is published of it becomes the recording."""
    broadcast = _broadcast(claim)
    if code in _REFUSALS:
        address = broadcast.publisher_address
        stream = broadcast.livestream
        refusal_record(livestream=stream, code=RefusalCode(code), detail=detail, address=address)
    broadcast_end_locked(broadcast=broadcast, claim=claim, code=code, detail=detail)


@transaction.atomic
def window_expire(*, claim: Claim, keep_from_segment: int) -> list[str]:
    """Take the segments before this one from players, unless they are recorded. Return their keys, to be deleted."""
    broadcast = _broadcast(claim)
    if broadcast.record or keep_from_segment <= broadcast.expired_segments:
        return []
    last = F("first_segment") + F("segment_count")
    old = SegmentRun.objects.filter(rendition__generation=claim.generation_id).annotate(end=last)
    runs = list(old.filter(end__lte=keep_from_segment))
    SegmentRun.objects.filter(id__in=[run.id for run in runs]).delete()
    Broadcast.objects.filter(id=broadcast.id).update(expired_segments=keep_from_segment)
    return [segment_key(run.key_prefix, run.first_segment + at) for run in runs for at in range(run.segment_count)]
