from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from jobs.claim import Claim
from jobs.models import Node, Step
from jobs.nodes import node_register
from jobs.transitions import StepKind, StepState
from tests.rows import a_bare_job, a_job, a_step, a_video, an_owner, claim_or_none, claimed

MINUTE = 60


@pytest.mark.django_db
def test_nothing_ready_is_an_answer() -> None:
    assert claim_or_none() is None


@pytest.mark.django_db
def test_a_claim_takes_a_lease_and_the_next_attempt() -> None:
    step = a_step(a_bare_job(a_video()))
    claim = claimed(node="n1", pid=77)
    step.refresh_from_db()
    assert (claim.step_id, claim.attempt) == (step.id, 1)
    assert (step.state, step.node, step.worker_pid, step.attempt) == (StepState.RUNNING, "n1", 77, 1)
    assert step.lease_expires_at is not None
    assert step.claimed_at is not None
    assert 59 < (step.lease_expires_at - step.claimed_at).total_seconds() < 61


@pytest.mark.django_db
def test_a_claim_says_what_the_plan_says() -> None:
    job = a_job()
    claims = [claimed() for _ in range(6)]
    chunks = [claim for claim in claims if claim.kind is StepKind.CHUNK]
    assert [claim.payload for claim in chunks] == [{"first_segment": 2 * n, "segments": 2} for n in range(5)]
    assert {(claim.job_id, claim.generation_id, claim.video_id) for claim in claims} == {
        (job.id, job.generation_id, job.video_id)
    }


@pytest.mark.django_db
def test_one_query_is_enough() -> None:
    a_job()
    with CaptureQueriesContext(connection) as queries:
        claimed()
    assert len(queries) == 1


@pytest.mark.django_db
def test_the_longest_waiting_goes_first() -> None:
    job = a_bare_job(a_video())
    late = a_step(job, ordinal=1)
    early = a_step(job, ordinal=2, waited_seconds=10)
    assert [claimed().step_id, claimed().step_id] == [early.id, late.id]


@pytest.mark.django_db
def test_sound_and_the_first_chunk_of_a_job_go_first_then_chunks_in_order() -> None:
    a_job()
    order = [(claim.kind, claim.ordinal) for claim in (claimed() for _ in range(6))]
    assert set(order[:2]) == {(StepKind.AUDIO, 0), (StepKind.CHUNK, 0)}
    assert order[2:] == [(StepKind.CHUNK, ordinal) for ordinal in (1, 2, 3, 4)]
    assert claim_or_none() is None


@pytest.mark.django_db
def test_an_urgent_job_goes_before_those_that_wait() -> None:
    video = a_video()
    a_job(video, priority=50)
    urgent = a_job(video, priority=51)
    assert claimed().job_id == urgent.id


@pytest.mark.django_db
def test_owners_with_equal_ranks_take_turns() -> None:
    for name in ("ann", "bob"):
        job = a_bare_job(a_video(an_owner(name)))
        for ordinal in range(4):
            a_step(job, ordinal=ordinal, rank_at="2026-01-01T00:00:10Z")
    names = [_owner_of(claimed()) for _ in range(8)]
    assert all(set(pair) == {"ann", "bob"} for pair in zip(names[::2], names[1::2], strict=True))


@pytest.mark.django_db
def test_an_owner_who_has_waited_much_longer_goes_first_all_the_same() -> None:
    for name, waited in (("ann", 10 * MINUTE), ("bob", 0)):
        job = a_bare_job(a_video(an_owner(name)))
        for ordinal in range(2):
            a_step(job, ordinal=ordinal, waited_seconds=waited)
    assert [_owner_of(claimed()) for _ in range(4)] == ["ann", "ann", "bob", "bob"]


@pytest.mark.django_db
def test_a_queue_takes_only_its_own_steps() -> None:
    a_step(a_bare_job(a_video()), queue="gpu")
    assert claim_or_none(queue="cpu") is None
    assert claim_or_none(queue="gpu") is not None


