"""Players behind a cache: nginx as docs/delivery.md configures it, in front of the API and of the objects."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest

from embedded.home import Home
from storage.local import LocalStore
from storage.protocol import ObjectStore
from tests.integration.videos.conftest import api, store
from tests.integration.videos.test_playback import Played, publish, segment_bytes, uris
from tests.nginx import CachingNginx
from tests.rows import a_job, a_video, an_mp4
from tests.servers import locked_home
from videos.assets.services import assets_publish
from videos.playback.delivery import Delivery
from videos.services import generation_mark_playable

__all__ = ["api", "store"]

LARGE = os.urandom(9 * 1024 * 1024 + 7)
"""A file of three slices."""
DEADLINE_SECONDS = 120


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with locked_home(f"{os.getpid()}-cdn") as home:
        yield home


@pytest.fixture
def local(store: ObjectStore, tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, part_bytes=store.part_bytes)


@pytest.fixture
def nginx(home: Home, api: httpx2.Client, tmp_path: Path) -> Iterator[CachingNginx]:
    nginx = CachingNginx(home, api_port=api.base_url.port or 0, objects=tmp_path / "objects")
    try:
        nginx.start()
        nginx.wait_ready()
        yield nginx
    finally:
        nginx.close()


@pytest.fixture
def cdn(nginx: CachingNginx) -> Iterator[httpx2.Client]:
    """A viewer, who has no key."""
    url = f"http://127.0.0.1:{nginx.cache_port}"
    with httpx2.Client(base_url=url, trust_env=False, timeout=120) as client:
        yield client


@dataclass(frozen=True)
class Deliveries:
    """The ways in which the API of this test may deliver."""

    change: Callable[[Delivery], None]
    local: LocalStore
    store: ObjectStore


@pytest.fixture
def deliveries(local: LocalStore, store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Deliveries:
    def change(delivery: Delivery) -> None:
        monkeypatch.setattr("videos.playback.wiring.delivery", lambda: delivery)

    change(Delivery(store=local, redirects=True, presign_seconds=60))
    return Deliveries(change, local, store)


def a_complete_video(store: ObjectStore) -> Played:
    generation = a_job(a_video()).generation
    assert generation is not None
    publish(store, generation)
    played = Played(generation.video, generation)
    store.put("videos/large.mp4", LARGE, "video/mp4")
    mp4 = an_mp4(played.renditions[0], key="videos/large.mp4", size_bytes=len(LARGE))
    assets_publish(generation_id=generation.id, assets=[mp4])
    played.complete()
    return played


def path_of(api: httpx2.Client, played: Played) -> str:
    """The master playlist's path, as one more viewer reads it in the document."""
    shown = api.get(f"/api/v1/videos/{played.video.id}/playback").json()
    return urlsplit(str(shown["hls_url"])).path


def watched(cdn: httpx2.Client, master: str) -> tuple[list[bytes], set[str]]:
    """Fetch everything as a player does. Returns the segments, and what the cache said of them."""
    segments, said = [], set()
    for playlist in uris(cdn.get(master).text, master):
        for url in uris(cdn.get(playlist).text, playlist):
            answer = cdn.get(url)
            assert answer.status_code == 200
            segments.append(answer.content)
            said.add(answer.headers["x-cache"])
    return segments, said


