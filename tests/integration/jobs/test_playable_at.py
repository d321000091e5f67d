"""The moment at which a job becomes playable, measured from its rows."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import F

from configuration import RetryConfig
from jobs.leasing.claim import Claim
from jobs.leasing.steps import first_chunk_has_node, job_mark_playable, step_begin, step_publish
from jobs.lifecycle.failures import leases_reclaim
from jobs.models import Job, Step
from jobs.rules.steps import StepKind
from jobs.rules.transitions import StepState
from tests.rows import a_job, a_policy, a_run, a_video, claimed, expire
from videos.models import Rendition
from videos.runs import RunFacts

pytestmark = pytest.mark.django_db


def publish(claim: Claim, number: int, *, seconds_since_claim: float = 1) -> bool:
    """Publish a segment of 4 s in all renditions of a step, and report it. Returns True for a playable job."""
    Step.objects.filter(id=claim.step_id).update(
        claimed_at=F("claimed_at") - timedelta(seconds=seconds_since_claim)  # all of a test is at one time
    )
    step_publish(claim=claim, runs=runs_of(claim, number), units_done=number + 1)
    job_mark_playable(claim=claim)
    return Job.objects.get().playable_at is not None


def runs_of(claim: Claim, number: int) -> list[RunFacts]:
    kind = "audio" if claim.kind is StepKind.AUDIO else "video"
    renditions = Rendition.objects.filter(generation=claim.generation_id, kind=kind)
    return [
        replace(a_run(rendition, number, prefix=f"{rendition.name}/"), durations=(4 * rendition.timescale,))
        for rendition in renditions
    ]


def both_started() -> tuple[Claim, Claim]:
    """Return the audio and the first chunk of a job, both at work."""
    a_job()
    claims = {claim.kind: claim for claim in (claimed(), claimed())}
    for claim in claims.values():
        step_begin(claim=claim)
    return claims[StepKind.AUDIO], claims[StepKind.CHUNK]


def test_one_segment_suffices_of_a_video_that_is_encoded_faster_than_it_plays() -> None:
    audio, chunk = both_started()
    assert not publish(audio, 0)
    assert publish(chunk, 0, seconds_since_claim=2.8)


def test_two_segments_are_required_of_a_video_that_is_encoded_as_fast_as_it_plays() -> None:
    audio, chunk = both_started()
    assert not publish(audio, 0)
    assert not publish(chunk, 0, seconds_since_claim=3.5)
    assert publish(chunk, 1)


def test_every_rendition_counts_by_its_own_speed() -> None:
    audio, chunk = both_started()
    assert not publish(audio, 0, seconds_since_claim=5)
    assert not publish(chunk, 0)
    assert publish(audio, 1)


def test_the_speed_of_an_earlier_attempt_is_not_known() -> None:
    audio, chunk = both_started()
    publish(audio, 0)
    step_publish(claim=chunk, runs=runs_of(chunk, 0), units_done=1)
    expire(chunk.step_id)
    leases_reclaim(policy=a_policy(retry=RetryConfig()))
    again = claimed()
    assert (again.step_id, again.attempt) == (chunk.step_id, chunk.attempt + 1)
    assert not job_mark_playable(claim=again)
    assert publish(again, 1)


def test_the_audio_makes_way_for_the_first_chunk_on_its_node_until_the_video_is_playable() -> None:
    audio, chunk = both_started()
    assert first_chunk_has_node(claim=audio, node="node", groups=1)
    assert not first_chunk_has_node(claim=audio, node="another node", groups=1)
    publish(audio, 0)
    assert publish(chunk, 0)
    assert not first_chunk_has_node(claim=audio, node="node", groups=1)


def test_nothing_makes_way_while_other_beginnings_wait_for_a_slot() -> None:
    """Two slots, two audio tracks: the second one is needed to play, too."""
    audio, _ = both_started()
    second = Step.objects.get(id=audio.step_id)
    second.pk, second.ordinal, second.state, second.lease_expires_at = uuid4(), 1, StepState.READY, None
    second.save(force_insert=True)
    assert not first_chunk_has_node(claim=audio, node="node", groups=1)


def test_it_makes_way_for_no_other_job() -> None:
    audio, _ = both_started()
    a_job(a_video())
    while (claim := claimed(node="another node")).job_id == audio.job_id or claim.kind is not StepKind.CHUNK:
        pass
    assert claim.payload["first_segment"] == 0
    assert not first_chunk_has_node(claim=audio, node="another node", groups=1)
