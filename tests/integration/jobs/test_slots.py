"""The slots of GPUs, as claims take them: never more than there are, whoever claims at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any, TypeVar

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from configuration import RetryConfig
from jobs.leasing.claim import Claim
from jobs.leasing.leases import step_release
from jobs.leasing.slots import DeviceOffer, sessions_used
from jobs.leasing.steps import step_complete
from jobs.lifecycle.failures import leases_reclaim, leases_release
from jobs.lifecycle.services import job_cancel
from jobs.models import Job, Step
from jobs.rules.transitions import StepState
from tests.rows import a_bare_job, a_policy, a_step, a_video, an_owner, claim_or_none, expire

H264, HEVC = "h264_nvenc", "hevc_nvenc"
MINUTE = 60

T = TypeVar("T")


def an_offer(uuid: str = "GPU-0", *, slots: int = 8, encoders: Sequence[str] = (H264,), **cap: Any) -> DeviceOffer:  # noqa: ANN401
    return DeviceOffer(uuid=uuid, slots=slots, encoders=frozenset(encoders), **cap)


def under_one_cap(*uuids: str, system_slots: int, slots: int = 8) -> list[DeviceOffer]:
    cap: dict[str, Any] = {"machine": "m", "system_slots": system_slots, "sharing": frozenset(uuids)}
    return [an_offer(uuid, slots=slots, **cap) for uuid in uuids]


def gpu_steps(job: Job, *sessions: int, encoder: str = H264, waited_seconds: float = 0, first: int = 0) -> list[Step]:
    return [
        a_step(
            job,
            ordinal=ordinal,
            queue="gpu",
            encoder=encoder,
            sessions=count,
            waited_seconds=waited_seconds,
            units_total=0,
        )
        for ordinal, count in enumerate(sessions, first)
    ]


def gpu_claim(offer: DeviceOffer | None, **named: object) -> Claim | None:
    return claim_or_none(queue="gpu", offer=offer, **named)


def claim_all(offer: DeviceOffer) -> list[Claim]:
    """Claim for a device until nothing fits."""
    claims = []
    while claim := gpu_claim(offer):
        claims.append(claim)
    return claims


def together(works: Sequence[Callable[[], list[T]]]) -> list[T]:
    """Let every work begin at the same moment, each with a connection of its own."""
    barrier = Barrier(len(works))

    def begin(work: Callable[[], list[T]]) -> list[T]:
        try:
            barrier.wait()
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return [claim for claims in pool.map(begin, works) for claim in claims]


def finish(claims: Sequence[Claim]) -> None:
    for claim in claims:
        Step.objects.filter(id=claim.step_id).update(state=StepState.DONE, lease_expires_at=None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("steps", "slots", "largest"), [([1] * 40, 3, 3), ([2] * 20, 5, 4), ([3, 1] * 10, 8, 8)])
def test_four_workers_that_claim_forty_renditions_never_overbook(steps: list[int], slots: int, largest: int) -> None:
    gpu_steps(a_bare_job(a_video()), *steps)
    done = 0
    while done < len(steps):
        claims = together([lambda: claim_all(an_offer(slots=slots))] * 4)
        taken = sum(Step.objects.filter(id__in=[claim.step_id for claim in claims]).values_list("sessions", flat=True))
        assert taken == sessions_used()["GPU-0"] <= largest
        assert {claim.device for claim in claims} == {"GPU-0"}
        done += len(claims)
        assert taken == largest or done == len(steps)  # and no slot stays empty
        finish(claims)
    assert sessions_used() == {}


@pytest.mark.django_db(transaction=True)
def test_a_cap_of_the_machine_counts_all_of_its_devices() -> None:
    gpu_steps(a_bare_job(a_video()), *[1] * 40)
    offers = under_one_cap("GPU-0", "GPU-1", system_slots=5, slots=4)
    for _ in range(8):
        claims = together([lambda offer=offer: claim_all(offer) for offer in (*offers, *offers)])  # type: ignore[misc]
        used = sessions_used()
        assert sum(used.values()) == len(claims) == 5
        assert max(used.values()) <= 4
        finish(claims)


@pytest.mark.django_db
def test_devices_that_share_no_cap_do_not_count_each_other() -> None:
    gpu_steps(a_bare_job(a_video()), *[1] * 5)
    assert [len(claim_all(an_offer(uuid, slots=2))) for uuid in ("GPU-0", "GPU-1")] == [2, 2]


@pytest.mark.django_db
def test_a_step_is_claimed_for_a_device_that_has_verified_its_encoder_and_for_no_other() -> None:
    job = a_bare_job(a_video())
    gpu_steps(job, 1, 1, encoder=HEVC, waited_seconds=3600)
    (chosen,) = gpu_steps(job, 1, first=2)
    claim = gpu_claim(an_offer())
    assert claim is not None, "steps that no device can do must not be in the way"
    assert (claim.step_id, claim.device) == (chosen.id, "GPU-0")
    assert gpu_claim(an_offer()) is None
    assert gpu_claim(None) is None


@pytest.mark.django_db
def test_many_steps_that_no_device_can_do_are_not_even_looked_at() -> None:
    job = a_bare_job(a_video())
    gpu_steps(job, *[1] * 200, encoder=HEVC, waited_seconds=3600)
    gpu_steps(job, *[9] * 200, waited_seconds=3600, first=200)
    (chosen,) = gpu_steps(job, 1, first=400)
    claim = gpu_claim(an_offer(slots=8))
    assert claim is not None
    assert claim.step_id == chosen.id


@pytest.mark.django_db
def test_a_step_of_any_worker_needs_no_device() -> None:
    a_step(a_bare_job(a_video()), queue="gpu")
    claim = gpu_claim(an_offer(slots=0))
    assert claim is not None
    assert claim.device == ""


@pytest.mark.django_db
def test_a_claim_for_a_device_takes_two_queries() -> None:
    gpu_steps(a_bare_job(a_video()), 1)
    with CaptureQueriesContext(connection) as queries:
        assert gpu_claim(an_offer()) is not None
    assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) == 2


@pytest.mark.django_db
def test_a_large_step_gets_its_slots_before_those_whose_turn_comes_later() -> None:
    """Two lanes, since the steps differ in sessions. Within a minute the small ones may go first."""
    job = a_bare_job(a_video())
    (running,) = gpu_steps(job, 1, waited_seconds=9 * MINUTE)
    held = gpu_claim(an_offer(slots=4))
    assert held is not None
    assert held.step_id == running.id
    (large,) = gpu_steps(job, 4, waited_seconds=5 * MINUTE, first=1)
    gpu_steps(job, 1, first=2)
    assert gpu_claim(an_offer(slots=4)) is None, "it waits for the slot that is taken, and nobody goes before it"
    finish([held])
    claim = gpu_claim(an_offer(slots=4))
    assert claim is not None
    assert claim.step_id == large.id


@pytest.mark.django_db
def test_a_small_step_uses_slots_that_a_large_one_of_the_same_minute_cannot() -> None:
    job = a_bare_job(a_video())
    gpu_steps(job, 3, 3)
    (small,) = gpu_steps(job, 1, first=2)
    claims = claim_all(an_offer(slots=4))
    assert small.id in {claim.step_id for claim in claims}
    assert len(claims) == 2


@pytest.mark.django_db
def test_owners_share_the_slots_of_a_device() -> None:
    for name in ("ann", "bob"):
        gpu_steps(a_bare_job(a_video(an_owner(name))), *[1] * 4)
    owners = [Step.objects.get(id=claim.step_id).owner_id for claim in claim_all(an_offer(slots=4))]
    assert len(set(owners[:2])) == len(set(owners[2:])) == 2


@pytest.fixture
def held() -> Claim:
    """The only slot of a device, taken by the first of two steps."""
    gpu_steps(a_bare_job(a_video(), open_steps=2), 1, 1)
    claim = gpu_claim(an_offer(slots=1), node="n", pid=7)
    assert claim is not None
    assert gpu_claim(an_offer(slots=1)) is None
    return claim


@pytest.mark.django_db
@pytest.mark.parametrize(
    "end",
    [
        lambda claim: step_complete(claim=claim, result={}),
        lambda claim: step_release(claim=claim),
        lambda _: leases_release(node="n", pid=7, policy=a_policy(retry=RetryConfig())),
    ],
)
def test_a_slot_is_free_when_its_worker_says_that_it_has_ended(held: Claim, end: Callable[[Claim], object]) -> None:
    end(held)
    assert gpu_claim(an_offer(slots=1)) is not None


@pytest.mark.django_db
def test_a_slot_of_a_silent_worker_is_free_when_its_lease_ends_and_no_sooner(held: Claim) -> None:
    Step.objects.filter(id=held.step_id).update(lease_expires_at=Now() + timedelta(seconds=9))
    leases_reclaim(policy=a_policy(retry=RetryConfig()))
    assert gpu_claim(an_offer(slots=1)) is None
    expire(held.step_id)
    claim = gpu_claim(an_offer(slots=1))
    assert claim is not None, "by then its ffmpeg was killed, whether or not somebody took the step back"
    assert claim.step_id != held.step_id


@pytest.mark.django_db
def test_a_cancelled_step_keeps_its_slot_as_long_as_its_ffmpeg_may_run(held: Claim) -> None:
    job = Job.objects.get(steps=held.step_id)
    gpu_steps(a_bare_job(job.video), 1)
    job_cancel(owner=job.owner, job_id=job.id)
    assert sessions_used() == {"GPU-0": 1}
    assert gpu_claim(an_offer(slots=1)) is None
    expire(held.step_id)
    assert sessions_used() == {}
    assert gpu_claim(an_offer(slots=1)) is not None
