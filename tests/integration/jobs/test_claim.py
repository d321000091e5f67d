from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from configuration import RankConfig
from jobs.leasing.claim import CANDIDATES, OWNERS, Claim
from jobs.leasing.nodes import node_register
from jobs.leasing.steps import step_begin
from jobs.lifecycle.inspection import inspect_request
from jobs.models import Node, Step
from jobs.rules.rank import PRIORITY_NAMES, Lane, next_lane
from jobs.rules.steps import StepKind
from jobs.rules.transitions import StepState
from tests.rows import a_bare_job, a_job, a_policy, a_step, a_video, an_owner, an_uploaded_video, claim_or_none, claimed

MINUTE = 60
LEASED: dict[str, Any] = {"lease_expires_at": "2099-01-01T00:00:00Z"}


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


def _queries_to_begin() -> int:
    with CaptureQueriesContext(connection) as queries:
        step_begin(claim=claimed())
    return len(queries)


@pytest.mark.django_db
@pytest.mark.parametrize(("seconds", "chunk_seconds"), [(16, 8), (2 * 3600, 60)])
def test_claiming_and_beginning_a_step_take_two_queries_however_long_the_video_is(
    seconds: int, chunk_seconds: int
) -> None:
    policy = a_policy(chunk_seconds=chunk_seconds)
    video = a_video(seconds=seconds, audio=False)
    a_job(video, policy=replace(policy, plan=replace(policy.plan, max_seconds=seconds, max_chunks=500)))
    chunks = Step.objects.filter(kind=StepKind.CHUNK).count()
    assert chunks == seconds // chunk_seconds
    _queries_to_begin()  # the first step of a job also shows the job as processing
    assert {_queries_to_begin() for _ in range(chunks - 1)} == {2}


@pytest.mark.django_db
def test_the_longest_waiting_goes_first() -> None:
    job = a_bare_job(a_video())
    late = a_step(job, ordinal=1)
    early = a_step(job, ordinal=2, waited_seconds=10)
    assert [claimed().step_id, claimed().step_id] == [early.id, late.id]


@pytest.mark.django_db
def test_audio_and_the_first_chunk_of_a_job_go_first_then_chunks_in_order() -> None:
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
def test_a_backlog_ages_only_while_nothing_of_it_is_started() -> None:
    for name, waited in (("ann", 10 * MINUTE), ("bob", 0)):
        job = a_bare_job(a_video(an_owner(name)))
        for ordinal in range(3):
            a_step(job, ordinal=ordinal, waited_seconds=waited)
    assert [_owner_of(claimed()) for _ in range(4)] == ["ann", "bob", "ann", "bob"]


@pytest.mark.django_db
def test_a_new_job_does_not_wait_for_another_owners_backlog() -> None:
    _wait_with_backlog("ann", steps=40, running=4, hours=5)
    new = a_job(a_video(an_owner("bob"), audio=False))
    claims = [claimed() for _ in range(8)]
    assert [claim.job_id == new.id for claim in claims[:4]] == [True] * 4  # as many as the other has
    assert sum(claim.job_id == new.id for claim in claims) == 5  # and then in turns, until it has no more


@pytest.mark.django_db
def test_jobs_of_the_highest_priority_do_not_go_before_another_owners() -> None:
    """A hundred of them, with a head start, of an owner who has waited for hours, against one job of the lowest."""
    hog = a_video(an_owner("ann"), audio=False)
    for _ in range(20):
        a_job(hog, priority=100)
    Step.objects.update(rank_at=F("rank_at") - timedelta(hours=3))
    busy = [claimed() for _ in range(2)]
    modest = a_job(a_video(an_owner("bob"), audio=False), priority=0)
    Step.objects.filter(id=busy[0].step_id).update(state=StepState.DONE, units_done=F("units_total"))
    assert claimed().job_id == modest.id, "the next slot that frees"
    Step.objects.filter(id=busy[1].step_id).update(state=StepState.DONE, units_done=F("units_total"))
    assert claimed().job_id in {modest.id, *hog.jobs.values_list("id", flat=True)}
    owners = [_owner_of(claimed()) for _ in range(4)]
    assert sorted(owners) == ["ann", "ann", "bob", "bob"], "then in turns, whatever the priorities are"


@pytest.mark.django_db
def test_an_inspection_goes_before_the_backlog_of_another_owner() -> None:
    _wait_with_backlog("ann", steps=20, running=2, hours=5)
    video = an_uploaded_video(an_owner("bob"))
    inspect_request(video=video, priority=0, rank=RankConfig())
    assert claimed().video_id == video.id


