"""A request that is sent again because its response got lost has no second effect (FAULTS 44)."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from django.db.models.functions import Now
from drf_spectacular.generators import SchemaGenerator

from access.idempotency import claim_or_response, claim_release, claim_renew, requests_expire
from access.models import ApiKey, IdempotentRequest
from access.services import default_owner
from api.problems import Problem
from jobs.models import Job, OutputDelivery
from storage.protocol import ObjectStore
from tests.integration.api.test_isolation import rows
from tests.integration.api.test_negotiation import mine
from tests.integration.jobs.test_outputs import a_completed_job
from tests.live_rows import a_live_stream
from tests.rows import PUBLIC_URL, a_key, a_video, an_owner
from videos.models import Text, Video
from videos.uploads.idempotency import PATH as UPLOAD

__all__ = ["mine"]

FILE = bytes.fromhex("0000001c") + b"ftypisom" + bytes(1000)
ONCE = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}


def upload(api: httpx2.Client, *, data: bytes = FILE, name: str = "a.mp4", headers: dict[str, str]) -> httpx2.Response:
    return api.post(UPLOAD, files={"video": (name, data, "video/mp4")}, headers=headers)


def code_of(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


# --- requests in JSON -------------------------------------------------------------------------------------------------


def test_44_twenty_concurrent_requests_create_one_job(api: httpx2.Client) -> None:
    path = f"/api/v1/videos/{a_video().id}/transcode"

    def create(_: int) -> httpx2.Response:
        return api.post(path, json={"preset": "fast"}, headers=ONCE)

    with ThreadPoolExecutor(20) as threads:
        responses = list(threads.map(create, range(20)))
    job = Job.objects.get()
    found = Counter(response.status_code for response in responses)
    assert found[202] >= 1
    assert found[202] + found[409] == 20
    assert {response.json()["id"] for response in responses if response.status_code == 202} == {str(job.id)}
    assert (
        sum("idempotent-replayed" not in response.headers for response in responses if response.status_code == 202) == 1
    )
    in_flight = {response.json()["code"] for response in responses if response.status_code == 409}
    assert in_flight <= {"idempotent_request_in_flight"}


def test_a_repeated_request_gets_the_stored_response(api: httpx2.Client) -> None:
    path = f"/api/v1/videos/{a_video().id}/transcode"
    first = api.post(path, json={"preset": "fast"}, headers=ONCE)
    Job.objects.update(priority=1)  # what has happened since does not change it
    again = api.post(path, json={"preset": "fast"}, headers=ONCE)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers


def test_a_different_request_with_the_same_key_is_refused(api: httpx2.Client) -> None:
    one, other = (f"/api/v1/videos/{a_video().id}/transcode" for _ in range(2))
    assert api.post(one, json={"preset": "fast"}, headers=ONCE).status_code == 202
    assert code_of(api.post(one, json={"preset": "slow"}, headers=ONCE)) == (422, "idempotency_key_reused")
    assert code_of(api.post(other, json={"preset": "fast"}, headers=ONCE)) == (422, "idempotency_key_reused")
    assert code_of(upload(api, headers=ONCE)) == (422, "idempotency_key_reused")
    assert Job.objects.count() == 1
    assert Video.objects.count() == 2


def test_a_failed_request_can_be_corrected(api: httpx2.Client) -> None:
    path = f"/api/v1/videos/{a_video().id}/transcode"
    assert api.post(path, json={"preset": "no"}, headers=ONCE).status_code == 422
    assert api.post(f"/api/v1/videos/{uuid4()}/transcode", json={}, headers=ONCE).status_code == 404
    assert not IdempotentRequest.objects.exists()
    assert api.post(path, json={"preset": "fast"}, headers=ONCE).status_code == 202


def test_a_dry_run_stores_no_response(api: httpx2.Client) -> None:
    path = f"/api/v1/videos/{a_video().id}/transcode"
    assert api.post(path, json={"dry_run": True}, headers=ONCE).status_code == 200
    assert not IdempotentRequest.objects.exists()
    assert api.post(path, json={}, headers=ONCE).status_code == 202


def test_owners_have_separate_keys(api: httpx2.Client) -> None:
    mine, other = a_video(), a_video(an_owner("other"))
    first = api.post(f"/api/v1/videos/{mine.id}/transcode", json={}, headers=ONCE)
    headers = ONCE | {"X-API-Key": a_key(other.owner)}
    second = api.post(f"/api/v1/videos/{other.id}/transcode", json={}, headers=headers)
    assert (first.status_code, second.status_code) == (202, 202)
    assert Job.objects.count() == 2


def test_secrets_are_not_stored_for_repeated_requests(api: httpx2.Client) -> None:
    before = ApiKey.objects.count()
    body = {"name": "ci", "scopes": ["jobs:read"]}
    first, again = (api.post("/api/v1/keys", json=body, headers=ONCE) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json() | {"key": None}
    assert ApiKey.objects.count() == before + 1
    assert first.json()["key"] not in IdempotentRequest.objects.get().body


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "ü"])
def test_an_invalid_key_is_refused(api: httpx2.Client, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode())]
    response = api.post(f"/api/v1/videos/{a_video().id}/transcode", json={}, headers=headers)
    assert code_of(response) == (400, "invalid_idempotency_key")
    assert not Job.objects.exists()


# --- uploads ----------------------------------------------------------------------------------------------------------


def test_a_repeated_upload_creates_no_second_video(api: httpx2.Client, store: ObjectStore) -> None:
    first, again = (upload(api, headers=ONCE) for _ in range(2))
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert Video.objects.count() == len(list(store.list("videos/"))) == 1


def test_a_large_repeated_upload_gets_its_response_before_the_body_is_read(
    api: httpx2.Client, store: ObjectStore
) -> None:
    data = FILE + bytes(30 << 20)
    first = upload(api, data=data, headers=ONCE)
    again = upload(api, data=data, headers=ONCE)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["connection"] == "close"


@pytest.mark.parametrize("changed", [{"name": "b.mp4"}, {"data": FILE + b"x"}])
def test_a_different_upload_with_the_same_key_is_refused(
    api: httpx2.Client, store: ObjectStore, changed: dict[str, object]
) -> None:
    assert upload(api, headers=ONCE).status_code == 201
    assert code_of(upload(api, headers=ONCE, **changed)) == (422, "idempotency_key_reused")  # type: ignore[arg-type]
    assert Video.objects.count() == len(list(store.list("videos/"))) == 1


def test_a_concurrent_upload_with_the_same_key_is_refused(api: httpx2.Client, store: ObjectStore) -> None:
    claim_or_response(owner=default_owner(), key=ONCE["Idempotency-Key"], fingerprint=_fingerprint_of_the_file(api))
    response = upload(api, headers=ONCE)
    assert code_of(response) == (409, "idempotent_request_in_flight")
    assert response.json()["retryable"]
    under_way = IdempotentRequest.objects.filter(status=None)
    assert under_way.update(lease_expires_at=Now() - timedelta(seconds=1))  # its process died
    assert upload(api, headers=ONCE).status_code == 201
    assert Video.objects.count() == 2


def _fingerprint_of_the_file(api: httpx2.Client) -> str:
    """The fingerprint that an upload of the file leaves."""
    upload(api, headers={"Idempotency-Key": "first"})
    found: str = IdempotentRequest.objects.get(key="first").fingerprint
    return found


def test_a_failed_upload_can_be_corrected(api: httpx2.Client, store: ObjectStore) -> None:
    assert code_of(upload(api, data=b"no video at all" * 10, headers=ONCE)) == (422, "not_a_video")
    assert not IdempotentRequest.objects.exists()
    assert upload(api, headers=ONCE).status_code == 201


@pytest.mark.django_db
def test_a_lost_claim_is_neither_renewed_nor_released() -> None:
    def claim() -> object:
        return claim_or_response(owner=default_owner(), key="k", fingerprint="f")

    first = claim()
    with pytest.raises(Problem, match="still running"):
        claim()
    IdempotentRequest.objects.update(lease_expires_at=Now())
    second = claim()
    with pytest.raises(Problem, match="still running"):
        claim_renew(first)  # type: ignore[arg-type]
    claim_release(first)  # type: ignore[arg-type]
    claim_renew(second)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_responses_are_stored_for_a_day() -> None:
    for key in ("new", "old"):
        claim_or_response(owner=default_owner(), key=key, fingerprint="f")
    IdempotentRequest.objects.filter(key="new").update(created_at=Now() - timedelta(hours=23, minutes=59))
    IdempotentRequest.objects.filter(key="old").update(created_at=Now() - timedelta(hours=24, minutes=1))
    assert requests_expire() == 1
    assert IdempotentRequest.objects.get().key == "new"


def posts() -> dict[str, Any]:
    """The POST operations of the schema by their ids, with their paths."""
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    found = {path: methods["post"] for path, methods in schema["paths"].items() if "post" in methods}
    return {post["operationId"]: post | {"path": path} for path, post in found.items()}


WITHOUT_KEY = {"webhook_test", "upload_complete", "upload_parts"}
"""They wait for a stranger's receiver or for the store, which no transaction may, and sent twice they do no harm."""
POSTS = posts()
BODIES: dict[str, dict[str, object]] = {
    "key_create": {"name": "x", "scopes": ["jobs:read"]},
    "webhook_create": {"url": PUBLIC_URL},
    "video_import": {"url": PUBLIC_URL},
    "upload_create": {"size": 1000},
    "job_reprioritize": {"priority": 7},
}
FILES = {"video_upload", "tus_create", "text_create", "watermark_create"}
"""They are sent as files, and tested where these are."""
BEFORE = {"job_resume": "pause", "job_retry": "cancel"}
"""Operations that a job has to have had before."""


