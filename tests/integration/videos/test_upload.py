"""Uploads through a real server into the real store."""

from __future__ import annotations

import hashlib
import json
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx2
import pytest
from django.db import OperationalError

from access.wiring import party_turns
from api.problems import Problem
from api.threads import THREADS
from jobs.models import Step
from storage.errors import StorageUnavailable
from storage.keys import source_key
from storage.protocol import ObjectStore, StoredObject
from tests.integration.videos.conftest import django_app, serving
from tests.rows import a_key, an_owner
from videos.models import Video
from videos.uploads.idempotency import PATH
from videos.uploads.limits import UploadLimits
from videos.uploads.route import UploadRoute
from videos.uploads.slots import UploadSlots

MIB = 1024 * 1024
MP4_HEAD = bytes.fromhex("0000001c") + b"ftypisom" + bytes(16)


def a_video(size: int = 1000) -> bytes:
    """Bytes that start like an MP4 file."""
    return MP4_HEAD + os.urandom(size - len(MP4_HEAD))


def send(client: httpx2.Client, data: bytes, *, name: str = "clip.mp4", field: str = "video") -> httpx2.Response:
    return client.post(PATH, files={field: (name, data, "video/mp4")})


def assert_nothing_left(store: ObjectStore) -> None:
    assert list(store.list("videos/")) == []
    assert list(store.list_multiparts("videos/")) == []
    assert not Video.objects.exists()


def assert_problem(response: httpx2.Response, status: int, code: str, field: str | None = None) -> None:
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert (response.status_code, document["status"], document["code"]) == (status, status, code)
    assert [error["field"] for error in document.get("errors", [])] == ([field] if field is not None else [])


# --- what works -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1000, 10 * MIB, 25 * MIB + 1])
def test_an_uploaded_video_is_stored_and_recorded(api: httpx2.Client, store: ObjectStore, size: int) -> None:
    data = a_video(size)
    response = send(api, data)
    assert response.status_code == 201, response.text
    shown = response.json()
    video = Video.objects.get(id=shown["id"])
    assert response.headers["location"] == f"/api/v1/videos/{video.id}"
    assert (video.size_bytes, video.container, video.filename) == (size, "mov", "clip.mp4")
    assert video.sha256 == hashlib.sha256(data).hexdigest()
    assert store.head(source_key(video.id)).etag == video.etag
    assert store.get(source_key(video.id)) == data
    assert list(store.list_multiparts("videos/")) == []


def test_the_answer_is_the_video_as_the_api_shows_it(api: httpx2.Client, store: ObjectStore) -> None:
    response = send(api, a_video())
    shown = response.json()
    assert api.get(response.headers["location"]).json() == shown
    assert shown["status"] == "uploaded"
    unknown_yet = ["duration", "width", "height", "codec", "bitrate", "frame_rate", "inspected_at", "error"]
    assert [shown[name] for name in unknown_yet] == [None] * len(unknown_yet)
    assert shown["created_at"] is not None


def test_an_uploaded_video_waits_for_inspection(api: httpx2.Client, store: ObjectStore) -> None:
    video_id = send(api, a_video()).json()["id"]
    assert Step.objects.get(video_id=video_id).kind == "inspect"


def test_a_body_of_unknown_length_is_taken(api: httpx2.Client, store: ObjectStore) -> None:
    body = a_form(a_video(6 * MIB))
    pieces = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    response = api.post(PATH, content=pieces, headers={"Content-Type": FORM})
    assert response.status_code == 201, response.text


@pytest.mark.parametrize(
    ("name", "expected"),
    [("-y.mp4", "-y.mp4"), ("a:b%03d$(id).mp4", "a:b%03d$(id).mp4"), ("שלום.mp4", "שלום.mp4"), ("x" * 300, "x" * 255)],
)
def test_a_name_is_only_text(api: httpx2.Client, store: ObjectStore, name: str, expected: str) -> None:
    assert send(api, a_video(), name=name).json()["filename"] == expected


def test_a_nul_in_a_name_is_dropped(api: httpx2.Client, store: ObjectStore) -> None:
    body = a_form(a_video()).replace(b"clip.mp4", b"a\0b.mp4")
    assert api.post(PATH, content=body, headers={"Content-Type": FORM}).json()["filename"] == "ab.mp4"


def test_several_uploads_at_once(api: httpx2.Client, store: ObjectStore) -> None:
    datas = [a_video(11 * MIB) for _ in range(4)]
    answers: dict[int, httpx2.Response] = {}

    def upload(number: int) -> None:
        answers[number] = send(api, datas[number])

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = {number: answer.json() for number, answer in answers.items()}
    assert {n: s["sha256"] for n, s in shown.items()} == {n: hashlib.sha256(d).hexdigest() for n, d in enumerate(datas)}