@pytest.mark.django_db
def test_steps_that_run_in_another_queue_are_no_part_of_a_share() -> None:
    for name in ("ann", "bob"):
        job = a_bare_job(a_video(an_owner(name)))
        for ordinal in range(2):
            a_step(job, ordinal=ordinal)
            a_step(job, ordinal=10 + ordinal, queue="gpu")
    elsewhere = [claim_or_none(queue="gpu") for _ in range(2)]
    assert None not in elsewhere
    assert {_owner_of(claimed()), _owner_of(claimed())} == {"ann", "bob"}


@pytest.mark.django_db
def test_priorities_order_the_jobs_of_one_owner() -> None:
    video = a_video(audio=False)
    patient, urgent = a_job(video, priority=20), a_job(video, priority=80)
    assert claimed().job_id == urgent.id
    assert patient.id not in {claimed().job_id for _ in range(3)}


@pytest.mark.django_db
def test_one_slot_goes_from_owner_to_owner() -> None:
    for name in ("ann", "bob", "cem"):
        _wait_with_backlog(name, steps=4, running=0, hours=1)
    names = []
    for _ in range(9):
        claim = claimed()
        names.append(_owner_of(claim))
        Step.objects.filter(id=claim.step_id).update(state=StepState.DONE, units_done=1)
    assert names == names[:3] * 3
    assert set(names) == {"ann", "bob", "cem"}


@pytest.mark.django_db
def test_an_urgent_job_behind_fifty_long_ones_gets_the_next_free_slot() -> None:
    video = a_video()
    for _ in range(50):
        a_job(video)
    Step.objects.update(rank_at=F("rank_at") - timedelta(hours=9), created_at=Now() - timedelta(hours=9))
    for _ in range(2):
        claimed()
    urgent = a_job(video, priority=PRIORITY_NAMES["high"])
    assert [claimed().job_id for _ in range(6)] == [urgent.id] * 6


@pytest.mark.django_db
def test_the_first_chunk_of_a_new_job_goes_before_the_later_ones_of_a_job_that_waits() -> None:
    long = a_job(a_video(seconds=400))
    Step.objects.update(rank_at=F("rank_at") - timedelta(hours=1))
    for _ in range(4):
        claimed()
    new = a_job(long.video)
    assert [(claim.job_id, claim.ordinal) for claim in (claimed(), claimed())] == [(new.id, 0)] * 2


@pytest.mark.django_db
def test_a_job_of_low_priority_gets_a_turn_in_the_end() -> None:
    """One point of priority is a minute: 30 points hold out against half an hour without a turn, and no longer."""
    video = a_video()
    a_step(a_bare_job(video), waited_seconds=31 * MINUTE)  # lead 0
    for ordinal in range(3):
        a_step(a_bare_job(video), ordinal=ordinal, lead_seconds=30 * MINUTE, waited_seconds=30 * MINUTE)
    assert Step.objects.get(id=claimed().step_id).lead_seconds == 0
    a_step(a_bare_job(video), waited_seconds=31 * MINUTE)
    assert Step.objects.get(id=claimed().step_id).lead_seconds == 30 * MINUTE


def _wait_with_backlog(name: str, *, steps: int, running: int, hours: int) -> None:
    """An owner whose steps have waited for hours, some of them started just now."""
    job = a_bare_job(a_video(an_owner(name)))
    for ordinal in range(steps):
        a_step(job, ordinal=ordinal, lead_seconds=50 * MINUTE, waited_seconds=50 * MINUTE + hours * 3600)
    for _ in range(running):
        claimed()


RULE = [
    # lanes (owner, lead, ready, served), running, and the owner and lead of the lane that is next
    ([("a", 0, 0, None), ("b", 0, 10, None)], {}, ("a", 0)),  # who has waited longer
    ([("a", 0, 0, None), ("b", 0, 10, None)], {"a": 1}, ("b", 0)),  # who has less
    ([("a", 6000, -9000, None), ("b", 0, 60, None)], {"a": 9}, ("b", 0)),  # however urgent and patient the other is
    ([("a", 0, 0, 100), ("b", 0, 60, None)], {}, ("b", 0)),  # who was never served
    ([("a", 0, -9000, 100), ("b", 0, 60, 90)], {}, ("b", 0)),  # who was served longer ago
    ([("a", 6000, -9000, 100), ("b", 0, 500, 90)], {}, ("b", 0)),  # no priority between owners
    ([("a", 0, 0, 100), ("b", 0, 60, 90)], {"b": 1}, ("a", 0)),  # running steps count before turns
    ([("a", 0, -9000, 100), ("a", 600, 500, None)], {}, ("a", 600)),  # ten points of priority: 500 - 600 < 100
    ([("a", 0, -9000, 100), ("a", 600, 900, 800)], {}, ("a", 0)),  # and what they do not outweigh: 900 - 600 > 100
    (
        [("a", 0, -9000, 100), ("a", 600, 900, 80), ("b", 0, 0, 70)],
        {"b": 2},
        ("a", 0),
    ),  # first the owner, then the lane
]


