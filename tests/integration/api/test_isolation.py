"""No operation shows or changes what is another owner's, and none but a few response without a key (FAULTS 42).

The operations are those of the schema, and every url of the site is one of them or known to be open: a new endpoint
is walked over without being named here, unless it is about a new kind of thing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx2
import pytest
from django.apps import apps
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

from access.models import ApiKey, Owner
from access.scopes import Scope
from coordination.cache import ResponseCache
from events.models import Delivery, Event
from events.webhooks.services import endpoint_create
from jobs.models import Job
from storage.keys import source_key
from storage.protocol import ObjectStore
from tests.live_rows import a_stream
from tests.rows import a_job, a_key, a_live_session, a_video, an_owner, an_upload
from tests.unit.transcoding.test_images import a_png
from videos.models import Text, Video
from videos.uploads.idempotency import PATH as UPLOAD
from videos.watermarks.services import watermark_create

OPEN = {"", "api/schema", "api/", "api/login", "api/logout", "admin", "static/{path}"}
"""URLs that need no key, besides those of players, which contain a token."""

STREAMED = {"video_upload", "upload_part", "tus_create", "tus_append", "tus_abort", "event_stream", "job_event_stream"}
"""Operations in front of Django, which are tested on the served site below."""

BODIES: dict[str, object] = {
    "job_reprioritize": {"priority": 1},
    "upload_parts": {"numbers": [1]},
    "livestream_create": {"latency": "none"},
}
"""Bodies that change nothing of others where an empty one is not right, or creates something."""


class Operation(NamedTuple):
    method: str
    path: str
    id: str


def operations() -> list[Operation]:
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return [
        Operation(method, path, found["operationId"])
        for path, methods in schema["paths"].items()
        for method, found in methods.items()
    ]


OPERATIONS = operations()


@pytest.fixture
def theirs(db: None) -> dict[str, str]:
    """One of everything, by the names that addresses have for it; all of it another owner's."""
    owner = an_owner("other")
    video = a_video(owner)
    job = a_job(video)
    a_key(owner)
    webhook = endpoint_create(owner=owner, url="https://receiver.example/hook")
    event = Event.objects.filter(owner=owner).latest("id")
    delivery = Delivery.objects.create(endpoint=webhook, event=event)
    return {
        "video_id": str(video.id),
        "job_id": str(job.id),
        "key_id": str(ApiKey.objects.get(owner=owner).id),
        "webhook_id": str(webhook.id),
        "delivery_id": str(delivery.id),
        "watermark_id": str(watermark_create(owner=owner, data=a_png()).id),
        "rendition": "360p",
        "upload_id": str(an_upload(owner).id),
        "session_id": str(a_live_session(owner)),
        "livestream_id": str(a_stream(owner).row.id),
        "text_id": str(Text.objects.create(video=video, name="de-1", language="de", webvtt="WEBVTT\n", cue_count=1).id),
    }


def url(operation: Operation, ids: dict[str, str]) -> str:
    names = set(re.findall(r"{(\w+)}", operation.path)) - {"number"}  # of a part: nobody's own
    assert names <= ids.keys(), f"{operation.path}: add another owner's {names - ids.keys()} to `theirs`"
    return operation.path.format(**ids, number=1)


def ask(client: Client, operation: Operation, path: str) -> Any:  # noqa: ANN401 - Django's monkey-patched response
    body = json.dumps(BODIES.get(operation.id, {}))
    return client.generic(operation.method.upper(), path, body, content_type="application/json")


def rows() -> dict[str, list[dict[str, Any]]]:
    """Every row of every table of ours, but those that say when a key was used."""
    ours = [
        model
        for app in ("access", "events", "gpu", "videos", "jobs", "livestreams", "relay")
        for model in apps.get_app_config(app).get_models()
    ]
    return {model.__name__: list(_values(model)) for model in ours}


def _values(model: type[Model]) -> Iterator[dict[str, Any]]:
    for row in model._default_manager.order_by("pk").values():
        yield {name: value for name, value in row.items() if name != "last_used_at"}


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.id not in STREAMED], ids=lambda operation: operation.id
)
def test_42_rows_of_other_owners_are_not_found(operation: Operation, theirs: dict[str, str]) -> None:
    mine = Client(headers={"X-API-Key": a_key()})
    path = url(operation, theirs)
    before = rows()
    response = ask(mine, operation, path)
    if path != operation.path:
        assert response.status_code == 404, response.content
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["code"].endswith("_not_found")
    elif operation.method == "get":
        assert response.status_code == 200
    assert not [text for text in theirs.values() if text in response.content.decode().replace(path, "")]
    assert rows() == before


