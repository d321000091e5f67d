"""Answers to players in caches, and the ends of tokens, on every kind of delivery."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import pytest
from pytest_django.fixtures import Settings

from storage.keys import asset_key, thumbnails_prefix
from storage.local import LocalStore
from storage.protocol import ObjectStore
from tests.integration.coordination.conftest import caching
from tests.integration.videos.test_playback import Played, played, publish, put_mp4, segment_bytes
from tests.integration.videos.test_texts import send
from tests.rows import a_job, a_key, a_video, an_owner
from tests.unit.transcoding.test_thumbnails import a_set
from transcoding.planning.images import POSTER, SPRITES_VTT
from transcoding.planning.thumbnails import ThumbnailRequest
from videos.playback.delivery import Delivery
from videos.services import generation_mark_playable
from videos.thumbnails import thumbnails_mark_pending, thumbnails_publish

__all__ = ["caching", "played"]

FOR_EVER = "public, max-age=31536000, immutable"
BASE = "https://cdn.example/media"
PRESIGNED = "public, max-age=30"
"""Of a redirect to a presigned URL that is valid for a minute."""
SEGMENT = "360p/7.m4s"

MANIFESTS = {
    "master.m3u8": "public, max-age=60",
    "manifest.mpd": "public, max-age=60",
    "360p/index.m3u8": "public, max-age=3600",
    "360p/iframes.m3u8": "public, max-age=3600",
    "texts/{text}/index.m3u8": "public, max-age=3600",
    "texts/{text}.vtt": FOR_EVER,
    "texts/{text}/0.vtt": FOR_EVER,
    "../thumbnails/{images}/sprites.vtt": FOR_EVER,
}
"""Texts that we write ourselves, and their lifetimes once the video is complete."""
OBJECTS = {
    "360p/init.mp4": FOR_EVER,
    SEGMENT: FOR_EVER,
    "360p.mp4": FOR_EVER,
    "../thumbnails/{images}/poster.jpg": FOR_EVER,
    "../poster.jpg": "public, max-age=600",
}
"""Objects of the store, and the lifetimes of their bytes."""


@dataclass(frozen=True)
class Delivered:
    """A complete video with everything that players can have."""

    played: Played
    kind: str
    names: Mapping[str, str]

    def url(self, rest: str, **values: float) -> str:
        url = self.played.url(rest.format(**self.names), **values)
        before, up, after = url.partition("/../")
        return f"{before.rpartition('/')[0]}/{after}" if up else url

    @property
    def redirects(self) -> bool:
        return self.kind in ("presigned", "public base")


@pytest.fixture(params=["presigned", "public base", "s3 proxied", "local"])
def delivered(  # noqa: PLR0917 - fixtures
    request: pytest.FixtureRequest,
    api: httpx2.Client,
    store: ObjectStore,
    transactional_db: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Delivered:
    video = a_video()
    generation = a_job(video).generation
    assert generation is not None
    publish(store, generation, keyframes=True)
    whole = Played(video, generation)
    put_mp4(store, whole)
    whole.complete()
    images = replace(
        a_set(), preview=replace(a_set().preview, files=(replace(a_set().poster.image, name="preview.gif"),))
    )
    thumbnails_mark_pending(video=video, request=ThumbnailRequest())
    thumbnails_publish(video=video, images=images)
    prefix = thumbnails_prefix(video.id, images.name)
    store.put(asset_key(prefix, POSTER), b"JPEG", "image/jpeg")
    store.put(asset_key(prefix, SPRITES_VTT), b"WEBVTT\n", "text/vtt")
    text = send(api, video).json()["name"]
    delivery = Delivery(store=store, redirects=True, presign_seconds=60)
    if request.param == "public base":
        delivery = replace(delivery, public_base=BASE)
    elif request.param == "s3 proxied":
        delivery = replace(delivery, redirects=False)
    elif request.param == "local":
        local = LocalStore(tmp_path, part_bytes=store.part_bytes)
        for stored in list(store.list("videos/")):
            local.put(stored.key, store.get(stored.key), "")
        delivery = replace(delivery, store=local)
    monkeypatch.setattr("videos.playback.wiring.delivery", lambda: delivery)
    monkeypatch.setattr("videos.playback.wiring.store", lambda: delivery.store)
    return Delivered(whole, request.param, {"text": text, "images": images.name})


def compared(answer: httpx2.Response) -> dict[str, str]:
    """Headers without those of one answer alone."""
    return {name: value for name, value in answer.headers.items() if name not in {"date", "x-request-id"}}


def test_every_answer_says_how_long_it_may_be_cached(api: httpx2.Client, delivered: Delivered) -> None:
    for rest, lifetime in MANIFESTS.items():
        plain = {"Accept-Encoding": "identity"}  # a compressed answer has a length of its own, against guessing
        answer = api.get(delivered.url(rest), headers=plain)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, lifetime), rest
        assert answer.headers["vary"] == "Accept-Encoding", rest
        assert compared(api.head(delivered.url(rest), headers=plain)) == compared(answer), rest
    redirect = {"presigned": PRESIGNED, "public base": "public, max-age=600"}.get(delivered.kind)
    for rest, lifetime in OBJECTS.items():
        answer = api.get(delivered.url(rest))
        expected = (302, redirect) if delivered.redirects else (200, lifetime)
        assert (answer.status_code, answer.headers["cache-control"]) == expected, rest
        assert "vary" not in answer.headers, rest
        head = api.head(delivered.url(rest))
        if delivered.kind == "presigned":  # a signature is for one method: HEAD says what the bytes are
            assert (head.status_code, head.headers["cache-control"]) == (200, lifetime), rest
        else:
            assert compared(head) == compared(answer), rest
        assert not head.content, rest


@pytest.mark.parametrize("delivered", ["s3 proxied", "local"], indirect=True)
def test_a_client_that_has_it_gets_304(api: httpx2.Client, delivered: Delivered) -> None:
    for rest in OBJECTS if delivered.kind == "local" else (*MANIFESTS, *OBJECTS):
        url = delivered.url(rest)
        whole = api.get(url, headers={"Accept-Encoding": "gzip"})
        etag = whole.headers["etag"]
        answer = api.get(url, headers={"If-None-Match": etag})
        assert (answer.status_code, answer.content) == (304, b""), rest
        for name in ("cache-control", "vary", "access-control-allow-origin"):
            assert answer.headers.get(name) == whole.headers.get(name), (rest, name)
        assert answer.headers["etag"] == etag.removeprefix("W/")


@pytest.mark.parametrize("delivered", ["s3 proxied"], indirect=True)
def test_an_etag_is_compared_as_the_standard_says(api: httpx2.Client, delivered: Delivered) -> None:
    for rest in ("master.m3u8", SEGMENT):
        url = delivered.url(rest)
        etag = api.get(url, headers={"Accept-Encoding": "identity"}).headers["etag"]
        for known, status in (
            (etag, 304), (f"W/{etag}", 304), (f'"x", {etag}', 304), ("*", 304),
            ('"x"', 200), (etag.strip('"'), 200), (f'"{etag}"', 200), ("", 200),
        ):  # fmt: skip
            for method in ("GET", "HEAD"):
                assert api.request(method, url, headers={"If-None-Match": known}).status_code == status, known


@pytest.mark.parametrize("delivered", ["s3 proxied", "local"], indirect=True)
def test_a_part_is_of_the_object_whose_etag_the_client_has(api: httpx2.Client, delivered: Delivered) -> None:
    url, whole = delivered.url(SEGMENT), segment_bytes("360p", 7)
    etag = api.get(url).headers["etag"]
    for condition, status in (
        (etag, 206),
        ('"x"', 200),
        (f"W/{etag}", 200),
        ("Mon, 30 Nov 2026 20:00:00 GMT", 200),
        (None, 206),
    ):
        headers = {"Range": "bytes=5-11"} | ({"If-Range": condition} if condition else {})
        answer = api.get(url, headers=headers)
        assert (answer.status_code, answer.content) == (status, whole[5:12] if status == 206 else whole), condition
        assert answer.headers["etag"] == etag
    head = api.head(url, headers={"Range": "bytes=5-11"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole))), "only GET has ranges"


@pytest.mark.parametrize("delivered", ["presigned"], indirect=True)
def test_the_store_lets_browsers_cache_what_a_redirect_leads_to(api: httpx2.Client, delivered: Delivered) -> None:
    answer = api.get(delivered.url(SEGMENT), headers={"Range": "bytes=5-11"})
    stored = httpx2.get(answer.headers["location"], headers={"Range": "bytes=5-11", "Origin": "null"})
    assert (stored.status_code, stored.content) == (206, segment_bytes("360p", 7)[5:12])
    assert stored.headers["cache-control"] == FOR_EVER
    etag = stored.headers["etag"]
    assert httpx2.get(answer.headers["location"], headers={"If-None-Match": etag}).status_code == 304


def test_errors_are_never_cached(api: httpx2.Client, delivered: Delivered) -> None:
    failing = [("GET", "360p/999.m4s"), ("GET", "nothing"), ("PUT", SEGMENT), ("GET", "../thumbnails/x/poster.jpg")]
    for method, rest in failing:
        answer = api.request(method, delivered.url(rest))
        if delivered.redirects and rest == "../thumbnails/x/poster.jpg":  # whether it is there, the store knows
            continue
        assert (answer.status_code >= 400, answer.headers["cache-control"]) == (True, "no-store"), rest
    if not delivered.redirects:
        answer = api.get(delivered.url(SEGMENT), headers={"Range": "bytes=999-"})
        assert (answer.status_code, answer.headers["cache-control"]) == (416, "no-store")


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_revoking_ends_every_url_of_a_video(api: httpx2.Client, delivered: Delivered, caching: object) -> None:
    video = delivered.played.video
    detail, playback = f"/api/v1/videos/{video.id}", f"/api/v1/videos/{video.id}/playback"
    urls = [delivered.url(rest) for rest in (*MANIFESTS, *OBJECTS)]
    shown = api.get(detail).json()["thumbnails"]
    (job,) = api.get(f"{detail}/jobs").json()["results"]
    outputs = api.get(f"/api/v1/jobs/{job['id']}/outputs").json()
    urls += [shown["poster_url"], outputs["outputs"][0]["url"], api.get(playback).json()["hls_url"]]
    assert {api.get(url).status_code for url in urls} <= {200, 302}
    once = {"Idempotency-Key": "first"}
    first = api.post(f"{detail}/revoke-playback", headers=once)
    assert (first.status_code, first.json()["video_id"]) == (200, str(video.id))
    for url in urls:
        answer = api.get(url)
        assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store"), url
    fresh = [
        api.get(detail).json()["thumbnails"]["poster_url"],
        api.get(playback).json()["hls_url"],
        *(output["url"] for output in api.get(f"/api/v1/jobs/{job['id']}/outputs").json()["outputs"]),
    ]
    assert api.post(f"{detail}/revoke-playback", headers=once).content == first.content
    assert {api.get(url).status_code for url in fresh} <= {200, 302}, "a repeated request revokes nothing more"
    assert not set(fresh) & set(urls)
    assert api.post(f"{detail}/revoke-playback").status_code == 200
    assert {api.get(url).status_code for url in fresh} == {404}


def test_only_the_owner_revokes(api: httpx2.Client, played: Played) -> None:
    path = f"/api/v1/videos/{played.video.id}/revoke-playback"
    stranger = {"X-API-Key": a_key(an_owner("other"))}
    assert api.post(path, headers=stranger).json()["code"] == "video_not_found"
    played.video.refresh_from_db()
    assert played.video.playback_epoch == 0


def test_viewers_share_urls_for_an_eighth_of_their_time(
    api: httpx2.Client, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    def urls_at(moment: float, query: str = "") -> tuple[str, float]:
        monkeypatch.setattr("videos.playback.urls.time.time", lambda: moment)
        shown = api.get(f"/api/v1/videos/{played.video.id}/playback{query}").json()
        expires = time.mktime(time.strptime(shown["expires_at"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        return shown["hls_url"], expires - moment

    eighth = 86_400 // 8
    start = time.time() // eighth * eighth + 1
    first, valid = urls_at(start)
    assert 86_400 <= valid <= 86_400 + eighth
    assert urls_at(start + eighth - 2)[0] == first
    assert urls_at(start + eighth)[0] != first
    for seconds in (60, 3600, 365 * 86_400):
        _, valid = urls_at(start, f"?seconds={seconds}")
        assert seconds <= valid <= seconds * 9 / 8 + 1
    for wrong in ("59", str(365 * 86_400 + 1), "x", "-60", "1e3", ""):
        refused = api.get(f"/api/v1/videos/{played.video.id}/playback?seconds={wrong}")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "seconds"), wrong


# --- origins ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def listed_origins(settings: Settings) -> None:
    origins = ("https://app.example", "https://other.example:8443")
    playback = replace(settings.TRANSCODER.playback, playback_origins=origins)
    settings.TRANSCODER = replace(settings.TRANSCODER, playback=playback)


def test_only_listed_origins_may_read(api: httpx2.Client, played: Played, listed_origins: None) -> None:
    """Every answer varies, so that a cache does not give a page the answer to another one."""
    for rest in ("master.m3u8", "360p/index.m3u8", SEGMENT, "nothing"):
        for origin in ("https://app.example", "https://other.example:8443", "https://evil.example", "null", None):
            answer = api.get(played.url(rest), headers={"Origin": origin} if origin else {})
            allowed = origin if origin and ".example" in origin and "evil" not in origin else None
            assert answer.headers.get("access-control-allow-origin") == allowed, (rest, origin)
            assert ("access-control-expose-headers" in answer.headers) == bool(allowed)
            assert "Origin" in answer.headers["vary"].split(", "), rest
    for origin, allowed in (("https://app.example", "https://app.example"), ("https://evil.example", None)):
        preflight = api.options(played.url(SEGMENT), headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
        assert preflight.status_code == 204
        assert preflight.headers.get("access-control-allow-origin") == allowed


def test_what_grows_is_cached_for_a_second(api: httpx2.Client, store: ObjectStore, transactional_db: None) -> None:
    generation = a_job().generation
    assert generation is not None
    publish(store, generation, segments=3)
    generation_mark_playable(generation=generation)
    url = Played(generation.video, generation).url("360p/index.m3u8")
    before = api.get(url)
    assert before.headers["cache-control"] == "public, max-age=1"
    known = {"If-None-Match": before.headers["etag"]}
    assert api.get(url, headers=known).status_code == 304
    Played(generation.video, generation).complete()
    assert api.get(url, headers=known).status_code == 200, "it ends now"
