"""The queue of imports and deliveries: who serves it, and how much of it one owner gets."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest
from django.db import connection
from django.db.migrations import RunSQL

from access.models import Owner
from access.services import default_owner
from jobs.dispatching.demand import ticket_demand
from jobs.leasing.claim import Claim, step_claim
from jobs.leasing.nodes import node_register, owner_limit
from jobs.lifecycle.importing import video_import_request
from jobs.models import Step
from jobs.rules.steps import CPU_QUEUE, QUEUES, TRANSFER_QUEUE, StepKind
from jobs.rules.transitions import StepState
from tests.integration.jobs.test_slots import together
from tests.rows import a_bare_job, a_policy, a_step, a_video, an_owner, claim_or_none


def imports(owner: Owner, count: int) -> None:
    for _ in range(count):
        video_import_request(
            owner=owner, url="https://a.example/b", labels={"filename": ""}, job=None, policy=a_policy()
        )


def a_node(name: str = "n1", *, queues: tuple[str, ...] = (TRANSFER_QUEUE,), slots: int = 4) -> None:
    node_register(name=name, queues=queues, slots=slots, pid=1, info={})


def transfer() -> Claim | None:
    limit = owner_limit(queue=TRANSFER_QUEUE, silence_seconds=20)
    return step_claim(queue=TRANSFER_QUEUE, node="n1", pid=1, lease_seconds=60, max_running=limit)


def taken() -> Iterator[Owner]:
    """Claim all that may be claimed."""
    while claim := transfer():
        yield Step.objects.get(id=claim.step_id).owner


@pytest.mark.django_db
def test_workers_of_encodes_take_no_imports() -> None:
    imports(default_owner(), 1)
    assert claim_or_none(queue=CPU_QUEUE) is None
    assert claim_or_none(queue=TRANSFER_QUEUE) is not None


@pytest.mark.django_db
def test_the_slow_imports_of_one_owner_leave_half_of_the_slots_to_others() -> None:
    a_node(slots=4)
    a_node("n2", slots=4, queues=(CPU_QUEUE,))
    ann, bob = an_owner("ann"), an_owner("bob")
    imports(ann, 9)
    assert list(taken()) == [ann, ann]
    imports(bob, 1)
    assert list(taken()) == [bob]
    Step.objects.filter(owner=ann, state=StepState.RUNNING).first().delete()  # type: ignore[union-attr]
    assert list(taken()) == [ann]


@pytest.mark.django_db
@pytest.mark.parametrize("slots", [0, 1])
def test_an_owner_always_gets_one_slot(slots: int) -> None:
    a_node(slots=slots)
    imports(default_owner(), 2)
    assert list(taken()) == [default_owner()]


@pytest.mark.django_db
def test_encodes_have_no_limit_of_an_owner() -> None:
    a_node(slots=2, queues=(CPU_QUEUE,))
    assert {owner_limit(queue=queue, silence_seconds=20) for queue in set(QUEUES) - {TRANSFER_QUEUE}} == {None}


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_once_do_not_exceed_the_limit() -> None:
    a_node(slots=4)
    imports(default_owner(), 8)
    claims = together([lambda: [transfer()]] * 8)
    assert sum(claim is not None for claim in claims) == 2


@pytest.mark.django_db
def test_a_node_of_two_queues_gets_tickets_for_both() -> None:
    a_node(slots=2, queues=(CPU_QUEUE, TRANSFER_QUEUE))
    assert ticket_demand(silence_seconds=20) == {}
    imports(default_owner(), 1)
    assert ticket_demand(silence_seconds=20) == {TRANSFER_QUEUE: 1}
    a_step(a_bare_job(a_video()))
    assert ticket_demand(silence_seconds=20) == {CPU_QUEUE: 1, TRANSFER_QUEUE: 1}


@pytest.mark.django_db
def test_imports_of_before_are_moved_and_nothing_else() -> None:
    imports(default_owner(), 2)
    claim_or_none(queue=TRANSFER_QUEUE)
    a_step(a_bare_job(a_video()))
    Step.objects.update(queue=CPU_QUEUE)
    (move,) = (
        operation
        for operation in import_module("jobs.migrations.0034_transfers_move").Migration.operations
        if isinstance(operation, RunSQL)
    )
    with connection.cursor() as cursor:
        cursor.execute(str(move.sql))
    moved = Step.objects.filter(queue=TRANSFER_QUEUE)
    assert sorted(moved.values_list("kind", "state")) == [(StepKind.FETCH, "ready"), (StepKind.FETCH, "running")]