def test_what_one_viewer_fetched_the_next_one_gets_from_the_cache(
    api: httpx2.Client, cdn: httpx2.Client, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = a_complete_video(deliveries.local)
    first, said = watched(cdn, path_of(api, played))
    assert said == {"MISS"}
    assert segment_bytes("360p", 7) in first
    monkeypatch.setattr("videos.playback.wiring.delivery", None)  # no object is read from here on
    second, said = watched(cdn, path_of(api, played))
    assert (second, said) == (first, {"HIT"})
    master = path_of(api, played)
    assert cdn.get(master).headers["x-cache"] == "HIT"
    assert cdn.get(f"{master}?audio=audio").headers["x-cache"] == "MISS"
    assert cdn.get(f"{master}?tracking=1").headers["x-cache"] == "HIT"


RANGES = [
    (f"bytes={4 * 1024 * 1024 - 3}-{4 * 1024 * 1024 + 2}", slice(4 * 1024 * 1024 - 3, 4 * 1024 * 1024 + 3)),
    ("bytes=-7", slice(-7, None)),
    ("bytes=0-0", slice(0, 1)),
    (f"bytes={8 * 1024 * 1024}-", slice(8 * 1024 * 1024, None)),
]


def test_ranges_through_the_cache_are_those_of_the_file(
    api: httpx2.Client, cdn: httpx2.Client, deliveries: Deliveries
) -> None:
    played = a_complete_video(deliveries.local)
    url = urljoin(path_of(api, played), "360p.mp4")
    for said in ("MISS", "HIT"):
        for requested, part in RANGES:
            answer = cdn.get(url, headers={"Range": requested})
            assert (answer.status_code, answer.content) == (206, LARGE[part]), requested
        assert answer.headers["x-cache"] in (said, "HIT")
    etag = answer.headers["etag"]
    whole = cdn.get(url)
    assert (whole.status_code, whole.content) == (200, LARGE)
    assert cdn.get(url, headers={"If-None-Match": etag}).status_code == 304
    assert cdn.get(url, headers={"Range": "bytes=0-3", "If-Range": etag}).status_code == 206
    assert cdn.get(url, headers={"Range": "bytes=0-3", "If-Range": '"x"'}).status_code == 200
    assert cdn.get(url, headers={"Range": f"bytes={len(LARGE)}-"}).status_code == 416
    head = cdn.head(url)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(LARGE)), b"")


def test_redirects_are_shared_and_errors_are_not(
    api: httpx2.Client, cdn: httpx2.Client, deliveries: Deliveries
) -> None:
    deliveries.change(Delivery(store=deliveries.store, redirects=True, presign_seconds=600))
    played = a_complete_video(deliveries.store)
    url = urljoin(path_of(api, played), "360p/7.m4s")
    first, second = cdn.get(url), cdn.get(url)
    assert [each.headers["x-cache"] for each in (first, second)] == ["MISS", "HIT"]
    assert (second.status_code, second.headers["location"]) == (302, first.headers["location"])
    assert httpx2.get(second.headers["location"]).content == segment_bytes("360p", 7)
    for _ in range(2):
        missing = cdn.get(urljoin(url, "999.m4s"))
        assert (missing.status_code, missing.headers["x-cache"]) == (404, "MISS")
    assert api.post(f"/api/v1/videos/{played.video.id}/revoke-playback").status_code == 200
    assert cdn.get(urljoin(url, "6.m4s")).status_code == 404
    assert cdn.get(url).status_code == 302, "until the cache is purged"


def test_a_playlist_that_grows_is_fresh_after_a_second(
    api: httpx2.Client, cdn: httpx2.Client, deliveries: Deliveries
) -> None:
    generation = a_job(a_video()).generation
    assert generation is not None
    publish(deliveries.local, generation, segments=3)
    generation_mark_playable(generation=generation)
    played = Played(generation.video, generation)
    playlist = urljoin(path_of(api, played), "360p/index.m3u8")
    assert cdn.get(playlist).text.count(".m4s") == 3
    played.complete()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while "EXT-X-ENDLIST" not in cdn.get(playlist).text:
        assert time.monotonic() < deadline, "it stays as it was"
        time.sleep(0.1)


def test_outputs_and_nothing_else_are_below_the_public_base(
    api: httpx2.Client, cdn: httpx2.Client, nginx: CachingNginx, deliveries: Deliveries
) -> None:
    base = f"http://127.0.0.1:{nginx.base_port}"
    delivery = Delivery(store=deliveries.local, redirects=True, presign_seconds=60)
    deliveries.change(replace(delivery, public_base=base))
    played = a_complete_video(deliveries.local)
    deliveries.local.put(played.video.source_key, b"private", "video/mp4")
    redirect = cdn.get(urljoin(path_of(api, played), "360p/7.m4s"))
    assert redirect.status_code == 302
    assert redirect.headers["location"].startswith(f"{base}/videos/{played.video.id}/g1/360p/")
    found = httpx2.get(redirect.headers["location"], headers={"Origin": "null", "Range": "bytes=5-11"})
    assert (found.status_code, found.content) == (206, segment_bytes("360p", 7)[5:12])
    assert found.headers["access-control-allow-origin"] == "*"
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert found.headers["content-type"] == "video/mp4"
    for private in (played.video.source_key, f"videos/{played.video.id}/g1/../source", "videos/large.mp4"):
        assert httpx2.get(f"{base}/{private}").status_code == 404, private
    original = api.get(f"/api/v1/videos/{played.video.id}/original")
    assert (original.status_code, original.content) == (200, b"private")
