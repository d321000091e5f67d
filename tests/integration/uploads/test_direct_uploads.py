"""Uploads in parts: opened, sent to the store or through the API, completed, aborted; and what is refused."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from django.conf import LazySettings
from django.db.models.functions import Now

from access.scopes import Scope
from access.services import default_owner
from events.models import Event
from jobs.models import Job, Step
from storage.keys import source_key
from storage.protocol import ObjectStore
from tests.rows import a_key, an_owner
from videos.models import Upload, Video
from videos.playback import wiring
from videos.playback.delivery import Delivery

MIB = 1024 * 1024
PART = 10 * MIB
URL = "/api/v1/uploads"
MP4_HEAD = bytes.fromhex("0000001c") + b"ftypisom" + bytes(16)


def a_file(size: int = 1000) -> bytes:
    """Bytes that start like an MP4 file."""
    return MP4_HEAD + os.urandom(size - len(MP4_HEAD))


def opened(api: httpx2.Client, size: int = 1000, **fields: object) -> Any:  # noqa: ANN401 - JSON
    response = api.post(URL, json={"size": size, **fields})
    assert response.status_code == 201, response.text
    return response.json()


def send(part: dict[str, Any], data: bytes, api: httpx2.Client | None = None) -> httpx2.Response:
    """Send a part where its URL says, with the length of the data."""
    return (api or httpx2).put(part["url"], content=data)


def send_all(upload: dict[str, Any], data: bytes) -> None:
    for part in upload["parts"]:
        start = (part["number"] - 1) * upload["part_size"]
        response = send(part, data[start : start + part["size"]])
        assert response.status_code == 200, response.text


def complete(api: httpx2.Client, upload: dict[str, Any], status: int = 200, **body: object) -> Any:  # noqa: ANN401 - JSON
    response = api.post(f"{upload['url']}/complete", json=body)
    assert response.status_code == status, response.text
    return response.json()


def uploaded(api: httpx2.Client, data: bytes, **fields: object) -> Any:  # noqa: ANN401 - JSON
    upload = opened(api, len(data), **fields)
    send_all(upload, data)
    return complete(api, upload)


def shown(api: httpx2.Client, upload: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    response = api.get(upload["url"])
    assert response.status_code == 200, response.text
    return response.json()


def assert_nothing_left(store: ObjectStore) -> None:
    assert list(store.list("videos/")) == []
    assert list(store.list_multiparts("videos/")) == []
    assert not Video.objects.exists()


@pytest.fixture
def by_api(monkeypatch: pytest.MonkeyPatch, api: httpx2.Client) -> httpx2.Client:
    """The site where clients cannot reach the store."""
    delivery = Delivery(store=wiring.store(), redirects=False, presign_seconds=3600)
    monkeypatch.setattr(wiring, "delivery", lambda: delivery)
    return api


# --- what works -------------------------------------------------------------------------------------------------------


def test_an_upload_of_which_a_part_was_sent_twice_is_completed(api: httpx2.Client, store: ObjectStore) -> None:
    data = a_file(PART + 5)
    upload = opened(api, len(data))
    send(upload["parts"][0], data[:PART])
    send_all(upload, data)
    assert complete(api, upload)["state"] == "ready"
    assert store.get(source_key(UUID(shown(api, upload)["video_id"]))) == data


def test_parts_go_straight_to_the_store_and_become_a_video(api: httpx2.Client, store: ObjectStore) -> None:
    data = a_file(2 * PART + 5)
    labels: dict[str, Any] = {"filename": "-y $(id).mp4", "external_id": "asset-1", "metadata": {"project": "x"}}
    upload = opened(api, len(data), **labels, loudness=True)
    assert (upload["state"], upload["part_size"], upload["part_count"], upload["received"]) == ("open", PART, 3, 0)
    assert [(part["number"], part["size"]) for part in upload["parts"]] == [(1, PART), (2, PART), (3, 5)]
    assert {name: upload[name] for name in labels} == labels
    assert all(store.url("x", 60).partition("/x?")[0] in part["url"] for part in upload["parts"])  # type: ignore[union-attr]
    send_all(upload, data)
    seen = shown(api, upload)
    assert (seen["received"], [part["size"] for part in seen["received_parts"]]) == (len(data), [PART, PART, 5])
    done = complete(api, upload, parts=[{"number": p["number"], "etag": p["etag"]} for p in seen["received_parts"]])
    assert (done["state"], done["received"], done["job_id"], done["error"]) == ("ready", len(data), None, None)
    video = Video.objects.get(id=done["video_id"])
    assert (video.state, video.size_bytes, video.filename, video.external_id) == (
        "uploaded",
        len(data),
        "-y $(id).mp4",
        "asset-1",
    )
    assert (video.client_metadata, video.measure_loudness) == ({"project": "x"}, True)
    assert store.get(source_key(video.id)) == data
    assert Step.objects.get(video=video).kind == "inspect"
    assert Event.objects.get(video_id=video.id).type == "video.uploaded"
    assert shown(api, upload) == done
    assert list(store.list_multiparts("videos/")) == []


def test_parts_go_through_the_api_where_clients_cannot_reach_the_store(
    by_api: httpx2.Client, store: ObjectStore
) -> None:
    data = a_file(PART + 7)
    upload = opened(by_api, len(data))
    second, first = upload["parts"][1], upload["parts"][0]
    assert first["url"] == f"{upload['url']}/parts/1"
    response = send(second, data[PART:], by_api)
    assert (response.status_code, response.json()["number"], response.json()["size"]) == (200, 2, 7)
    digest = base64.b64encode(hashlib.sha256(data[:PART]).digest()).decode()
    headers = {"Content-Digest": f"sha-256=:{digest}:"}
    assert by_api.put(first["url"], content=data[:PART], headers=headers).status_code == 200
    etags = [{"number": 2, "etag": response.json()["etag"]}]
    done = complete(by_api, upload, parts=etags)
    assert store.get(source_key(Video.objects.get(id=done["video_id"]).id)) == data


def test_a_job_that_was_requested_with_it_is_queued(api: httpx2.Client, store: ObjectStore) -> None:
    done = uploaded(api, a_file(), transcode={"resolution": "360p", "priority": "high", "external_id": "job-1"})
    job = Job.objects.get(id=done["job_id"])
    assert (str(job.video_id), job.state, job.external_id) == (done["video_id"], "queued", "job-1")
    assert (job.request["resolution"], job.priority) == ("360p", 80)


def test_more_parts_are_requested_in_batches(api: httpx2.Client, store: ObjectStore) -> None:
    upload = opened(api, 150 * PART)
    assert len(upload["parts"]) == 100
    more = api.post(f"{upload['url']}/parts", json={"numbers": [101, 150]}).json()["parts"]
    assert [part["number"] for part in more] == [101, 150]
    assert send(more[0], b"x" * PART).status_code == 200
    assert [part["number"] for part in shown(api, upload)["received_parts"]] == [101]
    refused = api.post(f"{upload['url']}/parts", json={"numbers": [151]})
    assert (refused.status_code, refused.json()["code"]) == (422, "no_such_part")


def test_a_repeated_request_opens_one_upload_and_has_no_urls(api: httpx2.Client, store: ObjectStore) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (api.post(URL, json={"size": 1000}, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == {**first.json(), "parts": []}
    assert (Upload.objects.count(), len(list(store.list_multiparts("videos/")))) == (1, 1)


def test_uploads_are_listed_by_state(api: httpx2.Client, store: ObjectStore) -> None:
    ready, still = uploaded(api, a_file(), external_id="a"), opened(api)
    found = {state: api.get(f"{URL}?state={state}").json()["results"] for state in ("ready", "open", "expired")}
    assert {state: [each["id"] for each in rows] for state, rows in found.items()} == {
        "ready": [ready["id"]],
        "open": [still["id"]],
        "expired": [],
    }
    assert [each["id"] for each in api.get(f"{URL}?external_id=a").json()["results"]] == [ready["id"]]


# --- complete ---------------------------------------------------------------------------------------------------------


def test_completing_twice_at_the_same_time_makes_one_video(api: httpx2.Client, store: ObjectStore) -> None:
    upload, data = opened(api, PART + 5), a_file(PART + 5)
    send_all(upload, data)
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(complete(api, upload))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer["state"] for answer in answers] == ["ready"] * 4
    assert len({answer["video_id"] for answer in answers}) == 1
    assert (Video.objects.count(), Event.objects.count(), Step.objects.count()) == (1, 1, 1)
    assert complete(api, upload) == answers[0]


def test_an_object_that_the_store_had_made_before_is_found(api: httpx2.Client, store: ObjectStore) -> None:
    """The process that completed it was killed before it wrote the row."""
    upload, data = opened(api, PART + 5), a_file(PART + 5)
    send_all(upload, data)
    row = Upload.objects.get(id=upload["id"])
    etags = [part.etag for part in store.list_parts(row.key, row.multipart_id)]
    store.complete_multipart(row.key, row.multipart_id, etags)
    seen = shown(api, upload)
    assert (seen["state"], seen["received"]) == ("open", len(data))
    assert complete(api, upload)["state"] == "ready"
    assert store.get(row.key) == data


def test_missing_and_wrong_parts_are_named_and_can_be_sent_again(api: httpx2.Client, store: ObjectStore) -> None:
    upload, data = opened(api, 2 * PART + 5), a_file(2 * PART + 5)
    send(upload["parts"][1], data[PART : 2 * PART])
    problem = complete(api, upload, 409)
    assert (problem["code"], [error["field"] for error in problem["errors"]]) == (
        "parts_missing",
        ["parts.1", "parts.3"],
    )
    row = Upload.objects.get(id=upload["id"])
    store.put_part(row.key, row.multipart_id, 1, data[:PART])
    store.put_part(row.key, row.multipart_id, 3, b"123456")
    store.put_part(row.key, row.multipart_id, 4, b"x")
    problem = complete(api, upload, 422, parts=[{"number": 7, "etag": "another"}])
    assert problem["code"] == "parts_wrong"
    assert [error["field"] for error in problem["errors"]] == ["parts.3", "parts.4", "parts.7"]
    assert shown(api, upload)["state"] == "open"
    assert not Video.objects.exists()


def test_a_part_that_is_not_the_one_of_the_client_is_named(api: httpx2.Client, store: ObjectStore) -> None:
    upload, data = opened(api, 1000), a_file()
    send_all(upload, data)
    problem = complete(api, upload, 422, parts=[{"number": 1, "etag": "another"}])
    assert (problem["code"], [error["field"] for error in problem["errors"]]) == ("parts_wrong", ["parts.1"])
    (part,) = shown(api, upload)["received_parts"]
    assert complete(api, upload, parts=[{"number": 1, "etag": f'"{part["etag"]}"'}])["state"] == "ready"


def test_a_part_that_was_sent_twice_is_the_one_that_the_client_names(api: httpx2.Client, store: ObjectStore) -> None:
    """SeaweedFS lists either of the two."""
    for _ in range(4):
        upload, data = opened(api, 1000), a_file()
        send(upload["parts"][0], a_file())
        etag = send(upload["parts"][0], data).headers["etag"]
        done = complete(api, upload, parts=[{"number": 1, "etag": etag}])
        assert store.get(source_key(UUID(done["video_id"]))) == data


def test_a_file_that_is_no_video_fails_and_leaves_nothing(api: httpx2.Client, store: ObjectStore) -> None:
    upload = opened(api, 1000)
    send_all(upload, b"hello " * 200)
    for _ in range(2):
        assert complete(api, upload, 422)["code"] == "not_a_video"
    seen = shown(api, upload)
    assert (seen["state"], seen["error"]["code"], seen["video_id"]) == ("failed", "not_a_video", None)
    assert_nothing_left(store)


def test_an_upload_whose_parts_the_store_has_lost_fails(api: httpx2.Client, store: ObjectStore) -> None:
    upload = opened(api, 1000)
    row = Upload.objects.get(id=upload["id"])
    store.abort_multipart(row.key, row.multipart_id)
    assert complete(api, upload, 422)["code"] == "upload_lost"
    assert shown(api, upload)["state"] == "failed"


def test_a_job_that_can_never_be_queued_does_not_cost_the_video(api: httpx2.Client, store: ObjectStore) -> None:
    upload, data = opened(api, transcode={"resolution": "360p"}), a_file()
    send_all(upload, data)
    Upload.objects.update(transcode={"fields": {"gpu_device": 7}, "priority": 50, "labels": {}})
    done = complete(api, upload)
    assert (done["state"], done["job_id"], done["error"]["code"]) == ("ready", None, "invalid")
    assert Video.objects.get().state == "uploaded"


def test_a_job_for_which_there_is_no_room_leaves_the_upload_open(
    api: httpx2.Client, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, data = opened(api, transcode={}), a_file()
    send_all(upload, data)
    with monkeypatch.context() as patch:
        patch.setattr("jobs.lifecycle.services.Job.objects.filter", lambda **_: _Many())
        assert complete(api, upload, 429)["code"] == "too_many_jobs"
    assert (shown(api, upload)["state"], Video.objects.exists()) == ("open", False)
    assert Job.objects.get(id=complete(api, upload)["job_id"]).state == "queued"


class _Many:
    def count(self) -> int:
        return 10_000


# --- abort ------------------------------------------------------------------------------------------------------------


def test_an_aborted_upload_leaves_nothing(api: httpx2.Client, store: ObjectStore) -> None:
    upload = opened(api, 2 * PART)
    send(upload["parts"][0], b"x" * PART)
    for _ in range(2):
        assert api.delete(upload["url"]).status_code == 204
    assert shown(api, upload)["state"] == "aborted"
    assert_nothing_left(store)
    assert send(upload["parts"][0], b"x" * PART).status_code == 404
    refused = [
        api.post(f"{upload['url']}/parts", json={"numbers": [1]}),
        api.post(f"{upload['url']}/complete", json={}),
        api.put(f"{upload['url']}/parts/1", content=b"x" * PART),
    ]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(409, "upload_over")] * 3


def test_a_complete_upload_is_deleted_as_a_video(api: httpx2.Client, store: ObjectStore) -> None:
    done = uploaded(api, a_file())
    refused = api.delete(done["url"])
    assert (refused.status_code, refused.json()["code"]) == (409, "upload_complete")
    assert api.delete(f"/api/v1/videos/{done['video_id']}").status_code == 204
    assert shown(api, done)["state"] == "ready"


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 422, "invalid", "size"),
        ({"size": 0}, 422, "invalid", "size"),
        ({"size": "1000"}, 422, "invalid", "size"),
        ({"size": 2**50}, 413, "too_large", "size"),
        ({"size": 1, "sise": 1}, 422, "invalid", "sise"),
        ({"size": 1, "checksum": "md5:00"}, 422, "invalid", "checksum"),
        ({"size": 1, "metadata": {"rotation": 1}}, 422, "invalid", "metadata"),
        ({"size": 1, "transcode": {"resolution": "9p"}}, 422, "invalid", "transcode.resolution"),
        ({"size": 1, "transcode": {"gpu_device": 9}}, 422, "invalid", "transcode.gpu_device"),
        ({"size": 1, "transcode": {"dry_run": True}}, 422, "invalid", "transcode.dry_run"),
        ({"size": 1, "transcode": 7}, 422, "invalid", "transcode"),
        (
            {"size": 1, "transcode": {"watermark": {"image": str(uuid4())}}},
            422,
            "invalid",
            "transcode.watermark.image",
        ),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_sent(  # noqa: PLR0917 - a table
    api: httpx2.Client, store: ObjectStore, body: dict[str, object], status: int, code: str, field: str
) -> None:
    response = api.post(URL, json=body)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert field in [error["field"] for error in response.json()["errors"]]
    assert not Upload.objects.exists()
    assert_nothing_left(store)


def test_a_job_needs_its_scope(api: httpx2.Client, store: ObjectStore) -> None:
    headers = {"X-API-Key": a_key(None, Scope.VIDEOS_WRITE)}
    response = api.post(URL, json={"size": 1, "transcode": {}}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "scope_missing")
    assert api.post(URL, json={"size": 1}, headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a:b%03d$(id).mp4", None), ("שלום.mp4", None), ("a\0b\n.mp4", "ab.mp4"), ("x" * 300, "x" * 255)],
)
def test_a_name_is_only_text(api: httpx2.Client, store: ObjectStore, name: str, expected: str | None) -> None:
    assert opened(api, filename=name)["filename"] == (expected or name)


def test_the_length_of_a_part_is_checked_before_a_byte_is_read(by_api: httpx2.Client, store: ObjectStore) -> None:
    upload = opened(by_api, PART + 5)
    first, last = upload["parts"]
    for part, data in ((first, b"x" * 5), (last, b"x" * 6), (last, b"x" * 20 * MIB), (last, b"")):
        response = send(part, data, by_api)
        assert (response.status_code, response.json()["code"]) == (422, "wrong_part_size"), response.text
    chunked = by_api.put(last["url"], content=iter([b"12345"]))
    assert (chunked.status_code, chunked.json()["code"]) == (411, "length_required")
    for number in (0, 3, 10**8, 10**34):
        response = by_api.put(f"{upload['url']}/parts/{number}", content=b"x")
        assert (response.status_code, response.json()["code"]) == (422, "no_such_part")
    assert by_api.put(f"{URL}/{'-' * 36}/parts/1", content=b"x").status_code == 404
    assert shown(by_api, upload)["received_parts"] == []


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-MD5": base64.b64encode(bytes(16)).decode()}, "part_damaged"),
        ({"Content-MD5": "%%"}, "invalid"),
        ({"Content-Digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"}, "part_damaged"),
    ],
)
def test_a_damaged_part_is_refused(
    by_api: httpx2.Client, store: ObjectStore, headers: dict[str, str], code: str
) -> None:
    upload = opened(by_api, 5)
    response = by_api.put(upload["parts"][0]["url"], content=b"12345", headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert shown(by_api, upload)["received"] == 0


def test_the_store_takes_exactly_what_was_signed(api: httpx2.Client, store: ObjectStore) -> None:
    upload = opened(api, PART + 5)
    first, last = upload["parts"]
    assert send(last, b"x" * 4).status_code == 403
    assert send(last, b"x" * 6).status_code == 403
    assert send({"url": last["url"].replace("partNumber=2", "partNumber=1")}, b"x" * 5).status_code == 403
    assert send(first, b"x" * PART).status_code == 200
    assert shown(api, upload)["received"] == PART


def test_open_uploads_of_an_owner_are_limited(
    api: httpx2.Client, store: ObjectStore, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    first = opened(api)
    owner = default_owner()
    Upload.objects.bulk_create(
        Upload(owner=owner, video_id=uuid4(), filename="x", size_bytes=1, part_bytes=1, expires_at=Now())
        for _ in range(99)
    )
    response = api.post(URL, json={"size": 1})
    assert (response.status_code, response.json()["code"]) == (429, "too_many_open_uploads")
    assert int(response.headers["Retry-After"]) > 0
    assert api.post(URL, json={"size": 1}, headers={"X-API-Key": a_key(an_owner("other"))}).status_code == 201
    assert api.delete(first["url"]).status_code == 204
    opened(api)


def test_uploads_of_others_are_not_found(by_api: httpx2.Client, store: ObjectStore) -> None:
    upload = opened(by_api)
    other = {"X-API-Key": a_key(an_owner("other"))}
    answers = [
        by_api.get(upload["url"], headers=other),
        by_api.delete(upload["url"], headers=other),
        by_api.post(f"{upload['url']}/parts", json={"numbers": [1]}, headers=other),
        by_api.post(f"{upload['url']}/complete", json={}, headers=other),
        by_api.put(f"{upload['url']}/parts/1", content=b"x" * 1000, headers=other),
    ]
    assert [(each.status_code, each.json()["code"]) for each in answers] == [(404, "upload_not_found")] * 5
    assert shown(by_api, upload)["state"] == "open"
