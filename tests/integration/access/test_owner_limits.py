"""Limits of one owner at a time, however many keys it uses."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from pytest_django.fixtures import Settings

from access.models import ApiKey
from access.services import key_create
from api.problems import Problem
from jobs.lifecycle.services import job_cancel
from jobs.models import Job
from tests.rows import a_key, a_video, an_owner

SetLimits = Callable[..., None]


@pytest.fixture
def limits(settings: Settings) -> SetLimits:
    """Change limits of owners."""

    def change(**named: int) -> None:
        settings.TRANSCODER = replace(settings.TRANSCODER, owner=replace(settings.TRANSCODER.owner, **named))

    return change


def _client(name: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {a_key(an_owner(name))}"})


def _post(client: Client, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any], Any]:
    response = client.post(path, data=json.dumps(body or {}), content_type="application/json")
    return response.status_code, json.loads(response.content), response.headers.get("Retry-After")


NEW_KEY = {"name": "another", "scopes": ["jobs:read"]}


@pytest.mark.django_db
def test_an_owner_has_a_limited_number_of_keys_that_work(limits: SetLimits) -> None:
    limits(max_owner_keys=3)
    ann, bob = _client("ann"), _client("bob")
    answers = [_post(ann, "/api/v1/keys", NEW_KEY) for _ in range(4)]
    assert [status for status, _, _ in answers] == [201, 201, 409, 409]
    assert answers[2][1]["code"] == "too_many_keys"
    assert _post(bob, "/api/v1/keys", NEW_KEY)[0] == 201, "another owner has its own"
    ann.delete(f"/api/v1/keys/{answers[0][1]['id']}")
    assert _post(ann, "/api/v1/keys", NEW_KEY)[0] == 201, "a revoked key does not count"
    ApiKey.objects.filter(id=answers[1][1]["id"]).update(expires_at=Now())
    assert _post(ann, "/api/v1/keys", NEW_KEY)[0] == 201, "nor does one that has expired"


@pytest.mark.django_db
def test_an_operator_may_create_more_keys(limits: SetLimits, capsys: pytest.CaptureFixture[str]) -> None:
    limits(max_owner_keys=1)
    a_key(an_owner("ann"))
    call_command("apikey_create", "rescue", "--owner", "ann")
    assert capsys.readouterr().out.startswith("vm_")


@pytest.mark.django_db(transaction=True)
def test_keys_that_are_created_at_once_do_not_exceed_the_limit() -> None:
    owner = an_owner("ann")

    def create(_: int) -> bool:
        try:
            key_create(owner=owner, name="k", scopes=[], max_keys=5)
        except Problem:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(16)))
    assert sum(created) == ApiKey.objects.filter(owner=owner).count() == 5


@pytest.mark.django_db
def test_an_owner_has_a_limited_number_of_open_jobs(limits: SetLimits) -> None:
    from jobs.wiring import job_policy

    limits(max_owner_jobs=2)
    job_policy.cache_clear()
    try:
        ann, video = _client("ann"), a_video(an_owner("ann"))
        path = f"/api/v1/videos/{video.id}/transcode"
        answers = [_post(ann, path) for _ in range(3)]
        assert [status for status, _, _ in answers] == [202, 202, 429]
        _, problem, retry_after = answers[2]
        assert (problem["code"], problem["retryable"], retry_after) == ("too_many_jobs", True, "10")
        assert "2 of your jobs" in problem["detail"]
        first = Job.objects.get(id=answers[0][1]["id"])
        job_cancel(owner=first.owner, job_id=first.id)
        assert _post(ann, path)[0] == 202, "what is over does not count"
        assert _post(ann, f"/api/v1/jobs/{first.id}/retry")[1]["code"] == "too_many_jobs"
        assert _post(ann, path, {"dry_run": True})[0] == 200
        other = a_video(an_owner("bob"))
        assert _post(_client("bob"), f"/api/v1/videos/{other.id}/transcode")[0] == 202
    finally:
        job_policy.cache_clear()
