"""Destinations of jobs: what is accepted, what is refused, and what clients see of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from configuration import buckets_read
from jobs.models import Job, OutputDelivery
from storage.buckets import Buckets
from tests.rows import a_job, a_video

pytestmark = pytest.mark.django_db
DESTINATION = {"bucket": "outputs", "prefix": "films/summer"}


@pytest.fixture(autouse=True)
def allowed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = {"bucket": "b", "access_key": "k", "secret_key": "s3cret"}
    text = json.dumps(
        {
            "outputs": {**bucket, "destination": True, "owners": ["default"]},
            "others": {**bucket, "destination": True, "owners": ["somebody"]},
            "films": {**bucket, "import": True},
        }
    )
    found = Buckets(buckets_read(text), settings.TRANSCODER.storage)
    monkeypatch.setattr("jobs.endpoints.destinations.buckets", lambda: found)


def ask(client: Client, destination: object, *, status: int = 202, **more: object) -> Any:  # noqa: ANN401 - JSON
    body = json.dumps({"destination": destination, **more})
    response = client.post(f"/api/v1/videos/{a_video().id}/transcode", body, content_type="application/json")
    assert response.status_code == status, response.content
    assert b"s3cret" not in response.content
    return response.json()


def test_a_job_shows_its_destination(client: Client) -> None:
    shown = ask(client, {**DESTINATION, "prefix": "films/summer/"})
    assert shown["delivery"] == {
        **DESTINATION,
        "state": "pending",
        "files": None,
        "files_done": 0,
        "bytes_done": 0,
        "error": None,
        "delivered_at": None,
    }
    assert "destination" not in shown["request"]
    assert client.get("/api/v1/jobs").json()["results"][0]["delivery"] == shown["delivery"]


@pytest.mark.parametrize("alias", ["others", "films", "unknown"])
def test_a_bucket_that_the_owner_may_not_write_to_is_refused(client: Client, alias: str) -> None:
    for more in ({}, {"dry_run": True}):
        (error,) = ask(client, {**DESTINATION, "bucket": alias}, status=422, **more)["errors"]
        assert error["field"] == "destination.bucket"
        assert error["detail"] == f"there is no bucket {alias!r} that outputs of yours may be delivered to"
    assert not Job.objects.exists()


@pytest.mark.parametrize("prefix", ["", "/", "/films", "a/../b", "a//b", "./a", "a\n", "x" * 501, "a\\b"])
def test_a_prefix_is_a_clean_key(client: Client, prefix: str) -> None:
    (error,) = ask(client, {**DESTINATION, "prefix": prefix}, status=422)["errors"]
    assert error["field"] == "destination.prefix"


def test_a_delivery_is_repeated_only_where_there_is_one(client: Client) -> None:
    job = a_job()
    answer = client.post(f"/api/v1/jobs/{job.id}/deliver")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_destination")
    OutputDelivery.objects.create(job=job, bucket="outputs", prefix="p")
    answer = client.post(f"/api/v1/jobs/{job.id}/deliver")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_outputs")