@pytest.mark.django_db
@pytest.mark.parametrize("state", [state for state in StepState if state is not StepState.READY])
def test_only_ready_steps_are_taken(state: StepState) -> None:
    step = a_step(a_bare_job(a_video()), units_total=0)
    Step.objects.filter(id=step.id).update(
        state=state,
        attempt=1,
        node="other",
        worker_pid=1,
        lease_expires_at="2026-01-01T00:00:00Z",
        not_before="2026-01-01T00:00:00Z" if state is StepState.DELAYED else None,
    )
    assert claim_or_none() is None


@pytest.mark.django_db
def test_a_draining_node_gets_nothing() -> None:
    a_step(a_bare_job(a_video()))
    node_register(name="old", queues=["cpu"], slots=1, pid=1, info={})
    Node.objects.update(state="draining")
    assert claim_or_none(node="old") is None
    assert claim_or_none(node="new") is not None


@pytest.mark.django_db(transaction=True)
def test_of_many_claimants_exactly_one_wins() -> None:
    a_step(a_bare_job(a_video()))
    claims = _claim_together(workers=8)
    assert sum(claim is not None for claim in claims) == 1


@pytest.mark.django_db(transaction=True)
def test_many_claimants_get_different_steps() -> None:
    job = a_bare_job(a_video())
    for ordinal in range(8):
        a_step(job, ordinal=ordinal)
    claims = _claim_together(workers=8)
    assert len({claim.step_id for claim in claims if claim}) == 8


@pytest.mark.django_db(transaction=True)
def test_a_claimant_does_not_wait_for_a_locked_step() -> None:
    job = a_bare_job(a_video())
    locked = a_step(job, ordinal=0, waited_seconds=MINUTE)
    free = a_step(job, ordinal=1)
    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        Step.objects.select_for_update().get(id=locked.id)
        claim = pool.submit(_in_thread).result(timeout=5)
    assert claim is not None
    assert claim.step_id == free.id


@pytest.mark.django_db
def test_with_many_ready_steps_a_claim_walks_the_partial_index_only() -> None:
    _fill(owners=50, steps_each=400)
    plan = _explain_claim()
    scans = {(node["Node Type"], node.get("Index Name")) for node in _nodes(plan) if "Scan" in node["Node Type"]}
    assert ("Seq Scan", None) not in scans, scans
    assert any(name == "jobs_step_ready" for _, name in scans)
    rows_read = max(node["Actual Rows"] * node["Actual Loops"] for node in _nodes(plan))
    assert rows_read <= 5 * 51


def _owner_of(claim: Claim) -> str:
    return Step.objects.select_related("owner").get(id=claim.step_id).owner.name


def _in_thread(barrier: Barrier | None = None) -> Claim | None:
    try:
        if barrier:
            barrier.wait()
        return claim_or_none()
    finally:
        connection.close()


def _claim_together(workers: int) -> list[Claim | None]:
    barrier = Barrier(workers)
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(_in_thread, [barrier] * workers))


def _fill(*, owners: int, steps_each: int) -> None:
    """Copies of one step, spread over owners; written by one statement."""
    step = a_step(a_bare_job(a_video()))
    skipped = ("id", "owner_id", "ordinal")
    columns = [name for field in Step._meta.concrete_fields if (name := field.column or "") not in skipped]
    for number in range(owners):
        an_owner(f"owner {number}")
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_step (id, owner_id, ordinal, {', '.join(columns)}) "  # noqa: S608 - names of our own
            f"SELECT gen_random_uuid(), o.id, row_number() OVER (), {', '.join('s.' + name for name in columns)} "
            "FROM jobs_step s, access_owner o, generate_series(1, %s) WHERE s.id = %s",
            [steps_each, step.id],
        )
        cursor.execute("ANALYZE jobs_step")


def _explain_claim() -> dict[str, Any]:
    with CaptureQueriesContext(connection) as queries:
        claimed()
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + queries[0]["sql"])
        ((text,),) = cursor.fetchall()
    document = json.loads(text) if isinstance(text, str) else text
    plan: dict[str, Any] = document[0]["Plan"]
    return plan


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in _nodes(child))]
