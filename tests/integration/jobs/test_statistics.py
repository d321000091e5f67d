from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access.scopes import Scope
from execution.daemons import poll_until
from jobs.leasing.nodes import node_register
from jobs.leasing.steps import step_begin
from jobs.lifecycle.services import job_cancel
from jobs.models import Job, Node
from tests.rows import a_bare_job, a_job, a_key, a_run, a_step, a_video, an_mp4, claimed
from videos.assets.services import assets_publish
from videos.models import Generation, Rendition
from videos.runs import run_publish

pytestmark = pytest.mark.django_db


def _read(client: Client, path: str) -> dict[str, Any]:
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.content
    document: dict[str, Any] = json.loads(answer.content)
    return document


def _ended(state: str, *, hours_ago: float = 0.5, **metadata: object) -> Job:
    job = a_bare_job(a_video())
    Job.objects.filter(id=job.id).update(
        state=state,
        phase="",
        finished_at=Now() - timedelta(hours=hours_ago),
        metadata=metadata,
        error_code="bad" if state == "failed" else "",
    )
    return job


def test_what_waits_and_runs_is_reported_by_queue(client: Client) -> None:
    job = a_bare_job(a_video())
    for ordinal in range(3):
        a_step(job, ordinal=ordinal, waited_seconds=100 - ordinal)
    a_step(job, ordinal=3, queue="gpu", waited_seconds=50)
    claimed(node="n1")
    stats = _read(client, "/queue/stats")
    by_queue = {each["queue"]: each for each in stats["queues"]}
    assert (by_queue["cpu"]["ready"], by_queue["cpu"]["running"], by_queue["gpu"]["ready"]) == (2, 1, 1)
    assert stats["queue_depth"] == 3
    assert 98 <= stats["oldest_ready_step_seconds"] < 160
    assert 50 <= by_queue["gpu"]["oldest_ready_seconds"] < 90


def test_the_last_hour_is_summed_up(client: Client) -> None:
    for speed in (1.0, 3.0):
        _ended("completed", processing_speed=speed, processing_time_seconds=10)
    _ended("failed")
    _ended("failed", hours_ago=2)
    done = _ended("completed", processing_speed=2.0, processing_time_seconds=10)
    job_cancel(owner=done.owner, job_id=a_job().id)
    assert done.generation_id is not None
    Generation.objects.filter(id=done.generation_id).update(state="complete", completed_at=Now(), playable_at=Now())
    rendition = Rendition.objects.get(generation=done.generation_id)
    run_publish(step_id=done.id, attempt=1, runs=[a_run(rendition, 0, 2)])
    assets_publish(generation_id=done.generation_id, assets=[an_mp4(rendition, size_bytes=50)])
    stats = _read(client, "/system/stats")
    shown = stats["throughput"]
    assert (shown["completed"], shown["failed"], shown["cancelled"]) == (3, 1, 1)
    assert (shown["jobs_per_hour"], shown["success_rate"], shown["mean_speed"]) == (3, 0.75, 2.0)
    assert shown["mean_processing_seconds"] == 10
    assert stats["storage"]["outputs_bytes"] == 2_050
    assert stats["storage"]["sources_bytes"] == 1_000_000 * 6
    assert stats["jobs"] == {"queued": 0, "processing": 0, "paused": 0}


def test_an_empty_house_has_no_rates(client: Client) -> None:
    stats = _read(client, "/system/stats")
    assert stats["throughput"]["success_rate"] is None
    assert (stats["queue_depth"], stats["oldest_ready_step_seconds"]) == (0, 0)


def test_workers_are_reported_alive_and_silent(client: Client) -> None:
    for name in ("here", "gone"):
        node_register(name=name, queues=["cpu"], slots=2, pid=1, info={})
    Node.objects.filter(name="gone").update(last_seen=Now() - timedelta(seconds=300))
    a_job()
    step_begin(claim=claimed(node="here"))
    shown = _read(client, "/workers/health")
    assert (shown["status"], shown["total"], shown["alive"], shown["slots"], shown["busy"]) == ("degraded", 2, 1, 2, 1)
    assert {each["name"]: each["alive"] for each in shown["workers"]} == {"gone": False, "here": True}
    health: dict[str, Any] = {}

    def answered() -> bool:
        """A check that takes longer than two seconds goes on, and the next reading has its result."""
        health.update(_read(client, "/system/health"))
        return bool(health["checks"]["database"] == health["checks"]["migrations"] == "ok")

    assert poll_until(answered, 120), health
    codes = {alert["code"] for alert in health["alerts"]}
    assert codes - {"store", "redis"} == {"worker_silent"}, "this run may have these two servers or not"
    assert (health["workers_alive"], health["status"]) == (1, "degraded")


def test_a_relay_is_no_worker(client: Client) -> None:
    node_register(name="relay-1", queues=["relay"], slots=16, pid=1, info={})
    shown = _read(client, "/workers/health")
    assert (shown["status"], shown["total"], shown["slots"], shown["workers"]) == ("failed", 0, 0, [])
    assert _read(client, "/system/health")["workers_alive"] == 0


@pytest.mark.parametrize("path", ["/system/stats", "/system/health", "/queue/stats", "/workers/health"])
def test_who_may_not_know_the_system_gets_no_answer(path: str) -> None:
    key = a_key(None, Scope.JOBS_READ)
    assert Client(headers={"Authorization": f"Bearer {key}"}).get(f"/api/v1{path}").status_code == 403
    assert Client().get(f"/api/v1{path}").status_code == 401


def test_statistics_take_few_queries_however_much_there_is(client: Client) -> None:
    for _ in range(3):
        a_job()
    with CaptureQueriesContext(connection) as queries:
        _read(client, "/system/stats")
    assert len(queries) <= 6


@pytest.mark.parametrize("path", ["/system/stats", "/queue/stats", "/workers/health", "/system/gpu/status"])
def test_unchanged_statistics_are_answered_with_304(client: Client, path: str) -> None:
    """Ages grow from request to request, which alone is no change within a minute."""
    node_register(name="node", queues=["cpu"], slots=1, pid=1, info={})
    job = a_bare_job(a_video())
    a_step(job, waited_seconds=10)
    first = client.get(f"/api/v1{path}")
    etag = first.headers["ETag"]
    same = client.get(f"/api/v1{path}", headers={"If-None-Match": etag})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    if path == "/system/gpu/status":
        return
    Node.objects.update(slots=2)
    a_step(job, ordinal=1, waited_seconds=200)
    changed = client.get(f"/api/v1{path}", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag
