from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from jobs.models import Step
from jobs.planning.speeds import throughput_measured
from jobs.rules.transitions import StepState
from tests.rows import a_bare_job, a_job, a_policy, a_step, a_video
from transcoding.planning.plan import EncodePlan
from transcoding.planning.sizing import Throughput
from videos.models import Generation

pytestmark = pytest.mark.django_db


def _done(*rates: float, seconds: float = 10.0, preset: str = "veryfast", queue: str = "cpu", ago: int = 0) -> None:
    """Chunks that were done at these rates, the last one so many seconds ago."""
    job = a_bare_job(a_video())
    for ordinal, rate in enumerate(rates):
        result = {"seconds": seconds, "pixels": int(rate * seconds), "encoder": "libx264", "preset": preset}
        finished = Now() - timedelta(seconds=ago + len(rates) - ordinal)
        a_step(
            job, ordinal=ordinal, queue=queue, state=StepState.DONE, units_done=1, result=result, finished_at=finished
        )


def _measured(**which: str) -> Throughput | None:
    return throughput_measured(**{"queue": "cpu", "encoder": "libx264", "preset": "veryfast"} | which)


def test_the_median_of_recent_chunks_is_believed() -> None:
    _done(1000, 2000, 90_000)
    assert _measured() == Throughput(pixels_per_second=2000, samples=3)


def test_too_few_say_nothing() -> None:
    assert _measured() is None
    _done(1000, 2000)
    assert _measured() is None


def test_only_what_is_alike_counts() -> None:
    _done(1000, 1000, 1000)
    _done(5000, 5000, 5000, preset="slow")
    _done(7000, 7000, 7000, queue="gpu")
    assert _measured() == Throughput(pixels_per_second=1000, samples=3)
    assert _measured(preset="slow") == Throughput(pixels_per_second=5000, samples=3)
    assert _measured(queue="gpu") == Throughput(pixels_per_second=7000, samples=3)
    assert _measured(encoder="libx265") is None


def test_a_run_of_less_than_a_second_measures_nothing() -> None:
    _done(1000, 1000, 1000, seconds=0.9)
    assert _measured() is None


def test_what_is_new_replaces_what_is_old() -> None:
    _done(*[1000] * 60, ago=3600)
    _done(*[3000] * 50)
    assert _measured() == Throughput(pixels_per_second=3000, samples=50)


def test_a_step_without_measurements_does_no_harm() -> None:
    _done(1000, 1000, 1000)
    a_step(a_bare_job(a_video()), state=StepState.DONE, units_done=1, finished_at=Now(), result={"seconds": 0.0})
    a_step(a_bare_job(a_video()), state=StepState.DONE, units_done=1, finished_at=Now(), result=None)
    assert _measured() == Throughput(pixels_per_second=1000, samples=3)


def test_a_job_is_planned_by_it() -> None:
    policy = a_policy(chunk_seconds=4)
    _done(*[1_267_200] * 3)  # 253,440 pixels of work a frame at 25 fps: a fifth of real time
    job = a_job(a_video(), policy=policy)
    sizing = EncodePlan.from_json(Generation.objects.get(job_id=job.id).plan).sizing
    assert sizing is not None
    assert (sizing.speed, sizing.samples) == (0.2, 3)


def test_looking_it_up_reads_the_newest_chunks_only() -> None:
    _done(*[1000] * 3)
    job = a_bare_job(a_video())
    step = a_step(job, state=StepState.DONE, units_done=1, finished_at=Now(), result={"seconds": 0.0})
    Step.objects.bulk_create(
        Step(
            owner_id=step.owner_id,
            video_id=step.video_id,
            job_id=job.id,
            generation_id=job.generation_id,
            kind="chunk",
            ordinal=number,
            state=StepState.DONE,
            rank_at=step.rank_at,
            finished_at=Now() - timedelta(seconds=number),
            result={"seconds": 0.0},
        )
        for number in range(1, 1000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_step")
    with CaptureQueriesContext(connection) as queries:
        _measured()
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE) " + queries[0]["sql"])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "jobs_step_measured" in plan
    assert "Seq Scan" not in plan
