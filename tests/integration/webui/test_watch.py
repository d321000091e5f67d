"""The page on which everybody who has its link watches a video, without a browser."""

from __future__ import annotations

import html
import re
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from tests.rows import a_job, a_key, a_video
from videos.models import Video
from videos.playback.tokens import token_make
from videos.services import generation_mark_playable, video_mark_deleting, video_revoke_playback

pytestmark = pytest.mark.django_db

EVERYBODY = Client()


def link(video: Video, *, expires_in: float = 3600) -> str:
    return f"/watch/{token_make(video.id, expires_at=int(time.time() + expires_in), epoch=video.playback_epoch)}"


def a_playable_video(**fields: object) -> Video:
    generation = a_job().generation
    assert generation is not None
    generation_mark_playable(generation=generation)
    Video.objects.filter(id=generation.video_id).update(filename="secret name.mov", external_id="secret id", **fields)
    return Video.objects.get(id=generation.video_id)


def policy(page: Any) -> dict[str, str]:  # noqa: ANN401 - Django's monkey-patched response
    rules = page.headers["Content-Security-Policy"].split("; ")
    return {name: value for name, _, value in (rule.partition(" ") for rule in rules)}


def test_the_playback_document_names_the_page_from_the_upload_on() -> None:
    video = a_video()
    owner = Client(headers={"X-API-Key": a_key(video.owner)})
    shown = owner.get(f"/api/v1/videos/{video.id}/playback").json()
    assert shown["state"] == "unavailable"
    path = urlsplit(shown["watch_url"]).path
    assert shown["watch_url"] == f"http://testserver{path}"
    assert shown["embed_html"].startswith(f'<iframe src="{shown["watch_url"]}?embed=1" ')
    page = EVERYBODY.get(path)
    assert page.status_code == 200
    assert html.escape(shown["embed_html"]) in page.content.decode()
    state = EVERYBODY.get(f"{path}/state")
    assert state.json() == {"generation": "", "hls": "", "mp4": "", "poster": ""}


def test_the_page_plays_by_its_own_token() -> None:
    """So that it ends with the link."""
    video = a_playable_video()
    path = link(video)
    token = path.rpartition("/")[2]
    found = EVERYBODY.get(f"{path}/state").json()
    assert (found["generation"], found["hls"]) == ("1", f"/play/{token}/1/master.m3u8")
    assert f'data-hls="{found["hls"]}"' in EVERYBODY.get(path).content.decode()
    assert EVERYBODY.get(found["hls"]).status_code == 200


@pytest.mark.parametrize(
    ("metadata", "title"), [({}, "Video"), ({"title": 7}, "Video"), ({"title": " <A> & B "}, "<A> & B")]
)
def test_it_shows_the_title_and_nothing_else_of_the_owner(metadata: dict[str, object], title: str) -> None:
    video = a_playable_video(client_metadata={"secret": "of the owner", **metadata})
    User.objects.create_user("grace-hopper")
    signed_in = Client()
    signed_in.force_login(User.objects.get())
    for client in (EVERYBODY, signed_in):
        page = client.get(link(video))
        text = page.content.decode()
        assert re.findall("<title>(.*)</title>", text) == [html.escape(title)]
        for private in ("secret", "grace-hopper", str(video.owner_id), video.owner.name, "/api/"):
            assert private not in text, private
        assert not page.cookies
        assert "Cookie" not in page.headers.get("Vary", "")


def test_a_link_that_is_of_no_use_says_so_on_a_page() -> None:
    video, expired = a_playable_video(), a_playable_video()
    revoked, deleted = a_playable_video(), a_playable_video()
    links = {
        "/watch/forged": (404, "leads nowhere"),
        f"{link(video)}x": (404, "leads nowhere"),
        link(expired, expires_in=-1): (410, "has expired"),
        link(revoked): (410, "not available any more"),
        link(deleted): (410, "not available any more"),
        f"/watch/{token_make(uuid4(), expires_at=2**33)}": (410, "not available any more"),
    }
    video_revoke_playback(video=revoked)
    video_mark_deleting(video=deleted)
    for path, (status, words) in links.items():
        for url in (path, f"{path}/state"):
            page = EVERYBODY.get(url)
            assert (page.status_code, page.headers["Cache-Control"]) == (status, "no-store"), url
            assert words in page.content.decode(), url
            assert EVERYBODY.head(url).status_code == status
    revoked.refresh_from_db()
    assert EVERYBODY.get(link(revoked)).status_code == 200, "a link of after that"


def test_all_sites_may_frame_it_and_no_other_page() -> None:
    page = EVERYBODY.get(link(a_playable_video()))
    assert "X-Frame-Options" not in page.headers
    assert policy(page)["frame-ancestors"] == "*"
    assert policy(page)["script-src"] == "'self'"
    assert page.headers["X-Robots-Tag"] == "noindex"
    for other in ("/api/login", "/admin/login/"):
        page = EVERYBODY.get(other)
        assert (page.status_code, page.headers["X-Frame-Options"]) == (200, "DENY")
        assert policy(page)["frame-ancestors"] == "'none'"


def test_listed_sites_alone_may_frame_it(settings: Settings) -> None:
    playback = replace(settings.TRANSCODER.playback, playback_origins=("https://app.example", "https://b.example:8443"))
    settings.TRANSCODER = replace(settings.TRANSCODER, playback=playback)
    page = EVERYBODY.get(link(a_playable_video()))
    assert policy(page)["frame-ancestors"] == "'self' https://app.example https://b.example:8443"


def test_guessing_links_is_limited(settings: Settings) -> None:
    rate = replace(settings.TRANSCODER.rate, rate_play_per_minute=3)
    settings.TRANSCODER = replace(settings.TRANSCODER, rate=rate)
    stranger = Client(REMOTE_ADDR="192.0.2.77")
    statuses = [stranger.get(f"/watch/guess-{number}").status_code for number in range(5)]
    assert (statuses[0], statuses[-1]) == (404, 429)
    assert stranger.get("/watch/guess").headers["Retry-After"]
