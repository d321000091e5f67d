"""Uploads by tus on the served site: the protocol, what is kept when something breaks, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from django.contrib.auth import get_user_model
from django.db.models.functions import Now
from django.test import Client

from access.models import Member
from access.scopes import Scope
from access.services import default_owner
from jobs.dispatching.upload_janitor import uploads_expire
from jobs.models import Job
from storage.keys import source_key, tails_prefix
from storage.protocol import ObjectStore
from tests.integration.uploads.test_direct_uploads import MIB, MP4_HEAD, PART, a_file, assert_nothing_left
from tests.rows import a_key, an_owner
from videos.models import Upload, Video
from videos.uploads.tus.protocol import BODY_TYPE
from videos.uploads.tus.route import PATH

VERSION = {"Tus-Resumable": "1.0.0"}
ALGORITHMS = ("sha1", "sha256", "md5")


def metadata(**fields: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in fields.items())


def checksum(algorithm: str, data: bytes) -> dict[str, str]:
    digest = hashlib.new(algorithm, data).digest()
    return {"Upload-Checksum": f"{algorithm} {base64.b64encode(digest).decode()}"}


def create(api: httpx2.Client, size: int | None, content: bytes | None = None, /, **headers: str) -> httpx2.Response:
    length = {"Upload-Defer-Length": "1"} if size is None else {"Upload-Length": str(size)}
    body = {} if content is None else {"Content-Type": BODY_TYPE}
    return api.post(PATH, headers={**VERSION, **length, **body, **headers}, content=content)


def created(api: httpx2.Client, size: int | None, **headers: str) -> str:
    """Open an upload and return its path."""
    response = create(api, size, **headers)
    assert response.status_code == 201, response.text
    return response.headers["Location"]


def patch(api: httpx2.Client, path: str, offset: int, content: Any, **headers: str) -> httpx2.Response:  # noqa: ANN401 - bytes or a generator
    return api.patch(
        path,
        headers={**VERSION, "Content-Type": BODY_TYPE, "Upload-Offset": str(offset), **headers},
        content=content,
    )


def append(api: httpx2.Client, path: str, offset: int, content: bytes, **headers: str) -> int:
    """Send bytes and return the offset after them."""
    response = patch(api, path, offset, content, **headers)
    assert response.status_code == 204, response.text
    return int(response.headers["Upload-Offset"])


def head(api: httpx2.Client, path: str) -> httpx2.Response:
    return api.head(path, headers=VERSION)


def offset_of(api: httpx2.Client, path: str) -> int:
    response = head(api, path)
    assert response.status_code == 200, response.status_code
    assert response.headers["Cache-Control"] == "no-store"
    return int(response.headers["Upload-Offset"])


def shown(api: httpx2.Client, path: str) -> Any:  # noqa: ANN401 - JSON
    """Get the document of an upload."""
    response = api.get(path.replace("/tus/", "/"))
    assert response.status_code == 200, response.text
    return response.json()


def row(path: str) -> Upload:
    return Upload.objects.get(id=path.rpartition("/")[2])


def refused(response: httpx2.Response) -> tuple[int, str, list[str]]:
    """Return the status, code and fields of a problem."""
    assert response.headers["Content-Type"] == "application/problem+json", response.text
    assert response.headers["Tus-Resumable"] == "1.0.0"
    problem = response.json()
    return response.status_code, problem["code"], [error["field"] for error in problem.get("errors", ())]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


@contextmanager
def sending(api: httpx2.Client, path: str, offset: int, length: int, data: bytes) -> Iterator[socket.socket]:
    """Start a PATCH of so many bytes, and send the first of them."""
    url = httpx2.URL(str(api.base_url))
    lines = [
        f"PATCH {path} HTTP/1.1",
        f"Host: {url.host}",
        f"X-API-Key: {api.headers['X-API-Key']}",
        "Tus-Resumable: 1.0.0",
        f"Content-Type: {BODY_TYPE}",
        f"Upload-Offset: {offset}",
        f"Content-Length: {length}",
    ]
    with closing(socket.create_connection((url.host, url.port or 80), timeout=120)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + data)
        yield connection


# --- the protocol -----------------------------------------------------------------------------------------------------


def test_options_say_what_is_there(api: httpx2.Client) -> None:
    response = httpx2.options(f"{api.base_url}{PATH}", trust_env=False)
    assert response.status_code == 204
    assert response.headers["Tus-Version"] == "1.0.0"
    assert set(response.headers["Tus-Extension"].split(",")) == {
        "creation", "creation-with-upload", "creation-defer-length", "expiration", "checksum", "termination",
    }  # fmt: skip
    assert response.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,md5"
    assert int(response.headers["Tus-Max-Size"]) > 1 << 30


def test_an_upload_in_several_requests_becomes_a_video(api: httpx2.Client, store: ObjectStore) -> None:
    data = a_file(PART + 3 * MIB + 17)
    labels = {"filename": "día.mp4", "external_id": "7", "metadata": json.dumps({"a": 1}), "filetype": "video/mp4"}
    response = create(api, len(data), **{"Upload-Metadata": metadata(**labels)})
    path = response.headers["Location"]
    assert (response.status_code, response.headers["Upload-Offset"], response.content) == (201, "0", b"")
    assert response.headers["Upload-Expires"].endswith(" GMT")

    ends = [1, 5 * MIB, PART + 100, len(data) - 1, len(data)]
    for start, end in zip([0, *ends], ends, strict=False):
        assert offset_of(api, path) == start
        assert append(api, path, start, data[start:end]) == end
        assert shown(api, path)["received"] == end
        tails = list(store.list(tails_prefix(row(path).video_id)))
        assert [tail.size for tail in tails] == ([end % PART] if end < len(data) else [])

    document = shown(api, path)
    assert (document["state"], document["protocol"], document["size"]) == ("ready", "tus", len(data))
    assert (document["filename"], document["external_id"], document["metadata"]) == ("día.mp4", "7", {"a": 1})
    video = api.get(f"/api/v1/videos/{document['video_id']}").json()
    assert (video["filename"], video["external_id"], video["size"]) == ("día.mp4", "7", len(data))
    assert store.get(source_key(row(path).video_id)) == data
    assert not list(store.list_multiparts("videos/"))
    after = head(api, path)
    assert (after.status_code, after.headers["Upload-Offset"]) == (200, str(len(data)))
    assert "Upload-Expires" not in after.headers


def test_the_beginning_may_come_with_the_request_that_opens_it(api: httpx2.Client, store: ObjectStore) -> None:
    data = a_file(3000)
    response = create(api, len(data), data[:1000])
    assert (response.status_code, response.headers["Upload-Offset"]) == (201, "1000")
    append(api, response.headers["Location"], 1000, data[1000:])
    assert shown(api, response.headers["Location"])["state"] == "ready"

    response = create(api, len(data), data)
    assert (response.status_code, response.headers["Upload-Offset"]) == (201, "3000")
    assert shown(api, response.headers["Location"])["state"] == "ready"


def test_the_length_may_come_later(api: httpx2.Client, store: ObjectStore) -> None:
    data = a_file(3000)
    path = created(api, None)
    assert head(api, path).headers["Upload-Defer-Length"] == "1"
    append(api, path, 0, data[:2000])
    assert refused(patch(api, path, 2000, b"", **{"Upload-Length": "1999"}))[0] == 400
    assert refused(patch(api, path, 2000, b"", **{"Upload-Length": str(1 << 50)}))[:2] == (413, "too_large")
    append(api, path, 2000, data[2000:2500], **{"Upload-Length": "3000"})
    assert head(api, path).headers["Upload-Length"] == "3000"
    assert refused(patch(api, path, 2500, b"x", **{"Upload-Length": "4000"}))[0] == 400
    append(api, path, 2500, data[2500:], **{"Upload-Length": "3000"})
    assert store.get(source_key(row(path).video_id)) == data

    path = created(api, None)
    append(api, path, 0, data)
    append(api, path, 3000, b"", **{"Upload-Length": "3000"})
    assert shown(api, path)["state"] == "ready"


def test_a_transcode_request_is_queued_with_the_video(api: httpx2.Client, store: ObjectStore) -> None:
    labels = metadata(transcode=json.dumps({"codec": "h264", "external_id": "job"}))
    path = created(api, 1000, **{"Upload-Metadata": labels})
    append(api, path, 0, a_file(1000))
    assert Job.objects.get().external_id == "job"
    assert shown(api, path)["job_id"] == str(Job.objects.get().id)


def test_a_checksum_of_the_whole_file_is_compared_by_a_step(api: httpx2.Client, store: ObjectStore) -> None:
    data = a_file(1000)
    labels = metadata(checksum=f"sha256:{hashlib.sha256(data).hexdigest()}")
    path = created(api, 1000, **{"Upload-Metadata": labels})
    append(api, path, 0, data)
    assert shown(api, path)["state"] == "verifying"
    assert offset_of(api, path) == 1000


def test_a_method_may_be_overridden(api: httpx2.Client, store: ObjectStore) -> None:
    path = created(api, 1000)
    headers = {**VERSION, "Content-Type": BODY_TYPE, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    headers["X-API-Key"] = api.headers["X-API-Key"]
    response = httpx2.post(f"{api.base_url}{path}", headers=headers, content=a_file(1000), trust_env=False)
    assert response.status_code == 204, response.text
    assert shown(api, path)["state"] == "ready"


def test_a_repeated_creation_opens_one_upload(api: httpx2.Client, store: ObjectStore) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first = created(api, 1000, **key)
    append(api, first, 0, MP4_HEAD[:10])
    again = create(api, 1000, **key)
    assert (again.headers["Location"], again.headers["Upload-Offset"]) == (first, "10")
    assert refused(create(api, 1001, **key))[:2] == (422, "idempotency_key_reused")
    assert Upload.objects.count() == len(list(store.list_multiparts("videos/"))) == 1


# --- checksums --------------------------------------------------------------------------------------------------------


def test_a_wrong_checksum_changes_nothing(api: httpx2.Client, store: ObjectStore) -> None:
    data = a_file(2 * PART)
    path = created(api, len(data))
    append(api, path, 0, data[:1000], **checksum("sha1", data[:1000]))
    for algorithm in ALGORITHMS:
        damaged = bytes(1) + data[1001:]
        response = patch(api, path, 1000, damaged, **checksum(algorithm, data[1000:]))
        assert refused(response)[:2] == (460, "body_checksum_mismatch")
        assert response.json()["title"] == "Checksum Mismatch"
        assert offset_of(api, path) == 1000
        append(api, path, 1000, b"", **checksum(algorithm, b""))
    assert [tail.size for tail in store.list(tails_prefix(row(path).video_id))] == [1000]
    complete = api.post(f"{path.replace('/tus/', '/')}/complete", json={})
    assert (complete.status_code, complete.json()["code"]) == (409, "upload_incomplete")
    append(api, path, 1000, data[1000:], **checksum("sha256", data[1000:]))
    assert store.get(source_key(row(path).video_id)) == data


def test_of_a_broken_request_with_a_checksum_nothing_is_kept(api: httpx2.Client, store: ObjectStore) -> None:
    """A part beyond the end of the file, of a request whose checksum was wrong, does not become a part of it."""
    data = a_file(2 * PART + 10)
    path = created(api, None)
    response = patch(api, path, 0, data, **checksum("md5", b"other"))
    assert refused(response)[:2] == (460, "body_checksum_mismatch")
    assert offset_of(api, path) == 0
    append(api, path, 0, data[:PART], **{"Upload-Length": str(PART)})
    assert store.get(source_key(row(path).video_id)) == data[:PART]


# --- what breaks ------------------------------------------------------------------------------------------------------


def test_what_arrived_before_the_connection_broke_is_kept(api: httpx2.Client, store: ObjectStore) -> None:
    data = a_file(PART + 5 * MIB)
    path = created(api, len(data))
    sent = PART + 2 * MIB + 5
    with sending(api, path, 0, len(data), data[:sent]):
        until(lambda: row(path).received_bytes >= PART)
    until(lambda: not row(path).locked_until)
    offset = offset_of(api, path)
    assert PART <= offset <= sent
    append(api, path, offset, data[offset:])
    assert store.get(source_key(row(path).video_id)) == data


def test_a_silent_connection_gives_way_and_what_it_sent_is_kept(api: httpx2.Client, store: ObjectStore) -> None:
    data = a_file(MIB)
    path = created(api, len(data))
    with sending(api, path, 0, len(data), data[:70_000]) as silent:
        until(lambda: row(path).locked_until)
        busy = patch(api, path, 0, data)
        assert refused(busy)[:2] == (423, "upload_locked")
        assert busy.headers["Retry-After"]
        until(lambda: offset_of(api, path) == 70_000)  # no end of the connection, only silence

        def resumed() -> bool:
            response = patch(api, path, 70_000, data[70_000:])
            assert response.status_code in {204, 423}
            return response.status_code == 204

        until(resumed)
        assert shown(api, path)["state"] == "ready"
        silent.settimeout(120)
        assert b" 423 " in silent.recv(1000)
    assert store.get(source_key(row(path).video_id)) == data
    assert not list(store.list(tails_prefix(row(path).video_id)))


def test_an_upload_that_is_aborted_while_it_arrives_leaves_nothing(api: httpx2.Client, store: ObjectStore) -> None:
    path = created(api, 3 * PART)
    with sending(api, path, 0, 3 * PART, a_file(PART + 1000)) as connection:
        until(lambda: row(path).received_bytes >= PART)
        assert api.delete(path, headers=VERSION).status_code == 204
        connection.settimeout(120)
        assert b" 410 " in connection.recv(1000)
    assert refused(patch(api, path, 0, b"x"))[:2] == (410, "upload_aborted")
    assert head(api, path).status_code == 410
    assert_nothing_left(store)


def test_an_expired_upload_is_gone_with_everything(api: httpx2.Client, store: ObjectStore) -> None:
    path = created(api, 1000)
    append(api, path, 0, a_file(500))
    assert list(store.list("videos/"))
    Upload.objects.update(expires_at=Now())
    assert uploads_expire(store=store) == 1
    assert refused(patch(api, path, 500, b"x"))[:2] == (410, "upload_expired")
    assert head(api, path).status_code == 410
    assert_nothing_left(store)


def test_head_completes_what_a_killed_process_did_not(api: httpx2.Client, store: ObjectStore) -> None:
    data = a_file(1000)
    path = created(api, 1000)
    append(api, path, 0, data[:999])
    upload = row(path)
    etag = store.put_part(upload.key, upload.multipart_id, 1, data)
    Upload.objects.update(received_bytes=1000, part_etags=[etag], tail_bytes=0, tail_key="")
    assert offset_of(api, path) == 1000
    assert shown(api, path)["state"] == "ready"
    assert [found.key for found in store.list("videos/")] == [upload.key]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_43_more_than_was_declared_is_refused_and_the_upload_goes_on(api: httpx2.Client, store: ObjectStore) -> None:
    data = a_file(MIB)
    path = created(api, len(data))
    assert refused(patch(api, path, 0, bytes(len(data) + 1)))[:2] == (413, "too_large")

    def endless() -> Iterator[bytes]:
        yield MP4_HEAD
        for _ in range(10_000):
            yield bytes(MIB)

    with pytest.raises(httpx2.HTTPError):  # it closes the connection after its response
        assert patch(api, path, 0, endless()).status_code == 413
        raise httpx2.WriteError("as if it had been broken off")
    until(lambda: not row(path).locked_until)
    offset = offset_of(api, path)
    assert offset < len(data)
    append(api, path, offset, data[offset:])
    assert shown(api, path)["state"] == "ready"
    assert refused(patch(api, path, len(data), b"x"))[:2] == (409, "upload_over")


@pytest.mark.parametrize(
    ("headers", "status", "fields"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412, []),
        ({"Upload-Length": "-5"}, 400, ["Upload-Length"]),
        ({"Upload-Length": "0"}, 422, ["Upload-Length"]),
        ({"Upload-Length": str(1 << 50)}, 413, ["size"]),
        ({"Upload-Metadata": "filename ???"}, 400, ["Upload-Metadata"]),
        ({"Upload-Metadata": metadata(metadata="[]")}, 422, ["metadata"]),
        ({"Upload-Metadata": metadata(external_id="x" * 300)}, 422, ["external_id"]),
        ({"Upload-Metadata": metadata(checksum="md5:abc")}, 422, ["checksum"]),
        ({"Upload-Metadata": metadata(extrenal_id="7")}, 422, ["extrenal_id"]),
        ({"Upload-Metadata": metadata(transcode='{"codec": "mp3"}')}, 422, ["transcode.codec"]),
        ({"Upload-Metadata": metadata(transcode='{"codec":')}, 422, ["transcode"]),
        ({"Upload-Checksum": "crc32 AAAAAA=="}, 400, ["Upload-Checksum"]),
        ({"Idempotency-Key": ""}, 400, []),
    ],
)
def test_a_wrong_creation_names_what_is_wrong(
    api: httpx2.Client, store: ObjectStore, headers: dict[str, str], status: int, fields: list[str]
) -> None:
    response = create(api, 1000, **headers)
    assert (refused(response)[0], refused(response)[2]) == (status, fields)
    assert_nothing_left(store)
    assert not Upload.objects.exists()


def test_a_wrong_request_changes_nothing(api: httpx2.Client, store: ObjectStore) -> None:
    path = created(api, 1000)
    append(api, path, 0, a_file(1000)[:10])
    wrong = patch(api, path, 9, b"x")
    assert refused(wrong)[:2] == (409, "offset_mismatch")
    assert wrong.headers["Upload-Offset"] == "10"
    assert refused(patch(api, path, 10, b"x", **{"Content-Type": "video/mp4"}))[0] == 415
    assert refused(patch(api, path, 10, b"x", **{"Upload-Offset": "ten"}))[2] == ["Upload-Offset"]
    assert refused(patch(api, path, 10, b"x", **{"Tus-Resumable": "2"}))[:2] == (412, "tus_version_unsupported")
    assert refused(patch(api, path, 10, b"x", **{"Content-Encoding": "gzip"}))[0] == 415
    assert refused(api.put(path, headers=VERSION))[:2] == (405, "method_not_allowed")
    assert refused(api.get(PATH))[:2] == (405, "method_not_allowed")
    for unknown in (f"{PATH}/{uuid4()}", f"{PATH}/x", f"{path}/x", f"{PATH}/"):
        assert refused(patch(api, unknown, 0, b"x"))[0] in {404, 405}
    assert offset_of(api, path) == 10


def test_an_upload_by_tus_takes_no_parts(api: httpx2.Client, store: ObjectStore) -> None:
    url = created(api, 1000).replace("/tus/", "/")
    for response in (api.put(f"{url}/parts/1", content=bytes(1000)), api.post(f"{url}/parts", json={"numbers": [1]})):
        assert (response.status_code, response.json()["code"]) == (409, "upload_by_tus")
    response = api.post(f"{url}/complete", json={})
    assert (response.status_code, response.json()["code"]) == (409, "upload_incomplete")


def test_what_is_no_video_is_refused_before_all_of_it_arrives(api: httpx2.Client, store: ObjectStore) -> None:
    path = created(api, 50 * PART)
    response = patch(api, path, 0, b"%PDF-1.4" + bytes(MIB))
    assert refused(response)[:2] == (422, "not_a_video")
    assert refused(patch(api, path, 0, b"x"))[:2] == (422, "not_a_video")
    assert shown(api, path)["state"] == "failed"
    assert_nothing_left(store)
    path = created(api, 3)
    assert refused(patch(api, path, 0, b"abc"))[:2] == (422, "not_a_video")
    assert_nothing_left(store)


def test_nobody_reaches_the_uploads_of_others(api: httpx2.Client, store: ObjectStore) -> None:
    path = created(api, 1000)
    for key, status in (
        (a_key(an_owner("other")), 404),
        (a_key(None, Scope.VIDEOS_READ), 403),
        ("vm_wrong", 401),
        ("", 401),
    ):
        headers = {"X-API-Key": key}
        assert patch(api, path, 0, b"x", **headers).status_code == status
        assert api.head(path, headers={**VERSION, **headers}).status_code == status
        assert api.delete(path, headers={**VERSION, **headers}).status_code == status
    assert create(api, 10, **{"X-API-Key": ""}).status_code == 401
    assert offset_of(api, path) == 0
    parts = api.post("/api/v1/uploads", json={"size": 10}).json()["id"]
    assert refused(patch(api, f"{PATH}/{parts}", 0, b"x"))[:2] == (404, "upload_not_found")


# --- people -----------------------------------------------------------------------------------------------------------


def test_a_page_uploads_with_its_session_and_csrf_token(api: httpx2.Client, store: ObjectStore) -> None:
    user = get_user_model().objects.create_user("ada", password="x")
    Member.objects.create(user=user, owner=default_owner())
    browser = Client()
    browser.force_login(user)
    browser.get("/api/login")
    token = "a" * 32
    cookies = f"sessionid={browser.cookies['sessionid'].value}; csrftoken={token}"
    with httpx2.Client(base_url=api.base_url, headers={"Cookie": cookies}, trust_env=False) as page:
        assert refused(create(page, 1000))[:2] == (403, "csrf_failed")
        assert refused(create(page, 1000, **{"X-HTTP-Method-Override": "POST"}))[0] == 403
        page.headers["X-CSRFToken"] = token
        evil = create(page, 1000, Origin="https://evil.example")
        assert refused(evil)[0] == 403
        response = create(page, 1000, a_file(1000), Origin=str(api.base_url).rstrip("/"))
        assert response.status_code == 201, response.text
        assert offset_of(page, response.headers["Location"]) == 1000
    assert Video.objects.get().owner == default_owner()
