"""Cached documents: no SQL, and never older than the client's own changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from access.services import default_owner, key_revoke, keys_of
from coordination.cache import ResponseCache
from embedded.servers import Redis
from jobs.leasing.steps import step_begin, step_publish
from jobs.lifecycle.failures import step_fail
from jobs.models import Job
from jobs.rules.retry import Failure
from tests.integration.coordination.conftest import caching_on, until
from tests.rows import a_job, a_key, a_policy, a_run, a_video, an_owner, claimed
from videos.models import Rendition

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = ("/api/v1/jobs/{job}", "/api/v1/jobs/{job}/outputs", "/api/v1/jobs", "/api/v1/videos/{video}", "/api/v1/videos")


@pytest.fixture
def client(caching: ResponseCache, transactional_db: None) -> Client:
    return Client(headers={"Authorization": f"Bearer {a_key()}"})


def _read(client: Client, path: str) -> dict[str, Any]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    document: dict[str, Any] = json.loads(answer.content)
    return document


@pytest.mark.parametrize("kind", KINDS)
def test_a_cached_document_costs_no_query(client: Client, caching: ResponseCache, kind: str) -> None:
    job = a_job()
    path = kind.format(job=job.id, video=job.video_id)
    first = _read(client, path)
    with CaptureQueriesContext(connection) as queries:
        again = client.get(path)
    assert not queries.captured_queries, "not even for the key"
    assert json.loads(again.content) == first


def test_a_client_sees_what_it_did(client: Client) -> None:
    job = a_job()
    path = f"/api/v1/jobs/{job.id}"
    assert _read(client, path)["state"] == "queued"
    assert client.post(f"{path}/reprioritize", {"priority": 90}, content_type="application/json").status_code == 200
    assert _read(client, path)["priority"] == 90
    assert client.post(f"{path}/cancel").status_code == 200
    assert _read(client, path)["state"] == "cancelled"
    assert _read(client, "/api/v1/jobs")["results"][0]["state"] == "cancelled"
    assert client.post(f"{path}/retry").status_code == 202
    assert _read(client, path)["state"] == "queued"
    assert client.delete(f"/api/v1/videos/{job.video_id}").status_code == 204
    assert client.get(f"/api/v1/videos/{job.video_id}").status_code == 404
    assert _read(client, "/api/v1/videos")["results"] == []


def test_progress_shows_at_once(client: Client) -> None:
    job = a_job(a_video(audio=False))
    path = f"/api/v1/jobs/{job.id}"
    assert _read(client, path)["progress"] == 0
    claim = claimed()
    step_begin(claim=claim)
    assert _read(client, path)["state"] == "processing"
    rendition = Rendition.objects.get(kind="video")
    step_publish(claim=claim, runs=[a_run(rendition, 0)], units_done=1)
    shown = _read(client, path)
    assert shown["progress"] > 0
    assert shown["speed"] is not None
    step_publish(claim=claim, runs=[a_run(rendition, 1)], units_done=2)
    assert _read(client, path)["progress"] > shown["progress"]


def test_a_failure_shows_at_once(client: Client) -> None:
    job = a_job(a_video(audio=False))
    path = f"/api/v1/jobs/{job.id}"
    claim = claimed()
    step_begin(claim=claim)
    assert _read(client, path)["error"] is None
    step_fail(claim=claim, failure=Failure(code="bad", detail="it is", retryable=False), policy=a_policy())
    assert _read(client, path)["error"]["code"] == "bad"


def test_a_cached_document_is_shown_to_its_owner_only(client: Client) -> None:
    job = a_job()
    paths = [kind.format(job=job.id, video=job.video_id) for kind in KINDS]
    for path in paths:
        _read(client, path)
    other = Client(headers={"Authorization": f"Bearer {a_key(an_owner('other'))}"})
    assert [other.get(path).status_code for path in paths] == [404, 404, 200, 404, 200]
    assert _read(other, "/api/v1/jobs")["results"] == []
    assert _read(other, "/api/v1/videos")["results"] == []


def test_a_revoked_key_works_no_more(client: Client) -> None:
    assert client.get("/api/v1/jobs").status_code == 200
    for key in keys_of(default_owner()):
        key_revoke(owner=default_owner(), key_id=key.id)
    assert client.get("/api/v1/jobs").status_code == 401


def test_a_key_revoked_on_the_command_line_works_no_more(client: Client) -> None:
    assert client.get("/api/v1/jobs").status_code == 200
    call_command("apikey_revoke", keys_of(default_owner()).get().prefix)
    assert client.get("/api/v1/jobs").status_code == 401


def test_urls_have_the_host_of_the_request(client: Client) -> None:
    video = a_video()
    path = f"/api/v1/videos/{video.id}"
    assert _read(client, path)["original_url"].startswith("http://testserver/")
    elsewhere = client.get(path, headers={"host": "localhost"})
    assert json.loads(elsewhere.content)["original_url"].startswith("http://localhost/")


def test_everything_works_while_redis_hangs(
    client: Client, redis: Redis, settings: Settings, frozen: Callable[[], AbstractContextManager[None]]
) -> None:
    job = a_job()
    path = f"/api/v1/jobs/{job.id}"
    _read(client, path)
    with caching_on(redis, settings, timeout_seconds=0.1):
        with frozen():
            assert client.post(f"{path}/cancel").status_code == 200
            assert _read(client, path)["state"] == "cancelled"
        until(lambda: _read(client, path)["state"] == "cancelled")
    assert Job.objects.get(id=job.id).state == "cancelled"