def test_42_cached_responses_are_separate_per_owner(
    transactional_db: None, caching: ResponseCache, theirs: dict[str, str]
) -> None:
    """The owner asks first, so that whatever is kept of an response is there when the other one asks."""
    owner = Client(headers={"X-API-Key": a_key(Owner.objects.get(name="other"))})
    mine = Client(headers={"X-API-Key": a_key()})
    reading = [each for each in OPERATIONS if each.method == "get" and each.id not in STREAMED]
    for operation in reading:
        path = url(operation, theirs)
        ask(owner, operation, path)
        response = ask(mine, operation, path)
        assert response.status_code == (200 if path == operation.path else 404), operation.id
        assert not [text for text in theirs.values() if text in response.content.decode().replace(path, "")]
    Job.objects.update(priority=1)  # past the services: nothing forgets the response
    assert owner.get(f"/api/v1/jobs/{theirs['job_id']}").json()["priority"] == 50, "nothing was kept"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_operation_requires_a_key(operation: Operation, theirs: dict[str, str]) -> None:
    before = rows()
    response = ask(Client(), operation, url(operation, theirs))
    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
    assert rows() == before


def _addresses(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        text = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _addresses(pattern.url_patterns, text)
        else:
            yield re.sub(r"<\w+:(\w+)>", r"{\1}", text)


def test_every_url_is_tested_or_known_to_be_open() -> None:
    walked = {operation.path.removeprefix("/") for operation in OPERATIONS}
    elsewhere = ("play/", "watch/", "admin/", "videos/", "livestreams")  # pages of videos: tests/integration/webui
    others = {path for path in _addresses(get_resolver().url_patterns) if not path.startswith(elsewhere)}
    assert others - walked == OPEN


@pytest.mark.django_db
def test_the_admin_requires_a_session() -> None:
    """Neither to a stranger nor to somebody with a key, however mighty."""
    pages = [path for path in _addresses(get_resolver().url_patterns) if path.startswith("admin/")]
    clients = [Client(), Client(headers={"X-API-Key": a_key()})]
    for path in pages:
        url = "/" + re.sub(r"\{\w+\}|\(\?P<\w+>[^)]*\)|\$", "1", path)
        for client in clients:
            responses = [client.get(url), client.post(url)]
            opened = [response.status_code for response in responses if response.status_code == 200]
            assert not opened or "login" in path, f"{url} responses {opened}"
    assert len(pages) > 20


def test_uploads_require_a_key(api: httpx2.Client, store: ObjectStore) -> None:
    form = {"video": ("clip.mp4", b"never read", "video/mp4")}
    for headers, status, code in (
        ({}, 401, "not_authenticated"),
        ({"X-API-Key": "vm_000000000000_" + "0" * 64}, 401, "invalid_key"),
        ({"X-API-Key": a_key(None, Scope.JOBS_WRITE, Scope.VIDEOS_READ)}, 403, "scope_missing"),
    ):
        response = httpx2.post(f"{api.base_url}{UPLOAD}", files=form, headers=headers)
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response.headers["content-type"] == "application/problem+json"
    assert not Video.objects.exists()
    assert list(store.list("videos/")) == []


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/jobs/{job_id}/events"])
def test_streams_require_a_key(api: httpx2.Client, theirs: dict[str, str], path: str) -> None:
    url = f"{api.base_url}{path.format(**theirs)}"
    response = httpx2.get(url)
    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
    response = httpx2.get(url, headers={"X-API-Key": a_key(None, Scope.VIDEOS_READ)})
    assert (response.status_code, response.json()["code"]) == (403, "scope_missing")


def test_42_events_of_another_owner_s_job_are_not_found(api: httpx2.Client, theirs: dict[str, str]) -> None:
    response = api.get(f"/api/v1/jobs/{theirs['job_id']}/events")
    assert (response.status_code, response.json()["code"]) == (404, "job_not_found")


def test_an_upload_belongs_to_the_owner_of_its_key(api: httpx2.Client, store: ObjectStore) -> None:
    data = bytes.fromhex("0000001c") + b"ftypisom" + bytes(100)
    response = api.post(UPLOAD, files={"video": ("a.mp4", data)}, headers={"X-API-Key": a_key(an_owner("other"))})
    assert response.status_code == 201
    assert Video.objects.get().owner == Owner.objects.get(name="other")
    assert api.get(response.headers["location"]).status_code == 404
    assert store.get(source_key(Video.objects.get().id)) == data
