"""Uploads in parts: connections cut, the store failing, and each part of the product killed in the middle."""

from __future__ import annotations

import itertools
import os
import random
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.faults.proxy import StoreFault
from tests.faults.rig import Rig

PART = 10 << 20
UPLOADS = "/api/v1/uploads"


@contextmanager
def api(rig: Rig) -> Iterator[httpx2.Client]:
    with closing(rig.client()) as known:
        headers = {"X-API-Key": known.api_key}
        with httpx2.Client(base_url=rig.api.url, headers=headers, trust_env=False, timeout=120) as client:
            yield client


@pytest.fixture(scope="module")
def file(blink_bytes: bytes) -> bytes:
    """A video of one second, and enough behind it for two parts: readers pass over a box of the type `free`."""
    padding = PART + 1000 - len(blink_bytes)
    return blink_bytes + padding.to_bytes(4) + b"free" + random.Random(1).randbytes(padding - 8)  # noqa: S311 - no secret


@pytest.fixture(scope="module")
def blink_bytes(blink: Path) -> bytes:
    return blink.read_bytes()


def opened(client: httpx2.Client, size: int, **fields: object) -> Any:  # noqa: ANN401 - JSON
    response = client.post(UPLOADS, json={"size": size, **fields})
    assert response.status_code == 201, response.text
    return response.json()


def part(upload: dict[str, Any], number: int, file: bytes) -> tuple[str, bytes]:
    """The address of a part in the API, and its bytes."""
    return f"{UPLOADS}/{upload['id']}/parts/{number}", file[(number - 1) * PART : number * PART]


def cut(client: httpx2.Client, url: str, data: bytes, *, sent: int) -> socket.socket:
    """Send so much of a part, and leave the connection open."""
    address = urlsplit(str(client.base_url))
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=60)
    lines = [f"PUT {url} HTTP/1.1", "Host: localhost", f"X-API-Key: {client.headers['X-API-Key']}"]
    head = "\r\n".join([*lines, f"Content-Length: {len(data)}", "", ""])
    connection.sendall(head.encode() + data[:sent])
    return connection


def put(client: httpx2.Client, url: str, data: bytes) -> httpx2.Response:
    """Send a part as clients do: again after every failure that may pass."""
    for _ in range(20):
        response = client.put(url, content=data)
        if response.status_code < 500:
            return response
    raise AssertionError(response.text)


def complete(client: httpx2.Client, upload: dict[str, Any]) -> dict[str, Any]:
    for _ in range(20):
        response = client.post(f"{UPLOADS}/{upload['id']}/complete", json={})
        if response.status_code < 500:
            break
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def whole(rig: Rig, upload: dict[str, Any], file: bytes) -> bool:
    """Tell whether the one video of an upload is the file, and nothing else is left of it in the store."""
    (key,) = rig.one("SELECT source_key FROM videos_video WHERE id = %s", upload["video_id"])
    assert not list(rig.store().list_multiparts("videos/"))
    return rig.store().get(key) == file


