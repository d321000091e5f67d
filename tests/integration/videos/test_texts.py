"""Texts of videos: uploaded, listed, played and deleted, while a job encodes and after it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4

import httpx2
import pytest
from pytest_django.fixtures import Settings

from events.models import Event
from storage.protocol import ObjectStore
from tests.integration.videos.test_playback import Played, publish
from tests.rows import a_job, a_key, a_video, an_owner, an_uploaded_video
from videos.models import Text, Video
from videos.services import generation_mark_playable, video_mark_deleted, video_reject

SRT = "1\n00:00:01,000 --> 00:00:02,500\nHallo <b>Welt</b>\n\n2\n00:00:03,000 --> 00:00:09,000\nlang\n"


def send(api: httpx2.Client, video: Video, data: str | bytes = SRT, **fields: str) -> httpx2.Response:
    form = {"language": "de", **fields}
    return api.post(f"/api/v1/videos/{video.id}/texts", data=form, files={"file": ("a.srt", data)})


def shown_texts(api: httpx2.Client, video: Video) -> list[dict[str, Any]]:
    """The texts in a video's document, which its list has, too."""
    texts: list[dict[str, Any]] = api.get(f"/api/v1/videos/{video.id}").json()["texts"]
    (listed,) = api.get("/api/v1/videos").json()["results"]
    assert listed["texts"] == texts
    return texts


@pytest.fixture
def growing(store: ObjectStore, transactional_db: None) -> Played:
    """A video of which the first three of ten segments are published."""
    video = a_video()
    generation = a_job(video).generation
    assert generation is not None
    publish(store, generation, segments=3)
    generation_mark_playable(generation=generation)
    return Played(video, generation)


def test_a_text_is_there_from_its_upload_on(api: httpx2.Client, growing: Played) -> None:
    sent = send(api, growing.video, label="Deutsch", sdh="true", default="true")
    assert sent.status_code == 201
    text = sent.json()
    assert sent.headers["location"] == f"/api/v1/videos/{growing.video.id}/texts/{text['id']}"
    assert api.get(sent.headers["location"]).json()["name"] == text["name"]
    named = {name: text[name] for name in ("language", "label", "default", "forced", "sdh", "origin", "state", "cues")}
    assert named == {
        "language": "de", "label": "Deutsch", "default": True, "forced": False, "sdh": True, "origin": "uploaded",
        "state": "ready", "cues": 2,
    }  # fmt: skip
    master = api.get(growing.url("master.m3u8"))
    assert (
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="text",LANGUAGE="de",NAME="Deutsch",DEFAULT=YES,AUTOSELECT=YES,FORCED=NO,'
        'CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog,'
        f'public.accessibility.describes-music-and-sound",URI="texts/{text["name"]}/index.m3u8"\n'
    ) in master.text
    assert 'SUBTITLES="text"' in master.text
    dash = api.get(growing.url("manifest.mpd")).text
    assert '<Role schemeIdUri="urn:mpeg:dash:role:2011" value="caption" />' in dash
    assert f"<BaseURL>texts/{text['name']}.vtt</BaseURL>" in dash
    whole = api.get(text["url"])
    assert (whole.headers["content-type"], whole.headers["access-control-allow-origin"]) == (
        "text/vtt; charset=utf-8",
        "*",
    )
    assert whole.text == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nHallo <b>Welt</b>\n\n00:00:03.000 --> 00:00:09.000\nlang\n"
    )


def test_the_playlist_of_a_text_grows_with_the_video(api: httpx2.Client, growing: Played, store: ObjectStore) -> None:
    name = send(api, growing.video).json()["name"]
    url = growing.url(f"texts/{name}/index.m3u8")
    playlist = api.get(url)
    video = api.get(growing.url("360p/index.m3u8")).text
    assert [line for line in playlist.text.splitlines() if line.startswith("#EXTINF")] == [
        line for line in video.splitlines() if line.startswith("#EXTINF")
    ]
    assert "EXT-X-MAP" not in playlist.text
    assert ("EVENT" in playlist.text, "ENDLIST" in playlist.text) == (True, False)
    segments = [line for line in playlist.text.splitlines() if line.endswith(".vtt")]
    assert segments == ["0.vtt", "1.vtt", "2.vtt"]
    found = [api.get(urljoin(url, segment)).text for segment in segments]
    assert all(text.startswith("WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n") for text in found)
    assert [text.count("-->") for text in found] == [2, 1, 1]
    assert api.get(growing.url(f"texts/{name}/10.vtt")).status_code == 404
    growing.complete()
    assert "EXT-X-ENDLIST" in api.get(url).text
    shown = api.get(f"/api/v1/videos/{growing.video.id}/playback").json()["texts"]
    assert [(each["name"], each["language"], each["label"]) for each in shown] == [(name, "de", "German")]


