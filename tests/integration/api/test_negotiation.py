"""Whatever `Accept` says, an operation responds as it does without that header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from django.db import transaction
from django.test import Client

from access.models import ApiKey
from access.services import default_owner
from events.models import Delivery, Event
from events.webhooks.services import endpoint_create
from tests.integration.api.test_isolation import OPERATIONS, STREAMED, Operation, ask, url
from tests.live_rows import a_stream
from tests.rows import a_job, a_key, a_live_session, a_video, an_upload
from tests.unit.transcoding.test_images import a_png
from transcoding.planning.thumbnails import ThumbnailRequest
from videos.models import Text, Thumbnails
from videos.uploads.idempotency import PATH as UPLOAD
from videos.watermarks.services import watermark_create

ODD = (
    "application/problem+json",
    "application/xml",
    "video/*",
    "text/html",
    "text/html,application/xhtml+xml,application/xml;q=0.9",
    "application/json;q=0",
    "application/json; version=2",
    "nonsense",
    ";;,/,",
    "*",
    "a/" + "b" * 9000,
)


@pytest.fixture
def mine(db: None) -> dict[str, str]:
    """One of everything, by the names that paths have for it."""
    video = a_video()
    job = a_job(video)
    a_key()
    webhook = endpoint_create(owner=default_owner(), url="https://receiver.example/hook")
    delivery = Delivery.objects.create(endpoint=webhook, event=Event.objects.latest("id"))
    Thumbnails.objects.create(video=video, request=ThumbnailRequest().to_json())
    return {
        "video_id": str(video.id),
        "job_id": str(job.id),
        "key_id": str(ApiKey.objects.latest("created_at").id),
        "webhook_id": str(webhook.id),
        "delivery_id": str(delivery.id),
        "watermark_id": str(watermark_create(owner=default_owner(), data=a_png()).id),
        "rendition": "360p",
        "session_id": str(a_live_session()),
        "upload_id": str(an_upload(state="ready", multipart_id="").id),
        "livestream_id": str(a_stream().row.id),
        "text_id": str(Text.objects.create(video=video, name="de-1", language="de", webvtt="WEBVTT\n", cue_count=1).id),
    }


def outcome(operation: Operation, ids: dict[str, str], key: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Send a request, undo what it did, and return its status and media type."""
    with transaction.atomic():
        response: Any = ask(Client(headers={"X-API-Key": key, **headers}), operation, url(operation, ids))
        transaction.set_rollback(True)
    return response.status_code, response.headers.get("Content-Type", "")


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.id not in STREAMED], ids=lambda operation: operation.id
)
def test_no_operation_refuses_a_media_type(operation: Operation, mine: dict[str, str]) -> None:
    key = a_key()
    usual = outcome(operation, mine, key, {})
    assert usual[0] != 406
    assert {accept: outcome(operation, mine, key, {"Accept": accept}) for accept in ODD} == dict.fromkeys(ODD, usual)


def test_an_upload_refuses_no_media_type(api: httpx2.Client) -> None:
    data = bytes.fromhex("0000001c") + b"ftypisom" + bytes(100)
    for accept in ODD:
        response = api.post(UPLOAD, files={"video": ("a.mp4", data)}, headers={"Accept": accept})
        assert (response.status_code, response.headers["content-type"]) == (201, "application/json")


def test_a_stream_refuses_no_media_type(api: httpx2.Client) -> None:
    for accept in ODD:
        with api.stream("GET", "/api/v1/events", headers={"Accept": accept}) as response:
            assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")


@pytest.mark.django_db
def test_the_schema_is_yaml_unless_json_is_requested() -> None:
    for accept in (each for each in ODD if "json" not in each or "problem" in each):
        response = Client(headers={"Accept": accept}).get("/api/schema")
        kind = "application/vnd.oai.openapi"
        assert (response.status_code, response.headers["Content-Type"].partition(";")[0]) == (200, kind), accept
    for headers, query in (({"Accept": "application/json"}, ""), ({}, "?format=json")):
        response = Client(headers=headers).get(f"/api/schema{query}")
        assert response.json()["openapi"].startswith("3.1")