def test_18_and_43_a_third_of_the_store_s_calls_fails_and_every_connection_is_cut(rig: Rig, file: bytes) -> None:
    counter, failed = itertools.count(), Counter[str]()

    def judge(_method: str, path: str, _headers: Message) -> StoreFault | None:
        if next(counter) % 10 not in (0, 3, 7) or failed[path] == 3:
            return None
        failed[path] += 1
        return StoreFault(status=503)

    rig.api_store.judge = judge
    with api(rig) as client:
        upload = opened(client, len(file), transcode={"preset": "ultrafast"})
        for number in (1, 2):
            url, data = part(upload, number, file)
            cut(client, url, data, sent=len(data) // 2).close()
            assert client.get(f"{UPLOADS}/{upload['id']}").json()["received"] == PART * (number - 1)
            assert put(client, url, data).status_code == 200
        with ThreadPoolExecutor(3) as threads:
            done = list(threads.map(lambda _: complete(client, upload), range(3)))
    assert {each["state"] for each in done} == {"ready"}
    assert len({(each["video_id"], each["job_id"]) for each in done}) == 1
    assert failed.total() >= 3
    assert whole(rig, done[0], file)
    rig.jobs.append(done[0]["job_id"])
    rig.completed(done[0]["job_id"])


def test_18_and_43_tus_is_bit_exact_although_a_third_of_the_store_s_calls_fails_or_is_slow_and_reset(
    rig: Rig, file: bytes
) -> None:
    counter, failed = itertools.count(), Counter[str]()

    def judge(_method: str, path: str, _headers: Message) -> StoreFault | None:
        number = next(counter) % 10
        if number not in (0, 3, 7) or failed[path] == 3:
            return None
        failed[path] += 1
        return StoreFault(status=503) if number == 3 else StoreFault(reset=True, bytes_per_second=20 << 20)

    rig.api_store.judge = judge
    with api(rig) as client:
        client.headers["Tus-Resumable"] = "1.0.0"
        whole_file, abandoned = (tus_opened(client, len(file)) for _ in range(2))
        assert 0 < tus_append(client, abandoned, file, 0, sent=PART // 2) <= PART // 2
        offset = 0
        for sent in (PART // 3, PART // 2, len(file)):  # requests that end anywhere
            offset = tus_append(client, whole_file, file, offset, sent=sent)
        upload = client.get(whole_file.replace("/tus", "")).json()
        assert (upload["state"], offset) == ("ready", len(file))
        assert client.delete(abandoned).status_code == 204
        rig.api_store.heal()
        rig.until(lambda: uploads_removed(rig), 60)
        assert whole(rig, upload, file)
    keys = [stored.key for stored in rig.store().list(f"videos/{upload['video_id']}/")]
    assert keys == [f"videos/{upload['video_id']}/source"], "no tail is left"
    assert failed.total() >= 3


def tus_opened(client: httpx2.Client, size: int) -> str:
    """Open an upload by tus; return its path."""
    for _ in range(20):
        response = client.post(f"{UPLOADS}/tus", headers={"Upload-Length": str(size)})
        if response.status_code < 500:
            break
    assert response.status_code == 201, response.text
    return str(response.headers["Location"])


def tus_append(client: httpx2.Client, path: str, file: bytes, offset: int, *, sent: int) -> int:
    """Send so much of the rest of a file as tus clients do, again after failures; return what the API has then."""
    end = min(offset + sent, len(file))
    for _ in range(40):
        response = client.head(path)
        if response.status_code == 200:
            offset = int(response.headers["Upload-Offset"])
            body = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            response = client.patch(path, headers=body, content=file[offset:end])
        if response.status_code == 204:
            return int(response.headers["Upload-Offset"])
    raise AssertionError((response.status_code, response.text))


def uploads_removed(rig: Rig) -> bool:
    """Let the janitor work, and tell whether nothing is left of uploads that have ended."""
    rig.manage(
        "from jobs.dispatching.upload_janitor import uploads_expire\n"
        "from videos.playback.wiring import store\n"
        "uploads_expire(store=store())\n"
    )
    (left,) = rig.one("SELECT count(*) FROM videos_upload WHERE state = 'aborted' AND multipart_id <> ''")
    return left == 0 and not list(rig.store().list_multiparts("videos/"))


def test_43_the_api_is_killed_within_a_part_and_after_the_store_has_made_the_object(rig: Rig, file: bytes) -> None:
    with api(rig) as client:
        upload = opened(client, len(file))
        for number in (1, 2):
            url, data = part(upload, number, file)
            with cut(client, url, data, sent=len(data) // 2):
                if number == 1:
                    rig.kill(rig.api)
                    rig.start_missing()
            assert put(client, url, data).status_code == 200
        process, videos = rig.pid(rig.api), rig.one("SELECT count(*) FROM videos_video")

        def judge(method: str, _path: str, _headers: Message) -> StoreFault | None:
            if method == "HEAD":  # what follows the completion in the store
                os.kill(process, signal.SIGKILL)
            return None

        rig.api_store.judge = judge
        with pytest.raises(httpx2.TransportError):
            client.post(f"{UPLOADS}/{upload['id']}/complete", json={})
        rig.api_store.heal()
        rig.until(lambda: not rig.api.running(), 60)
        rig.start_missing()
        assert rig.all("SELECT state FROM videos_upload WHERE id = %s", upload["id"]) == [("open",)]
        assert rig.one("SELECT count(*) FROM videos_video") == videos
        seen = client.get(f"{UPLOADS}/{upload['id']}").json()
        assert (seen["state"], seen["received"]) == ("open", len(file))
        assert whole(rig, complete(client, upload), file)


def test_43_redis_and_postgresql_are_killed_within_an_upload_that_then_goes_on(rig: Rig, file: bytes) -> None:
    with api(rig) as client:
        upload = opened(client, len(file))
        rig.kill(rig.redis)
        url, data = part(upload, 1, file)
        assert client.put(url, content=data).status_code == 200, "Redis is no part of it"
        rig.kill(rig.postgresql)
        url, data = part(upload, 2, file)
        refused = client.put(url, content=data)
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        rig.start_missing()
        assert put(client, url, data).status_code == 200
        assert whole(rig, complete(client, upload), file)


def test_43_an_abandoned_upload_expires_and_leaves_nothing(rig: Rig, file: bytes) -> None:
    with api(rig) as client:
        upload = opened(client, len(file))
        url, data = part(upload, 1, file)
        assert put(client, url, data).status_code == 200
        assert list(rig.store().list_multiparts("videos/"))
        rig.manage(
            "from datetime import timedelta\n"
            "from django.db.models.functions import Now\n"
            "from jobs.dispatching.upload_janitor import uploads_expire\n"
            "from videos.models import Upload\n"
            "from videos.playback.wiring import store\n"
            f"Upload.objects.filter(id='{upload['id']}').update(expires_at=Now() - timedelta(seconds=1))\n"
            "assert uploads_expire(store=store()) == 1\n"
        )
        assert client.get(f"{UPLOADS}/{upload['id']}").json()["state"] == "expired"
        refused = client.put(url, content=data)
    assert (refused.status_code, refused.json()["code"]) == (409, "upload_over")
    assert not list(rig.store().list_multiparts("videos/"))