# --- what is refused --------------------------------------------------------------------------------------------------

FORM = "multipart/form-data; boundary=b0undary"


def a_form(data: bytes, *, end: bytes = b"\r\n--b0undary--\r\n") -> bytes:
    head = b'--b0undary\r\nContent-Disposition: form-data; name="video"; filename="clip.mp4"\r\n\r\n'
    return head + data + end


@pytest.mark.parametrize(
    "data",
    [b"x", b"hello " * 1000, os.urandom(100_000), b"PK\x03\x04" + bytes(100), b"%PDF-1.7\n", b"#EXTM3U\nfile:///etc/passwd",
     b"ffconcat version 1.0\nfile a", b"<svg/>", b"<MPD/>", bytes(30 * MIB)],
    ids=["byte", "text", "random", "zip", "pdf", "m3u8", "ffconcat", "svg", "mpd", "zeros"],
)  # fmt: skip
def test_what_is_no_video_is_refused(api: httpx2.Client, store: ObjectStore, data: bytes) -> None:
    assert_problem(send(api, data), 422, "not_a_video", "video")
    assert_nothing_left(store)


def test_an_empty_file_is_refused(api: httpx2.Client, store: ObjectStore) -> None:
    assert_problem(send(api, b""), 422, "empty_file", "video")
    assert_nothing_left(store)


def test_a_wrong_field_is_named(api: httpx2.Client, store: ObjectStore) -> None:
    assert_problem(send(api, a_video(), field="file"), 422, "unknown_field", "file")
    assert_nothing_left(store)


def test_a_field_after_a_large_file_leaves_nothing(api: httpx2.Client, store: ObjectStore) -> None:
    more = b'\r\n--b0undary\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n--b0undary--\r\n'
    response = api.post(PATH, content=a_form(a_video(25 * MIB), end=more), headers={"Content-Type": FORM})
    assert_problem(response, 422, "unknown_field", "title")
    assert_nothing_left(store)


def test_two_files_are_refused(api: httpx2.Client, store: ObjectStore) -> None:
    files = [("video", ("a.mp4", a_video(11 * MIB))), ("video", ("b.mp4", a_video()))]
    assert_problem(api.post(PATH, files=files), 422, "invalid", "video")
    assert_nothing_left(store)


@pytest.mark.parametrize("size", [1000, 25 * MIB])
def test_a_form_that_breaks_off_is_refused(api: httpx2.Client, store: ObjectStore, size: int) -> None:
    response = api.post(PATH, content=a_form(a_video(size), end=b""), headers={"Content-Type": FORM})
    assert_problem(response, 400, "malformed_form")
    assert_nothing_left(store)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Content-Type": "application/json"}, 415), ({}, 415), ({"Content-Type": FORM, "Content-Encoding": "gzip"}, 415)],
)
def test_another_kind_of_body_is_refused(
    api: httpx2.Client, store: ObjectStore, headers: dict[str, str], status: int
) -> None:
    assert_problem(api.post(PATH, content=b"{}", headers=headers), status, "unsupported_media_type")


def test_a_host_that_is_not_ours_is_refused(api: httpx2.Client, store: ObjectStore) -> None:
    response = api.post(PATH, content=a_form(a_video()), headers={"Content-Type": FORM, "Host": "evil.example"})
    assert_problem(response, 400, "bad_request")
    assert_nothing_left(store)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused(api: httpx2.Client, method: str) -> None:
    response = api.request(method, PATH)
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(("text", "measured"), [("true", True), ("false", False), (None, False)])
def test_the_loudness_of_its_audio_can_be_requested(api: httpx2.Client, text: str | None, measured: bool) -> None:  # noqa: FBT001
    fields = {"loudness": text} if text else {}
    response = api.post(PATH, data=fields, files={"video": ("clip.mp4", a_video(), "video/mp4")})
    assert Video.objects.get(id=response.json()["id"]).measure_loudness is measured


def test_any_other_word_for_it_is_refused(api: httpx2.Client, store: ObjectStore) -> None:
    response = api.post(PATH, data={"loudness": "loud"}, files={"video": ("clip.mp4", a_video(), "video/mp4")})
    assert_problem(response, 422, "invalid", "loudness")
    assert_nothing_left(store)


# --- limits and failures ----------------------------------------------------------------------------------------------


async def _no_look(_stored: StoredObject, _family: str) -> None:
    """Leave the facts to the inspection."""


