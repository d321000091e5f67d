"""Images of watermarks: uploaded, listed, deleted, and named by jobs."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from jobs.dispatching.janitor import watermarks_forget
from jobs.models import Job
from jobs.rules.transitions import JobPhase, JobState
from tests.rows import a_video, an_owner
from tests.unit.transcoding.test_images import a_jpeg, a_png
from transcoding.planning.plan import EncodePlan
from videos.models import WatermarkImage
from videos.watermarks import services
from videos.watermarks.services import watermark_create

pytestmark = pytest.mark.django_db

URL = "/api/v1/watermarks"


def _upload(client: Client, data: bytes, kind: str = "image/png", **headers: str) -> Any:  # noqa: ANN401
    return client.post(URL, data=data, content_type=kind, headers=headers)


def _transcode(client: Client, image: object, **body: object) -> Any:  # noqa: ANN401
    path = f"/api/v1/videos/{a_video().id}/transcode"
    return client.post(path, json.dumps({"watermark": {"image": str(image)}, **body}), content_type="application/json")


def test_an_image_is_uploaded_shown_listed_and_deleted(client: Client) -> None:
    created = _upload(client, a_png(200, 100))
    document = created.json()
    assert (created.status_code, document["format"], document["width"], document["height"]) == (201, "png", 200, 100)
    assert client.get(created.headers["Location"]).json() == document
    assert client.get(URL).json()["results"] == [document]
    assert client.delete(created.headers["Location"]).status_code == 204
    assert client.get(created.headers["Location"]).status_code == 404
    assert client.delete(created.headers["Location"]).status_code == 404
    assert client.get(URL).json()["results"] == []


def test_a_repeated_upload_is_one_image(client: Client) -> None:
    first, second = (_upload(client, a_png(), **{"Idempotency-Key": "logo"}) for _ in range(2))
    assert first.json() == second.json()
    assert WatermarkImage.objects.count() == 1
    assert _upload(client, a_jpeg(), "image/jpeg", **{"Idempotency-Key": "logo"}).status_code == 422


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"no image", "image/png", 422),
        (b"", "image/png", 422),
        (a_png()[:-3], "image/png", 422),
        (a_png(4097, 1), "image/png", 422),
        (a_png() + bytes(1_000_001), "image/png", 413),
        (a_png(), "application/octet-stream", 415),
    ],
)
def test_what_is_no_image_is_refused_and_nothing_is_left(client: Client, data: bytes, kind: str, status: int) -> None:
    assert _upload(client, data, kind).status_code == status
    assert not WatermarkImage.objects.exists()


def test_an_owner_has_only_so_many(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_IMAGES", 1)
    assert _upload(client, a_png()).status_code == 201
    refused = _upload(client, a_png())
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_watermarks")


def test_a_job_draws_the_image_that_it_names(client: Client) -> None:
    image = _upload(client, a_png(200, 100)).json()["id"]
    assert _transcode(client, image, dry_run=True).status_code == 200
    assert _transcode(client, image).status_code == 202
    job = Job.objects.get()
    assert job.request["watermark"] == {"image": image}
    assert job.generation is not None
    mark = EncodePlan.from_json(job.generation.plan).watermark
    assert mark is not None
    assert mark.image is not None
    assert (mark.image.id, mark.image.width, mark.image.height) == (image, 200, 100)


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_image_that_its_owner_does_not_have_is_refused(client: Client, *, dry_run: bool) -> None:
    foreign = watermark_create(owner=an_owner("other"), data=a_png()).id
    deleted = _upload(client, a_png())
    client.delete(deleted.headers["Location"])
    assert client.get(f"{URL}/{foreign}").status_code == 404
    assert client.delete(f"{URL}/{foreign}").status_code == 404
    for image in (foreign, uuid4(), deleted.json()["id"]):
        refused = _transcode(client, image, dry_run=dry_run)
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == ["watermark.image"]
    assert not Job.objects.exists()


def test_a_deleted_image_is_removed_when_no_job_draws_it_any_more(client: Client) -> None:
    used, unused, staying = (_upload(client, a_png(width, 9)) for width in (1, 2, 3))
    assert _transcode(client, used.json()["id"]).status_code == 202
    for each in (used, unused):
        client.delete(each.headers["Location"])
    assert watermarks_forget() == 1
    left = {str(each) for each in WatermarkImage.objects.values_list("id", flat=True)}
    assert left == {used.json()["id"], staying.json()["id"]}
    job = Job.objects.get()
    client.post(f"/api/v1/jobs/{job.id}/cancel")
    job.refresh_from_db()
    assert (job.state, job.phase) == (JobState.CANCELLED, JobPhase.ENDED)
    assert watermarks_forget() == 1
