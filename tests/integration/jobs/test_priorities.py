"""The ceiling of priorities, and the scope that lifts it."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest
from django.test import Client

from access.scopes import Scope
from jobs.models import Job
from tests.rows import a_job, a_key, a_video

pytestmark = pytest.mark.django_db


def _post(path: str, body: dict[str, object], *scopes: Scope) -> tuple[int, dict[str, object]]:
    client = Client(headers={"Authorization": f"Bearer {a_key(None, *scopes)}"})
    response = client.post(path, data=json.dumps(body), content_type="application/json")
    return response.status_code, json.loads(response.content)


WRITER = (Scope.JOBS_WRITE,)
URGENT = (Scope.JOBS_WRITE, Scope.JOBS_URGENT)


@pytest.mark.parametrize(
    ("priority", "scopes", "expected"),
    [
        ("high", WRITER, HTTPStatus.ACCEPTED),
        (80, WRITER, HTTPStatus.ACCEPTED),
        (81, WRITER, HTTPStatus.FORBIDDEN),
        (100, URGENT, HTTPStatus.ACCEPTED),
        (100, (Scope.ADMIN,), HTTPStatus.ACCEPTED),
        (100, (Scope.JOBS_URGENT,), HTTPStatus.FORBIDDEN),  # it lifts the ceiling and writes nothing by itself
    ],
)
def test_a_new_job_keeps_the_ceiling(priority: object, scopes: tuple[Scope, ...], expected: HTTPStatus) -> None:
    video = a_video()
    status, document = _post(f"/api/v1/videos/{video.id}/transcode", {"priority": priority}, *scopes)
    assert status == expected
    assert Job.objects.count() == (expected == HTTPStatus.ACCEPTED)
    if expected == HTTPStatus.FORBIDDEN:
        assert document["code"] == "scope_missing"


def test_a_dry_run_keeps_the_ceiling_too() -> None:
    video = a_video()
    status, document = _post(f"/api/v1/videos/{video.id}/transcode", {"priority": 90, "dry_run": True}, *WRITER)
    assert (status, document["code"]) == (HTTPStatus.FORBIDDEN, "scope_missing")


def test_a_waiting_job_keeps_the_ceiling() -> None:
    job = a_job()
    path = f"/api/v1/jobs/{job.id}/reprioritize"
    status, document = _post(path, {"priority": 100}, *WRITER)
    assert (status, document["code"]) == (HTTPStatus.FORBIDDEN, "scope_missing")
    assert [error["field"] for error in document["errors"]] == ["priority"]  # type: ignore[attr-defined] # any JSON
    job.refresh_from_db()
    assert job.priority == 50
    status, _ = _post(path, {"priority": 100}, *URGENT)
    assert status == HTTPStatus.OK
    status, _ = _post(path, {"priority": 0}, *WRITER)
    assert status == HTTPStatus.OK, "down, anybody may"