def a_route(store: ObjectStore, **limits: float) -> UploadRoute:
    values = {"max_bytes": 20 * MIB, "idle_seconds": 60.0} | limits
    return UploadRoute(
        django_app(),
        store=store,
        turns=party_turns(threads=THREADS),
        slots=UploadSlots(UploadLimits(**values)),  # type: ignore[arg-type]
        on_uploaded=lambda _video: None,
        look=_no_look,
    )


@pytest.fixture
def small(store: ObjectStore, transactional_db: None) -> Iterator[httpx2.Client]:
    """A site that takes 20 MiB."""
    with serving(a_route(store)) as client:
        yield client


@pytest.fixture
def impatient(store: ObjectStore, transactional_db: None) -> Iterator[httpx2.Client]:
    """A site that accepts 20 MiB and waits one second."""
    with serving(a_route(store, idle_seconds=1.0)) as client:
        yield client


def test_the_largest_video_is_taken(small: httpx2.Client) -> None:
    assert send(small, a_video(20 * MIB)).status_code == 201


def test_one_byte_more_is_not(small: httpx2.Client, store: ObjectStore) -> None:
    assert_problem(send(small, a_video(20 * MIB + 1)), 413, "too_large", "video")
    assert_nothing_left(store)


def test_a_client_that_declares_less_and_sends_more_is_cut_off(small: httpx2.Client, store: ObjectStore) -> None:
    pieces = (a_form(a_video(MIB), end=b"") if first else os.urandom(MIB) for first in [True] + [False] * 200)
    response = small.post(PATH, content=pieces, headers={"Content-Type": FORM})
    assert_problem(response, 413, "too_large", "video")
    assert_nothing_left(store)


def raw(client: httpx2.Client, head: str, body: bytes = b"") -> socket.socket:
    """Start a request byte by byte."""
    connection = socket.create_connection(("127.0.0.1", client.base_url.port or 0), timeout=60)
    key = client.headers["X-API-Key"]
    lines = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nContent-Type: {FORM}\r\n{head}\r\n"
    connection.sendall(lines.encode() + body)
    return connection


def status_of(connection: socket.socket) -> int:
    return int(connection.recv(1000).split()[1])


def test_too_large_a_declared_length_is_refused_before_the_body(small: httpx2.Client) -> None:
    with raw(small, "Content-Length: 10000000000\r\n") as connection:
        assert status_of(connection) == 413


