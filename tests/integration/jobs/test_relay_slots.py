"""Slots of the relay: of one book with those of films, and in nothing else that counts steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from access.models import Owner
from configuration import RetryConfig
from jobs.dispatching.demand import ticket_demand
from jobs.leasing.claim import Claim
from jobs.leasing.nodes import node_register
from jobs.leasing.relay import RelayClaim, relay_step_end, relay_step_renew, relay_step_start, relay_steps_expire
from jobs.leasing.slots import DeviceOffer, sessions_used
from jobs.lifecycle.failures import leases_reclaim, leases_release
from jobs.models import Step
from jobs.rules.steps import QUEUES, StepKind
from jobs.rules.transitions import StepState
from operations.statistics import queue_loads
from operations.workload import workload
from tests.integration.jobs.test_slots import H264, HEVC, an_offer, gpu_claim, gpu_steps, together, under_one_cap
from tests.rows import a_bare_job, a_policy, a_video, an_owner, expire

LEASE_SECONDS = 60


def relay(owner: Owner, offer: DeviceOffer, *, node: str = "relay") -> RelayClaim | None:
    return relay_step_start(owner_id=owner.id, node=node, pid=9, encoder=H264, offer=offer, lease_seconds=LEASE_SECONDS)


def relayed(owner: Owner, offer: DeviceOffer, *, node: str = "relay") -> RelayClaim:
    claim = relay(owner, offer, node=node)
    assert claim is not None
    return claim


def _take_all(take: Callable[[], Claim | RelayClaim | None]) -> list[Any]:
    taken = []
    while claim := take():
        taken.append(claim)
    return taken


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("offers", [[an_offer(slots=5)], under_one_cap("GPU-0", "GPU-1", system_slots=5, slots=4)])
def test_films_and_relays_that_begin_together_never_overbook_a_card(offers: list[DeviceOffer]) -> None:
    owner = an_owner("ann")
    gpu_steps(a_bare_job(a_video(owner)), *[1] * 40)
    for _ in range(4):
        films = [lambda offer=offer: _take_all(lambda: gpu_claim(offer)) for offer in offers]
        relays = [lambda offer=offer: _take_all(lambda: relay(owner, offer)) for offer in offers]
        claims = together([*films, *relays, *films, *relays])
        used = sessions_used()
        assert sum(used.values()) == len(claims) == 5, "never more, and no slot stays empty"
        assert all(used[offer.uuid] <= offer.slots for offer in offers if offer.uuid in used)
        for claim in claims:
            if isinstance(claim, RelayClaim):
                relay_step_end(claim)
            else:
                Step.objects.filter(id=claim.step_id).update(state=StepState.DONE, lease_expires_at=None)
    assert sessions_used() == {}


@pytest.fixture
def owner(db: None) -> Owner:
    return an_owner("ann")


def test_a_full_card_has_no_slot_for_a_relay_and_a_relay_leaves_none_for_a_film(owner: Owner) -> None:
    gpu_steps(a_bare_job(a_video(owner)), 1, 1)
    assert gpu_claim(an_offer(slots=1)) is not None
    assert relay(owner, an_offer(slots=1)) is None
    claim = relayed(owner, an_offer(slots=2))
    assert gpu_claim(an_offer(slots=2)) is None
    relay_step_end(claim)
    assert gpu_claim(an_offer(slots=2)) is not None
    assert not Step.objects.filter(kind=StepKind.RELAY).exists(), "no row is left of it"
    relay_step_end(claim)


def test_the_streams_of_an_owner_leave_one_session_to_others(owner: Owner) -> None:
    offer = an_offer(slots=4)
    assert len(_take_all(lambda: relay(owner, offer))) == 3
    other = an_owner("bob")
    assert relay(other, offer) is not None
    assert relay(other, offer) is None


def test_an_owner_has_half_of_the_sessions_while_others_use_some(owner: Owner) -> None:
    relayed(an_owner("bob"), an_offer(slots=8))
    assert len(_take_all(lambda: relay(owner, an_offer(slots=8)))) == 4


@pytest.mark.parametrize(("encoder", "share"), [(H264, 4), (HEVC, 7)])
def test_an_owner_has_half_of_the_sessions_while_jobs_of_others_wait_for_one(
    owner: Owner, encoder: str, share: int
) -> None:
    gpu_steps(a_bare_job(a_video(an_owner("bob"))), 1, encoder=encoder)
    gpu_steps(a_bare_job(a_video(owner)), 1, 1)
    assert len(_take_all(lambda: relay(owner, an_offer(slots=8)))) == share


def test_the_only_session_is_anybodys(owner: Owner) -> None:
    gpu_steps(a_bare_job(a_video(an_owner("bob"))), 1)
    assert relay(owner, an_offer(slots=1)) is not None


def test_a_relay_needs_an_encoder_that_the_device_has(owner: Owner) -> None:
    with pytest.raises(ValueError, match="av1_nvenc"):
        relay_step_start(
            owner_id=owner.id, node="relay", pid=9, encoder="av1_nvenc", offer=an_offer(), lease_seconds=60
        )


def test_a_lease_is_renewed_while_it_holds(owner: Owner) -> None:
    claim = relayed(owner, an_offer(slots=1))
    before = Step.objects.get(id=claim.step_id).lease_expires_at
    assert relay_step_renew(claim, LEASE_SECONDS + 60)
    after = Step.objects.get(id=claim.step_id).lease_expires_at
    assert before is not None
    assert after is not None
    assert after > before
    expire(claim.step_id)
    assert relay(owner, an_offer(slots=1)) is not None
    assert not relay_step_renew(claim, LEASE_SECONDS), "somebody else may have its session by now"


def test_the_slot_of_a_relay_that_died_is_freed_and_its_row_goes(owner: Owner) -> None:
    lost, live = relayed(owner, an_offer()), relayed(owner, an_offer())
    policy = a_policy(retry=RetryConfig())
    expire(lost.step_id)
    assert leases_reclaim(policy=policy) == leases_release(node="relay", pid=9, policy=policy) == 0
    assert relay_steps_expire() == 1
    assert list(Step.objects.values_list("id", "state")) == [(live.step_id, StepState.RUNNING)]


def test_it_counts_as_no_work(owner: Owner) -> None:
    node_register(name="n1", queues=["cpu", "gpu"], slots=1, pid=1, info={})
    relayed(owner, an_offer())
    assert all(load.running == load.ready == load.delayed == 0 for load in queue_loads(QUEUES))
    assert {load.queue for load in queue_loads(QUEUES)} == set(QUEUES)
    load = workload()
    assert load.backlog == ()
    assert [(step.node, step.kind, step.job, step.video, step.sessions) for step in load.running] == [
        ("relay", "relay", "", "", 1)
    ]
    assert ticket_demand(silence_seconds=20) == {}


@pytest.mark.django_db
def test_it_takes_no_turn_from_its_owner() -> None:
    busy, idle = an_owner("busy"), an_owner("idle")
    for _ in range(3):
        relayed(busy, an_offer())
    (first,) = gpu_steps(a_bare_job(a_video(busy)), 1, waited_seconds=90)
    gpu_steps(a_bare_job(a_video(idle)), 1)
    claim = gpu_claim(an_offer())
    assert claim is not None
    assert claim.step_id == first.id


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": StepState.READY},
        {"state": StepState.DONE, "finished_at": Now()},
        {"queue": "gpu"},
        {"encoder": "", "sessions": 0, "device": ""},
        {"kind": StepKind.CHUNK},
        {"kind": StepKind.PURGE, "queue": "cpu"},
    ],
)
def test_a_step_without_a_video_is_one_that_holds_a_slot_for_the_relay(owner: Owner, wrong: dict[str, object]) -> None:
    claim = relayed(owner, an_offer())
    with pytest.raises(IntegrityError), transaction.atomic():
        Step.objects.filter(id=claim.step_id).update(**wrong)


def test_a_step_of_the_relay_has_no_video(owner: Owner) -> None:
    claim = relayed(owner, an_offer())
    with pytest.raises(IntegrityError), transaction.atomic():
        Step.objects.filter(id=claim.step_id).update(video=a_video(owner))


def test_operators_see_it(owner: Owner, admin_client: Client) -> None:
    claim = relayed(owner, an_offer())
    assert "relay 0" in admin_client.get(reverse("admin:jobs_step_changelist")).content.decode()
    assert "GPU-0" in admin_client.get(reverse("admin:jobs_step_change", args=[claim.step_id])).content.decode()