@pytest.mark.django_db
@pytest.mark.parametrize(("lanes", "running", "expected"), RULE)
def test_the_statement_follows_the_rule(
    lanes: list[tuple[str, int, int, int | None]], running: dict[str, int], expected: tuple[str, int]
) -> None:
    """Seconds of a common clock, an hour ago at 0; the table is checked against the pure rule first."""
    values = [Lane(owner=owner, lead_seconds=lead, ready_at=at, served_at=last) for owner, lead, at, last in lanes]
    served = {lane.owner: float(lane.served_at) for lane in sorted(values, key=_served) if lane.served_at is not None}
    following = next_lane(values, running=running, served=served)
    assert (following.owner, following.lead_seconds) == expected
    clock = Now() - timedelta(hours=1)
    videos = {lane.owner: a_video(an_owner(lane.owner)) for lane in values}
    for lane in values:
        job = a_bare_job(videos[lane.owner])
        a_step(
            job, lead_seconds=lane.lead_seconds, rank_at=clock + timedelta(seconds=lane.ready_at - lane.lead_seconds)
        )
        if lane.served_at is not None:
            done: dict[str, Any] = {
                "state": StepState.DONE,
                "units_done": 1,
                "claimed_at": clock + timedelta(seconds=lane.served_at),
            }
            a_step(job, ordinal=1, lead_seconds=lane.lead_seconds, **done)
    for owner, count in running.items():
        job = a_bare_job(videos[owner])
        for number in range(count):
            a_step(job, ordinal=2 + number, state=StepState.RUNNING, attempt=1, node="n", worker_pid=1, **LEASED)
    step = Step.objects.select_related("owner").get(id=claimed().step_id)
    assert (step.owner.name, step.lead_seconds) == expected


def _served(lane: Lane) -> float:
    return lane.served_at or 0


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
        claim = pool.submit(_in_thread).result(timeout=60)
    assert claim is not None
    assert claim.step_id == free.id


@pytest.mark.django_db
def test_with_many_ready_steps_a_claim_walks_the_partial_index_only() -> None:
    owners = 50
    _fill(owners=owners, steps_each=600)
    plan = _explain_claim()
    scans = {
        (node["Node Type"], node.get("Index Name"))
        for node in _nodes(plan)
        if node.get("Relation Name") == Step._meta.db_table
    }
    assert not any(kind == "Seq Scan" for kind, _ in scans), scans
    assert any(name == "jobs_step_order" for _, name in scans)
    rows_read = sum(
        node["Actual Rows"] * node["Actual Loops"]
        for node in _nodes(plan)
        if node.get("Relation Name") == Step._meta.db_table
    )
    # 1. Of every owner, its first step and one that the worker can do. 2. Of the owners whose turn is next, three lanes
    # with two steps each, found by one entry each. 3. The step itself, twice: locked and updated.
    assert rows_read <= 2 * (owners + 1) + OWNERS * 3 * (2 + 1 + 1) + CANDIDATES + 2


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
    skipped = ("id", "owner_id", "ordinal", "lead_seconds", "rank_at")
    columns = [name for field in Step._meta.concrete_fields if (name := field.column or "") not in skipped]
    for number in range(owners):
        an_owner(f"owner {number}")
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_step (id, owner_id, ordinal, lead_seconds, rank_at, {', '.join(columns)}) "  # noqa: S608 - our names
            "SELECT gen_random_uuid(), o.id, row_number() OVER (), lead, "
            f"now() - (lead + random() * 3600) * interval '1 second', {', '.join('s.' + name for name in columns)} "
            "FROM jobs_step s, access_owner o, generate_series(1, %s) n, LATERAL ("
            "SELECT CASE WHEN n %% 50 = 0 THEN 3030 WHEN n %% 5 = 0 THEN 4800 ELSE 3000 END AS lead) l WHERE s.id = %s",
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