def test_a_text_of_a_complete_video_comes_and_goes(api: httpx2.Client, growing: Played) -> None:
    growing.complete()
    master = growing.url("master.m3u8")
    before = api.get(master)
    assert before.headers["cache-control"] == "public, max-age=60"
    first, second = (send(api, growing.video, language="en", default="true").json() for _ in range(2))
    (job,) = api.get(f"/api/v1/videos/{growing.video.id}/jobs").json()["results"]
    outputs = api.get(f"/api/v1/jobs/{job['id']}/outputs").json()["outputs"]
    files = [each for each in outputs if each["type"] == "text"]
    states = [(each["name"], each["state"], each["error"]) for each in shown_texts(api, growing.video)]
    assert states == [(each["name"], "ready", None) for each in (first, second)]
    assert [(each["rendition"], each["language"], each["codecs"]) for each in files] == [
        (each["name"], "en", "wvtt") for each in (first, second)
    ]
    assert all(len(api.get(each["url"]).content) == each["size"] for each in files)
    listed = api.get(f"/api/v1/videos/{growing.video.id}/texts").json()["results"]
    assert [(each["id"], each["default"]) for each in listed] == [(second["id"], True), (first["id"], False)]
    media = [line for line in api.get(master).text.splitlines() if "SUBTITLES,GROUP" in line]
    assert [("DEFAULT=YES" in line, "AUTOSELECT=YES" in line, 'NAME="English"' in line) for line in media] == [
        (True, True, True),
        (False, False, False),
    ], "one default, one that players choose by themselves, and two names"
    for text in (first, second):
        where = f"/api/v1/videos/{growing.video.id}/texts/{text['id']}"
        assert api.delete(where).status_code == 204
        assert api.delete(where).json()["code"] == "text_not_found"
    happened = [(event.type, event.data["text"]["id"]) for event in Event.objects.filter(type__contains="text")]
    assert happened == [
        (f"video.text_{what}", text["id"])
        for text, *whats in (
            (first, "added", "ready"),
            (second, "added", "ready"),
            (first, "deleted"),
            (second, "deleted"),
        )
        for what in whats
    ]
    assert api.get(f"/api/v1/videos/{growing.video.id}").json()["texts"] == []
    assert api.get(master).text == before.text
    assert api.get(first["url"]).json()["code"] == "text_not_found"


@pytest.mark.parametrize(
    ("data", "fields", "field"),
    [
        (b"\x00\x01\x02" * 99, {}, "file"),
        (b"no text at all", {}, "file"),
        ("Grüße".encode("latin-1") + SRT.encode(), {}, "file"),
        (SRT, {"language": "deutsch!"}, "language"),
        (SRT, {"language": ""}, "language"),
        (SRT, {"label": "x" * 101}, "label"),
        (SRT, {"label": "a\tb"}, "label"),
        (SRT, {"forced": "perhaps"}, "forced"),
        (SRT, {"encoding": "ebcdic"}, "encoding"),
        (SRT, {"langauge": "de"}, "langauge"),
    ],
)
def test_a_text_that_makes_no_sense_is_refused(
    api: httpx2.Client, growing: Played, data: str | bytes, fields: dict[str, str], field: str
) -> None:
    answer = send(api, growing.video, data, **fields)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
    assert not Text.objects.exists()


def test_a_form_without_a_file_and_one_that_is_no_form(api: httpx2.Client, growing: Played) -> None:
    url = f"/api/v1/videos/{growing.video.id}/texts"
    answer = api.post(url, data={"language": "de"}, files={"other": ("a.srt", SRT)})
    assert {error["field"] for error in answer.json()["errors"]} >= {"other"}
    assert api.post(url, json={"language": "de"}).status_code == 415
    answer = api.post(url, data={"language": "de"}, files={"file": ("a.srt", b"x" * (1 << 20))})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_repeated_request_adds_one_text(api: httpx2.Client, growing: Played) -> None:
    url, headers = f"/api/v1/videos/{growing.video.id}/texts", {"Idempotency-Key": "a text"}
    request = api.build_request("POST", url, data={"language": "de"}, files={"file": ("a.srt", SRT)}, headers=headers)
    content = request.read()
    sent = [api.post(url, content=content, headers=dict(request.headers)) for _ in range(2)]
    assert [answer.status_code for answer in sent] == [201, 201]
    assert sent[1].headers["idempotent-replayed"] == "true"
    assert sent[0].json()["id"] == sent[1].json()["id"]
    assert Text.objects.count() == 1


def test_others_have_no_part_in_a_text(api: httpx2.Client, growing: Played) -> None:
    text = send(api, growing.video).json()
    theirs = {"X-API-Key": a_key(an_owner("other"))}
    where = f"/api/v1/videos/{growing.video.id}/texts"
    answers = [
        api.get(where, headers=theirs),
        api.get(f"{where}/{text['id']}", headers=theirs),
        api.delete(f"{where}/{text['id']}", headers=theirs),
        api.post(where, data={"language": "de"}, files={"file": ("a.srt", SRT)}, headers=theirs),
    ]
    assert [answer.json()["code"] for answer in answers] == ["video_not_found"] * 4
    another = a_video()
    assert api.get(f"/api/v1/videos/{another.id}/texts/{text['id']}").json()["code"] == "text_not_found"
    assert api.get(f"{where}/{uuid4()}").status_code == 404


def test_a_video_has_so_many_texts_and_a_rejected_one_none(
    api: httpx2.Client, growing: Played, settings: Settings
) -> None:
    settings.TRANSCODER = replace(settings.TRANSCODER, limits=replace(settings.TRANSCODER.limits, max_texts=1))
    assert send(api, growing.video).status_code == 201
    assert send(api, growing.video).json()["code"] == "too_many_texts"
    waiting = an_uploaded_video()
    assert send(api, waiting).json()["url"] is None, "a text may come before the inspection"
    video_reject(video=waiting, code="input_rejected", detail="no video")
    assert send(api, waiting).json()["code"] == "video_rejected"
    video_mark_deleted(video=waiting)
    assert not Text.objects.filter(video=waiting).exists()
