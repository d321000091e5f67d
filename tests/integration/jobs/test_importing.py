"""Requests to import videos: what is accepted, what is refused, and what clients see of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from access.scopes import Scope
from configuration import buckets_read
from events.models import Event
from jobs.lifecycle import importing
from jobs.models import Job, Step
from storage.buckets import Buckets
from storage.keys import video_prefix
from tests.receiver import OUR_HOSTS
from tests.rows import PUBLIC_URL, a_job, a_key, an_owner
from videos.models import Import, Video

pytestmark = pytest.mark.django_db

URL = f"{PUBLIC_URL.removesuffix('/hook')}/films/summer%20holiday.mp4?token=s3cret#t=1"
SHOWN = "https://[2000::1]/…/summer%20holiday.mp4"


def ask(client: Client, url: str = URL, *, status: int = 202, key: str = "", **more: object) -> Any:  # noqa: ANN401 - JSON
    headers = {"Idempotency-Key": key} if key else {}
    body = json.dumps({"url": url, **more})
    response = client.post("/api/v1/videos/import", body, content_type="application/json", headers=headers)
    assert response.status_code == status, response.content
    if status == 202:
        assert response.headers["Location"] == reverse("video-detail", args=[response.json()["id"]])
    return response.json()


def test_an_import_is_a_video_of_its_own_from_the_beginning(client: Client) -> None:
    labels: dict[str, Any] = {"external_id": "asset-19", "metadata": {"project": "summer"}}
    shown = ask(client, checksum=f"sha256:{'AB' * 32}", loudness=True, **labels)
    assert (shown["status"], shown["filename"], shown["size"], shown["original_url"]) == (
        "importing",
        "summer holiday.mp4",
        0,
        None,
    )
    assert shown["imported_from"] == {"url": SHOWN, "size": None, "received": 0}
    assert {name: shown[name] for name in labels} == labels
    address = reverse("video-detail", args=[shown["id"]])
    assert client.get(address).json() == shown
    assert client.get("/api/v1/videos?status=importing").json()["results"] == [shown]
    original = client.get(f"{address}/original")
    assert (original.status_code, original.json()["code"]) == (404, "source_not_made")
    row = Import.objects.get()
    assert (row.url, row.sha256, row.video.measure_loudness) == (URL, "ab" * 32, True)
    assert list(Step.objects.values_list("kind", "state", "payload")) == [("fetch", "ready", {})]


def test_a_job_can_be_requested_with_it_or_later_and_waits(client: Client) -> None:
    shown = ask(client, transcode={"bitrate": 800_000, "external_id": "job-1", "priority": 60})
    job = Job.objects.get()
    assert (str(job.video_id), job.external_id, job.priority, job.phase) == (shown["id"], "job-1", 60, "inspecting")
    a_job(job.video)
    assert list(Step.objects.values_list("kind", flat=True)) == ["fetch"]
    assert client.delete(f"/api/v1/videos/{shown['id']}").status_code == 204
    assert sorted(Step.objects.values_list("kind", "state", "payload__prefix")) == [
        ("fetch", "cancelled", None),
        ("purge", "ready", video_prefix(job.video_id)),
    ]
    assert Import.objects.get().url == ""


def test_a_job_that_cannot_be_creates_no_video(client: Client) -> None:
    problem = ask(client, transcode={"bitrate": -1}, status=422)
    assert problem["errors"][0]["field"] == "transcode.bitrate"
    assert not Video.objects.exists()


@pytest.mark.parametrize("scheme", ["https", "http", "ftp", "file"])
@pytest.mark.parametrize("host", [*OUR_HOSTS, "169.254.169.254", "name.invalid"])
def test_urls_that_lead_into_our_network_are_refused_at_once(client: Client, scheme: str, host: str) -> None:
    problem = ask(client, f"{scheme}://{host}/latest/meta-data/", status=422)
    (error,) = problem["errors"]
    assert error["field"] == "url"
    assert not Video.objects.exists()


def test_plain_http_is_for_networks_that_the_operator_named(client: Client, settings: Settings) -> None:
    upload = replace(settings.TRANSCODER.upload, import_networks=("127.0.0.0/8",))
    settings.TRANSCODER = replace(settings.TRANSCODER, upload=upload)
    assert ask(client, "http://127.0.0.1/a.mp4")["filename"] == "a.mp4"
    ask(client, "http://10.0.0.1/a.mp4", status=422)


@pytest.mark.parametrize(
    ("field", "value"),
    [("url", "https://user:password@example.org/a.mp4"), ("url", "/a.mp4"), ("url", 5), ("url", f"{URL}{'x' * 4096}"),
     ("checksum", "md5:00"), ("checksum", f"sha256:{'g' * 64}"), ("filename", "a\u202eb.mp4"), ("filename", "x" * 256),
     ("loudness", "yes"), ("metadata", []), ("source", "x")],
)  # fmt: skip
def test_fields_that_are_wrong_are_named(client: Client, field: str, value: object) -> None:
    body = {"url": URL, field: value}
    response = client.post("/api/v1/videos/import", json.dumps(body), content_type="application/json")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


def test_a_repeated_request_imports_once(client: Client) -> None:
    assert ask(client, key="once") == ask(client, key="once")
    assert Video.objects.count() == 1


def test_importing_is_limited_per_owner(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_IMPORTING", 1)
    ask(client)
    assert ask(client, status=429)["code"] == "too_many_imports"
    other = Client(headers={"X-API-Key": a_key(an_owner("other"))})
    ask(other)


def test_importing_needs_the_right_to_write_videos_and_a_job_that_to_write_jobs() -> None:
    reader = Client(headers={"X-API-Key": a_key(None, Scope.VIDEOS_READ, Scope.JOBS_WRITE)})
    assert ask(reader, status=403)["code"] == "scope_missing"
    writer = Client(headers={"X-API-Key": a_key(None, Scope.VIDEOS_WRITE)})
    ask(writer)
    assert ask(writer, transcode={}, status=403)["code"] == "scope_missing"


def test_buckets_are_those_that_the_operator_allows_the_owner(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = {"bucket": "b", "access_key": "k", "secret_key": "s"}
    allowed = {
        "films": {**bucket, "import": True, "owners": ["default"]},
        "others": {**bucket, "import": True, "owners": ["somebody"]},
        "outputs": {**bucket, "destination": True},
    }
    found = Buckets(buckets_read(json.dumps(allowed)), settings.TRANSCODER.storage)
    monkeypatch.setattr("jobs.endpoints.importing.buckets", lambda: found)
    shown = ask(client, "s3://films/2026/summer.mp4")
    assert (shown["filename"], shown["imported_from"]["url"]) == ("summer.mp4", "s3://films/2026/summer.mp4")
    refused = [ask(client, f"s3://{alias}/a.mp4", status=422)["detail"] for alias in ("others", "outputs", "unknown")]
    assert {
        text.replace(repr(name), "") for text, name in zip(refused, ("others", "outputs", "unknown"), strict=True)
    } == {"url: there is no bucket  that you may import from"}
    for key in ("", "/a.mp4", "a/../b.mp4", "a//b.mp4"):
        ask(client, f"s3://films/{key}", status=422)


def test_nobody_is_shown_what_grants_access(client: Client, admin_client: Client) -> None:
    shown = ask(client, transcode={})
    video, step = Video.objects.get(), Step.objects.get()
    for address in (f"videos/video/{video.id}", f"jobs/step/{step.id}"):
        page = admin_client.get(f"/admin/{address}/change/")
        assert page.status_code == 200
        assert "s3cret" not in page.text
    assert SHOWN in admin_client.get(f"/admin/videos/video/{video.id}/change/").text
    assert "s3cret" not in json.dumps(shown) + json.dumps(list(Event.objects.values_list("data", flat=True)))