def test_a_client_that_asks_first_sends_nothing_in_vain(small: httpx2.Client) -> None:
    with raw(small, "Content-Length: 10000000000\r\nExpect: 100-continue\r\n") as connection:
        assert status_of(connection) == 413
    body = a_form(a_video())
    with raw(small, f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n") as connection:
        assert status_of(connection) == 100
        connection.sendall(body)
        assert status_of(connection) == 201


def test_a_client_that_stops_sending_is_given_up(impatient: httpx2.Client, store: ObjectStore) -> None:
    with raw(impatient, "Content-Length: 15000000\r\n", a_form(a_video(12 * MIB), end=b"")) as connection:
        assert status_of(connection) == 408
    assert_nothing_left(store)


def test_a_client_that_sends_a_trickle_is_given_up(impatient: httpx2.Client, store: ObjectStore) -> None:
    with raw(impatient, "Content-Length: 15000000\r\n", a_form(a_video(12 * MIB), end=b"")) as connection:
        deadline = time.monotonic() + 120
        while not select.select([connection], [], [], 0.1)[0]:
            assert time.monotonic() < deadline, "it is still waited for"
            connection.sendall(b"x" * 10)
        assert status_of(connection) == 408
    assert_nothing_left(store)


def test_a_client_that_sends_slowly_but_surely_is_not(store: ObjectStore, transactional_db: None) -> None:
    with serving(a_route(store, idle_seconds=3.0, min_bytes_per_second=1000)) as client:
        body = a_form(a_video(40 * 1000))
        with raw(client, f"Content-Length: {len(body)}\r\n") as connection:
            for start in range(0, len(body), 1000):
                connection.sendall(body[start : start + 1000])
                time.sleep(0.1)
            assert status_of(connection) == 201


def test_a_client_that_hangs_up_leaves_nothing(small: httpx2.Client, store: ObjectStore) -> None:
    with raw(small, "Content-Length: 20000000\r\n", a_form(a_video(12 * MIB), end=b"")):
        wait_for(lambda: list(store.list_multiparts("videos/")))
    wait_for(lambda: not list(store.list_multiparts("videos/")))
    assert_nothing_left(store)


def test_an_owner_leaves_uploads_to_others(store: ObjectStore, transactional_db: None) -> None:
    with (
        serving(a_route(store, max_owner_uploads=1, idle_seconds=60)) as client,
        raw(client, "Content-Length: 20000000\r\n", a_form(a_video(12 * MIB), end=b"")),
    ):
        wait_for(lambda: list(store.list_multiparts("videos/")))
        response = send(client, a_video())
        assert_problem(response, 429, "too_many_uploads")
        assert response.headers["retry-after"] == "5"
        client.headers["x-api-key"] = a_key(an_owner("another"))
        assert send(client, a_video()).status_code == 201


def test_one_upload_too_many_is_sent_away_for_a_while(store: ObjectStore, transactional_db: None) -> None:
    with serving(a_route(store, max_uploads=1, idle_seconds=60)) as client:
        with raw(client, "Content-Length: 20000000\r\n", a_form(a_video(12 * MIB), end=b"")):
            wait_for(lambda: list(store.list_multiparts("videos/")))
            response = send(client, a_video())
            assert_problem(response, 503, "too_many_uploads")
            assert response.json()["retryable"]
            assert int(response.headers["retry-after"]) > 0
            assert_problem(client.post(PATH, headers={"X-API-Key": "none that works"}), 401, "invalid_key")
        wait_for(lambda: send(client, a_video()).status_code == 201)


def wait_for(condition: object, seconds: float = 120) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


class Failing:
    """A store that fails in one method, and is otherwise the real one."""

    def __init__(self, store: ObjectStore, method: str) -> None:
        self._store = store
        self._method = method

    def __getattr__(self, name: str) -> object:
        if name == self._method:
            return self._fail
        return getattr(self._store, name)

    def _fail(self, key: str, *args: object, **_options: object) -> object:
        raise StorageUnavailable(key, "on purpose")


@pytest.mark.parametrize("method", ["create_multipart", "put_part", "complete_multipart"])
def test_a_failing_store_is_reported_and_nothing_is_left(
    store: ObjectStore, transactional_db: None, method: str
) -> None:
    failing = Failing(store, method)
    with serving(a_route(failing)) as client:  # type: ignore[arg-type]
        response = send(client, a_video(16 * MIB))
    assert_problem(response, 503, "storage_unavailable")
    assert response.json()["retryable"]
    assert_nothing_left(store)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (OperationalError("gone"), (503, "database_unavailable")),
        (KeyError("a bug"), (500, "internal_error")),
        (Problem(status=409, code="no", detail="No."), (409, "no")),
    ],
)
@pytest.mark.parametrize("size", [1000, 11 * MIB])
def test_a_row_that_cannot_be_written_leaves_no_object(
    store: ObjectStore, transactional_db: None, error: Exception, answer: tuple[int, str], size: int
) -> None:
    def fail(_video: Video) -> None:
        raise error

    route = UploadRoute(
        django_app(),
        store=store,
        turns=party_turns(threads=THREADS),
        slots=UploadSlots(UploadLimits(max_bytes=20 * MIB)),
        on_uploaded=fail,
        look=_no_look,
    )
    with serving(route) as client:
        assert_problem(send(client, a_video(size)), *answer)
    assert_nothing_left(store)


def test_an_object_whose_row_was_written_after_all_is_kept(
    store: ObjectStore, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to a COMMIT can get lost: the rows in the database count."""
    created: list[UUID] = []

    def written_but_not_confirmed(**values: Any) -> Video:  # noqa: ANN401 - as of a row
        video = Video.objects.create(
            id=values["video_id"], owner=values["owner"], size_bytes=values["size_bytes"], source_key="k"
        )
        created.append(video.id)
        raise OperationalError("the connection broke")

    monkeypatch.setattr("videos.uploads.route.video_create", written_but_not_confirmed)
    with serving(a_route(store)) as client:
        assert send(client, a_video()).status_code == 503
    assert store.head(source_key(created[0])).size == 1000


def test_uploads_over_plain_http_can_be_forbidden(store: ObjectStore, transactional_db: None) -> None:
    with serving(a_route(store, https_only=True)) as client:
        assert_problem(send(client, a_video()), 403, "https_required")


def test_other_requests_have_a_smaller_limit(api: httpx2.Client) -> None:
    response = api.post("/api/v1/videos", content=b"x" * (2 * MIB))
    assert_problem(response, 413, "too_large")


def test_the_schema_has_the_upload(api: httpx2.Client) -> None:
    schema = api.get("/api/schema", params={"format": "json"}).text
    assert "multipart/form-data" in schema
    assert PATH in schema


def test_json_is_what_is_sent(api: httpx2.Client, store: ObjectStore) -> None:
    response = send(api, a_video())
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.content)["links"]["self"] == response.headers["location"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_another_method_with_a_large_body_is_not_allowed(api: httpx2.Client, method: str) -> None:
    response = api.request(method, PATH, content=bytes(4 * 1024 * 1024))
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST, OPTIONS"
