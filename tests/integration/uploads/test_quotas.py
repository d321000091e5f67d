"""Quotas: what an owner has no room for is refused at every door, and two at once cannot take the same room."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import StringIO

import httpx2
import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from access.limits import limits_of, limits_set
from access.models import Owner
from jobs.lifecycle.services import video_delete
from storage.protocol import ObjectStore
from tests.rows import a_key, a_video, an_owner, some_facts
from videos.models import Upload, Video
from videos.services import video_mark_inspected
from videos.uploads.idempotency import PATH as UPLOAD

FILE = bytes.fromhex("0000001c") + b"ftypisom" + bytes(100_000)


@pytest.fixture
def owner(transactional_db: None) -> Owner:
    owner = an_owner("limited")
    limits_set(owner=owner, max_stored_bytes=150_000)
    return owner


def problem(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def form(api: httpx2.Client, key: str, size: int = len(FILE)) -> httpx2.Response:
    return api.post(UPLOAD, files={"video": ("a.mp4", FILE[:size])}, headers={"X-API-Key": key})


def chunked(api: httpx2.Client, key: str) -> httpx2.Response:
    """Upload without saying how long the form is."""
    head = b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'
    body = iter([head, FILE, b"\r\n--b--\r\n"])
    kind = "multipart/form-data; boundary=b"
    return api.post(UPLOAD, content=body, headers={"X-API-Key": key, "Content-Type": kind})


def opened(api: httpx2.Client, key: str, size: int) -> httpx2.Response:
    return api.post("/api/v1/uploads", json={"size": size, "filename": "a.mp4"}, headers={"X-API-Key": key})


def test_a_form_is_refused_and_leaves_nothing(api: httpx2.Client, store: ObjectStore, owner: Owner) -> None:
    key = a_key(owner)
    assert form(api, key).status_code == 201
    for refused in (form(api, key), chunked(api, key)):
        assert problem(refused) == (403, "quota_exceeded")
        assert refused.json()["errors"][0]["field"] == "video"
    assert Video.objects.filter(owner=owner).count() == 1
    assert len(list(store.list("videos/"))) == 1
    assert form(api, a_key()).status_code == 201, "another owner has no such limit"
    video_delete(owner=owner, video_id=Video.objects.get(owner=owner).id)
    assert form(api, key).status_code == 201, "what is deleted frees its room at once"


def test_open_uploads_reserve_their_size(api: httpx2.Client, owner: Owner) -> None:
    key = a_key(owner)
    first = opened(api, key, 100_000)
    assert first.status_code == 201
    refused = opened(api, key, 50_001)
    assert problem(refused) == (403, "quota_exceeded")
    assert refused.json()["errors"][0]["field"] == "size"
    assert problem(form(api, key)) == (403, "quota_exceeded")
    usage = api.get("/api/v1/usage", headers={"X-API-Key": key}).json()
    assert (usage["reserved_bytes"], usage["limits"]["stored_bytes"]) == (100_000, 150_000)
    assert api.delete(first.headers["location"], headers={"X-API-Key": key}).status_code == 204
    assert opened(api, key, 150_000).status_code == 201


def test_two_at_once_cannot_take_the_same_room(api: httpx2.Client, owner: Owner) -> None:
    key = a_key(owner)
    responses: list[httpx2.Response] = []

    def run(send: Callable[[], httpx2.Response]) -> threading.Thread:
        thread = threading.Thread(target=lambda: responses.append(send()))
        thread.start()
        return thread

    sends = [lambda: opened(api, key, 100_000)] * 4 + [lambda: form(api, key)] * 2
    for thread in [run(send) for send in sends]:
        thread.join()
    assert sorted(response.status_code for response in responses) == [201, 403, 403, 403, 403, 403]
    assert Upload.objects.filter(owner=owner).count() + Video.objects.filter(owner=owner).count() == 1


def test_an_owner_without_room_makes_and_joins_nothing(client: Client, owner: Owner) -> None:
    videos = [a_video(owner), a_video(owner)]
    theirs = Client(headers={"X-API-Key": a_key(owner)})
    for path, body in (
        (f"/api/v1/videos/{videos[0].id}/transcode", {}),
        ("/api/v1/videos/join", {"videos": [str(video.id) for video in videos]}),
        ("/api/v1/videos/import", {"url": "https://[2000::1]/a.mp4"}),
    ):
        response = theirs.post(path, body, content_type="application/json")
        assert (response.status_code, response.json()["code"]) == (403, "quota_exceeded"), path
    assert Video.objects.filter(owner=owner).count() == 2


def test_minutes_of_sources_are_limited_per_month(api: httpx2.Client, owner: Owner) -> None:
    limits_set(owner=owner, max_stored_bytes=0, max_source_minutes=10)
    video = a_video(owner)
    key = a_key(owner)
    assert opened(api, key, 100).status_code == 201
    video_mark_inspected(video=video, facts=some_facts(), media={"duration": 600.0}, warnings=[])
    for refused in (opened(api, key, 100), form(api, key)):
        assert problem(refused) == (429, "quota_exceeded")
        assert 0 < int(refused.headers["Retry-After"]) <= 31 * 86_400
    transcoded = api.post(f"/api/v1/videos/{video.id}/transcode", json={}, headers={"X-API-Key": key})
    assert transcoded.status_code == 202, transcoded.text


@pytest.mark.django_db
def test_limits_are_set_and_shown_by_a_command() -> None:
    owner = an_owner("limited")
    written = StringIO()
    call_command("owner_limits", "limited", stored="2TB", source_minutes="unlimited", stdout=written)
    assert "stored bytes: 0 of 2000000000000" in written.getvalue()
    assert limits_of(owner.id).max_stored_bytes == 2 * 10**12
    call_command("owner_limits", "limited", stored="default", stdout=StringIO())
    assert limits_of(owner.id).max_stored_bytes is None
    for wrong in ("-1", "much", "0"):
        with pytest.raises(CommandError, match="no number"):
            call_command("owner_limits", "limited", f"--stored={wrong}", stdout=StringIO())
    with pytest.raises(CommandError, match="there is no owner"):
        call_command("owner_limits", "nobody", stdout=StringIO())


def test_an_upload_by_tus_whose_size_comes_later_is_limited_too(
    api: httpx2.Client, store: ObjectStore, owner: Owner
) -> None:
    headers = {"X-API-Key": a_key(owner), "Tus-Resumable": "1.0.0"}
    body = headers | {"Content-Type": "application/offset+octet-stream"}
    created = api.post("/api/v1/uploads/tus", headers=headers | {"Upload-Defer-Length": "1"})
    path = created.headers["Location"]
    assert api.patch(path, headers=body | {"Upload-Offset": "0"}, content=FILE).status_code == 204
    more = body | {"Upload-Offset": str(len(FILE))}
    assert problem(api.patch(path, headers=more, content=FILE)) == (413, "too_large")
    sized = more | {"Upload-Length": "200000"}
    assert problem(api.patch(path, headers=sized, content=b"")) == (403, "quota_exceeded")
    sized = more | {"Upload-Length": str(len(FILE) + 1)}
    assert api.patch(path, headers=sized, content=b"x").status_code == 204
    assert Video.objects.filter(owner=owner).count() == 1
