"""The list, one video, and its original."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import httpx2
import pytest
from django.conf import settings

from storage.keys import source_key
from storage.protocol import ObjectStore
from tests.rows import a_video, an_owner, an_uploaded_video
from videos.services import video_mark_deleting, video_mark_inspected, video_record_error, video_reject

MEDIA = {"duration": 4.0, "width": 1280, "height": 720, "codec": "h264", "bitrate": 500_000, "frame_rate": 25.0}


def ids(answer: httpx2.Response) -> list[str]:
    return [video["id"] for video in answer.json()["results"]]


def test_the_list_is_walked_by_cursors_newest_first(api: httpx2.Client) -> None:
    created = [str(an_uploaded_video().id) for _ in range(5)]
    page = api.get("/api/v1/videos", params={"limit": 2})
    seen = ids(page)
    assert page.json()["previous"] is None
    while page.json()["next"]:
        page = api.get(page.json()["next"])
        seen += ids(page)
    assert seen == created[::-1]
    assert ids(api.get(page.json()["previous"])) == created[::-1][2:4]


def test_what_arrives_meanwhile_neither_repeats_nor_hides(api: httpx2.Client) -> None:
    created = [str(an_uploaded_video().id) for _ in range(4)]
    page = api.get("/api/v1/videos", params={"limit": 2})
    an_uploaded_video()
    assert ids(page) + ids(api.get(page.json()["next"])) == created[::-1]


@pytest.mark.parametrize(
    ("field", "value"),
    [("limit", "0"), ("limit", "101"), ("limit", "-1"), ("limit", "x"), ("limit", ""), ("limit", "²"), ("cursor", "x"),
     ("cursor", "cD1ub3doZXJl"), ("cursor", "ä"), ("cursor", "bz0tMQ=="), ("cursor", "cj14")],
)  # fmt: skip
def test_a_page_that_makes_no_sense_names_the_field(api: httpx2.Client, field: str, value: str) -> None:
    answer = api.get("/api/v1/videos", params={field: value})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_others_videos_and_those_on_their_way_out_are_not_there(api: httpx2.Client) -> None:
    others = an_uploaded_video(an_owner("other"))
    leaving = an_uploaded_video()
    video_mark_deleting(video=leaving)
    assert ids(api.get("/api/v1/videos")) == []
    for video in (others, leaving):
        for rest in ("", "/playback", "/original"):
            answer = api.get(f"/api/v1/videos/{video.id}{rest}")
            assert (answer.status_code, answer.json()["code"]) == (404, "video_not_found")


def test_an_unknown_video_is_a_problem(api: httpx2.Client) -> None:
    address = f"/api/v1/videos/{uuid4()}"
    answer = api.get(address)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"], answer.json()["instance"]) == (404, "video_not_found", address)


def test_an_id_that_is_none_is_a_problem_too(api: httpx2.Client) -> None:
    answer = api.get("/api/v1/videos/1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_method_that_makes_no_sense_is_a_problem(api: httpx2.Client, method: str) -> None:
    video = an_uploaded_video()
    answer = api.request(method, f"/api/v1/videos/{video.id}", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_an_inspected_video_shows_what_it_is(api: httpx2.Client) -> None:
    video = a_video()
    media = MEDIA | {"audio_codec": "aac"}
    video_mark_inspected(video=video, facts=video.facts or {}, media=media, warnings=["rotated"])
    shown = api.get(f"/api/v1/videos/{video.id}").json()
    assert {name: shown[name] for name in MEDIA} == MEDIA
    assert (shown["status"], shown["metadata"], shown["streams"]) == ("ready", {"audio_codec": "aac"}, [])
    assert [(each["code"], each["detail"][:9]) for each in shown["warnings"]] == [("rotated", "The video")]
    assert shown["inspected_at"] is not None


def test_a_bitrate_that_the_container_does_not_tell_is_the_file_s(api: httpx2.Client) -> None:
    video = a_video()
    video_mark_inspected(video=video, facts=video.facts or {}, media=MEDIA | {"bitrate": None}, warnings=[])
    assert api.get(f"/api/v1/videos/{video.id}").json()["bitrate"] == 2_000_000  # 1,000,000 bytes in 4 s


def test_a_rejected_video_says_why(api: httpx2.Client) -> None:
    video = an_uploaded_video()
    video_reject(video=video, code="input_rejected", detail="the file has no video track")
    shown = api.get(f"/api/v1/videos/{video.id}").json()
    expected = {"code": "input_rejected", "detail": "the file has no video track", "details": None, "retryable": False}
    assert (shown["status"], shown["error"]) == ("rejected", expected)


def test_a_failed_inspection_may_work_later(api: httpx2.Client) -> None:
    video = an_uploaded_video()
    video_record_error(video=video, code="storage_unavailable", detail="the store was unavailable")
    assert api.get(f"/api/v1/videos/{video.id}").json()["error"]["retryable"] is True


def test_the_original_can_be_had(api: httpx2.Client, store: ObjectStore) -> None:
    video = an_uploaded_video()
    store.put(source_key(video.id), b"the original", "application/octet-stream")
    url = api.get(f"/api/v1/videos/{video.id}").json()["original_url"]
    assert api.get(url).status_code == 302
    answer = api.get(url, follow_redirects=True)
    assert (answer.content, answer.headers["content-type"]) == (b"the original", "application/octet-stream")


def test_addresses_are_public_ones_where_there_are(api: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    site = replace(settings.TRANSCODER.site, public_url="https://media.example/")
    monkeypatch.setattr(settings, "TRANSCODER", replace(settings.TRANSCODER, site=site))
    video = an_uploaded_video()
    shown = api.get(f"/api/v1/videos/{video.id}").json()
    assert shown["original_url"] == f"https://media.example/api/v1/videos/{video.id}/original"
