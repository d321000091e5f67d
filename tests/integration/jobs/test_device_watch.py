"""The watch over jobs without a device looks at every kind of need, not at every step that has it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gpu.devices import Device, DeviceKind, DeviceState, SlotLimits, Verdict
from gpu.services import DeviceDescription, device_report
from jobs.dispatching.device_watch import devices_watch
from jobs.models import Job, Step
from tests.rows import a_bare_job, a_policy, a_step, a_video

H264, AV1 = "h264_nvenc", "av1_nvenc"
STEPS, JOBS = 20_000, 200
POLICY = a_policy()


def a_gpu() -> None:
    device = Device(index=0, uuid="GPU-0", name="T4", kind=DeviceKind.NVIDIA, driver="570.1")
    said = Verdict(encoder=H264, available=True, reason="", driver="570.1", ffmpeg_version="9")
    described = DeviceDescription(state=DeviceState(device=device), limits=SlotLimits(device=8), verdicts={H264: said})
    device_report(node="n1", machine="m", descriptions=[described])


def fill() -> None:
    """Steps that a device could encode if it had time, of many jobs and with different numbers of sessions."""
    video = a_video()
    step = a_step(a_bare_job(video), queue="gpu", encoder=H264, sessions=1, units_total=0)
    for _ in range(JOBS - 1):
        a_bare_job(video)
    skipped = ("id", "job_id", "ordinal", "sessions")
    columns = [name for field in Step._meta.concrete_fields if (name := field.column or "") not in skipped]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_step (id, job_id, ordinal, sessions, {', '.join(columns)}) "  # noqa: S608 - our names
            f"SELECT gen_random_uuid(), j.id, row_number() OVER (), 1 + n %% 4, {', '.join('s.' + c for c in columns)} "
            "FROM jobs_step s, jobs_job j, generate_series(1, %s) n WHERE s.id = %s",
            [STEPS // JOBS, step.id],
        )
        cursor.execute("ANALYZE jobs_step, jobs_job")


def rows_read(plan: dict[str, Any]) -> int:
    """The most rows that any part of a plan has read, those that it threw away included."""
    read: int = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return max([read, *(rows_read(child) for child in plan.get("Plans", []))])


def watched() -> int:
    """Watch once; the most rows that any of its queries has read."""
    with CaptureQueriesContext(connection) as queries:
        devices_watch(policy=POLICY)
    largest = 0
    for query in queries.captured_queries:
        if not query["sql"].lstrip().startswith(("SELECT", "WITH")) or "FOR NO KEY UPDATE" in query["sql"]:
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query["sql"])
            ((text,),) = cursor.fetchall()
        (document,) = json.loads(text) if isinstance(text, str) else text
        largest = max(largest, rows_read(document["Plan"]))
    return largest


@pytest.mark.django_db
def test_twenty_thousand_steps_that_wait_for_their_turn_are_not_looked_at() -> None:
    fill()
    a_gpu()  # again below: a device is gone when it has been silent for a while, and this may take long
    assert watched() < 1000
    assert not Job.objects.filter(waiting_since__isnull=False).exists()

    stuck = a_bare_job(a_video())
    a_step(stuck, queue="gpu", encoder=AV1, sessions=2, units_total=0)
    busy = a_bare_job(a_video())
    a_step(busy, queue="gpu", encoder=H264, sessions=2, units_total=0, error_code="device_busy")
    a_gpu()
    assert watched() < JOBS * 3
    assert set(Job.objects.filter(waiting_since__isnull=False)) == {stuck, busy}
