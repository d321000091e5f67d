"""The queries that the autoscaler sends, on a real PostgreSQL."""

import pytest
from django.db import connection

from jobs.rules.transitions import StepState
from tests.rows import a_bare_job, a_step, a_video, claimed
from tests.unit.deployment.reading import manifests


def steps_counted(name: str) -> int:
    (scaled,) = [each for each in manifests() if each["kind"] == "ScaledObject" and each["metadata"]["name"] == name]
    with connection.cursor() as cursor:
        cursor.execute(scaled["spec"]["triggers"][0]["metadata"]["query"])
        ((count,),) = cursor.fetchall()
    return int(count)


@pytest.mark.django_db
def test_counts_the_ready_and_the_running_steps_of_a_queue() -> None:
    job = a_bare_job(a_video())
    before = {name: steps_counted(name) for name in ("worker-cpu", "worker-transfer", "worker-gpu", "worker-live")}
    for ordinal in range(3):
        a_step(job, ordinal=ordinal)
    claimed()
    a_step(job, ordinal=3, state=StepState.DONE, units_done=1)
    a_step(job, ordinal=4, state=StepState.CANCELLED)
    a_step(job, ordinal=5, queue="gpu")
    for ordinal in (6, 7):
        a_step(job, ordinal=ordinal, queue="transfer")
    a_step(job, ordinal=8, queue="live")
    after = {name: steps_counted(name) - before[name] for name in before}
    assert after == {"worker-cpu": 3, "worker-transfer": 2, "worker-gpu": 1, "worker-live": 1}


@pytest.mark.django_db
def test_two_slots_for_live_streams_are_always_free() -> None:
    assert steps_counted("worker-live") == 2