@pytest.mark.parametrize("operation", sorted(POSTS))
def test_every_post_but_some_accepts_a_key(operation: str) -> None:
    names = {parameter["name"] for parameter in POSTS[operation]["parameters"]}
    assert ("Idempotency-Key" in names) is (operation not in WITHOUT_KEY)
    assert {"409", "422"} <= POSTS[operation]["responses"].keys()


@pytest.mark.parametrize("operation", sorted(POSTS.keys() - WITHOUT_KEY - FILES))
def test_every_post_has_one_effect(operation: str, api: httpx2.Client, mine: dict[str, str]) -> None:
    if operation == "video_thumbnails_create":
        mine["video_id"] = str(a_completed_job().video_id)
    if operation == "job_deliver":
        mine["job_id"] = str(a_completed_job().id)
        OutputDelivery.objects.create(job_id=mine["job_id"], bucket="b", prefix="p", state="failed", error_code="x")
    if operation == "text_retry":
        Text.objects.update(origin="embedded", stream=2, state="failed", error_detail="It has no cue.")
    if operation == "livestream_stop":
        mine["livestream_id"] = str(a_live_stream().row.id)
    path, body = POSTS[operation]["path"].format(**mine), BODIES.get(operation, {})
    if operation == "video_join":
        body = {"videos": [mine["video_id"]] * 2}
    if operation in BEFORE:
        assert api.post(f"/api/v1/jobs/{mine['job_id']}/{BEFORE[operation]}").is_success
    first = api.post(path, json=body, headers=ONCE)
    assert first.is_success, first.text
    before = rows()
    again = api.post(path, json=body, headers=ONCE)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (first.status_code, "true")
    assert again.json().keys() == first.json().keys()
    assert rows() == before
    other = api.post(path, json={**body, "unknown": 1}, headers=ONCE)
    assert code_of(other) == (422, "idempotency_key_reused")


def test_a_repeated_request_creates_one_webhook(api: httpx2.Client) -> None:
    first, again = (api.post("/api/v1/webhooks", json={"url": PUBLIC_URL}, headers=ONCE) for _ in range(2))
    assert (first.status_code, again.content) == (201, first.content)
    assert len(api.get("/api/v1/webhooks").json()["results"]) == 1
    other = api.post("/api/v1/webhooks", json={"url": f"{PUBLIC_URL}/other"}, headers=ONCE)
    assert code_of(other) == (422, "idempotency_key_reused")
