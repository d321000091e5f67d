"""Playback: playlists from rows, and segments from a private store, for pages of any origin."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import httpx2
import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from coordination.cache import ResponseCache
from embedded.servers import Redis
from storage.keys import init_key, run_prefix, segment_key
from storage.local import LocalStore
from storage.protocol import ObjectStore
from tests.integration.coordination.conftest import caching
from tests.integration.videos.test_upload import wait_for
from tests.rows import a_job, a_video, an_mp4
from transcoding.containers.segments import Keyframe
from videos.assets.services import assets_publish
from videos.models import Generation, Rendition, Video
from videos.playback import wiring
from videos.playback.delivery import Delivery
from videos.playback.tokens import token_make
from videos.runs import RunFacts, run_publish
from videos.services import VerifiedRendition, generation_complete, generation_mark_playable, video_mark_deleting
from videos.states import RenditionKind

__all__ = ["caching"]

SEGMENTS = 10
"""A video of 40 s in segments of 4 s."""


def segment_bytes(rendition: str, number: int) -> bytes:
    return f"{rendition} segment {number}".encode()


@dataclass(frozen=True)
class Played:
    """A video whose generation has all of its segments in a store."""

    video: Video
    generation: Generation

    def url(self, rest: str, *, expires_in: float = 3600) -> str:
        token = token_make(self.video.id, expires_at=int(time.time() + expires_in))
        return f"/play/{token}/{self.generation.number}/{rest}"

    def complete(self, *, keyframe_rates: tuple[int | None, int | None] = (None, None)) -> None:
        verified = [
            VerifiedRendition(
                rendition_id=row.id,
                peak_bitrate=900_000,
                avg_bitrate=700_000,
                size_bytes=9,
                sha256="c",
                keyframe_peak_bitrate=keyframe_rates[0] if row.name == "360p" else None,
                keyframe_avg_bitrate=keyframe_rates[1] if row.name == "360p" else None,
            )
            for row in self.renditions
        ]
        generation_complete(generation=self.generation, verified=verified)

    @property
    def renditions(self) -> list[Rendition]:
        return list(self.generation.renditions.order_by("position"))


def publish(
    store: ObjectStore,
    generation: Generation,
    *,
    segments: int = SEGMENTS,
    renditions: Iterable[Rendition] | None = None,
    keyframes: bool = False,
) -> None:
    """Publish the first segments of all renditions, or of these; with two key frames in each segment of video."""
    step_id = uuid4()
    for rendition in renditions or generation.renditions.all():
        second = Keyframe(offset=5, size=7, ticks=2 * rendition.timescale)
        stored = keyframes and rendition.kind == RenditionKind.VIDEO
        prefix = run_prefix(generation.video_id, generation.number, rendition.name, step_id, 1)
        store.put(init_key(prefix), f"{rendition.name} init".encode(), "video/mp4")
        for number in range(segments):
            store.put(segment_key(prefix, number), segment_bytes(rendition.name, number), "video/mp4")
        run = RunFacts(
            rendition_id=rendition.id,
            key_prefix=prefix,
            first_segment=0,
            durations=(4 * rendition.timescale,) * segments,
            sizes=(20,) * segments,
            digests=("d" * 64,) * segments,
            frames=(100,) * segments,
            init_key=init_key(prefix),
            init_sha256="i",
            keyframes=((Keyframe(offset=0, size=4, ticks=0), second),) * segments if stored else (),
        )
        run_publish(step_id=step_id, attempt=1, runs=[run])


@pytest.fixture
def building(store: ObjectStore, transactional_db: None) -> Played:
    """A video of which the first three segments are published."""
    video = a_video()
    generation = a_job(video).generation
    assert generation is not None
    publish(store, generation, segments=3)
    return Played(video, generation)


@pytest.fixture
def played(store: ObjectStore, transactional_db: None) -> Played:
    """A video that can be played from beginning to end."""
    video = a_video()
    generation = a_job(video).generation
    assert generation is not None
    publish(store, generation)
    played = Played(video, generation)
    played.complete()
    return played


def test_a_player_finds_everything_from_the_playback_url(api: httpx2.Client, played: Played) -> None:
    """Follow relative URLs only, without credentials, as a player does."""
    shown = api.get(f"/api/v1/videos/{played.video.id}/playback").json()
    assert shown["state"] == "complete"
    assert [rendition["name"] for rendition in shown["renditions"]] == ["360p", "audio"]
    assert shown["hls_url"].startswith(str(api.base_url))
    for playlist_url in uris(api.get(shown["hls_url"]).text, shown["hls_url"]):
        name = urlsplit(playlist_url).path.split("/")[-2]
        init, *segments = uris(api.get(playlist_url).text, playlist_url)
        assert httpx2.get(init, follow_redirects=True).content == f"{name} init".encode()
        got = [httpx2.get(segment, follow_redirects=True).content for segment in segments]
        assert got == [segment_bytes(name, number) for number in range(SEGMENTS)]


def uris(playlist: str, base: str) -> list[str]:
    """List every URL in a playlist, those of EXT-X-MEDIA and EXT-X-MAP included."""
    tagged = [line.split('URI="')[1].split('"')[0] for line in playlist.splitlines() if 'URI="' in line]
    return [
        urljoin(base, uri) for uri in tagged + [line for line in playlist.splitlines() if line[:1] not in ("#", "")]
    ]


def test_playlists_say_what_they_are(api: httpx2.Client, played: Played) -> None:
    for name, seconds in (("master.m3u8", 60), ("360p/index.m3u8", 3600)):
        answer = api.get(played.url(name))
        assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
        assert answer.headers["cache-control"] == f"public, max-age={seconds}"
        assert answer.text.startswith("#EXTM3U\n")
    assert "EXT-X-ENDLIST" in answer.text


def test_dash_lists_the_segments_that_hls_lists(api: httpx2.Client, played: Played) -> None:
    shown = api.get(f"/api/v1/videos/{played.video.id}/playback").json()
    assert shown["dash_url"] == shown["hls_url"].replace("master.m3u8", "manifest.mpd")
    answer = api.get(shown["dash_url"])
    assert answer.headers["content-type"] == "application/dash+xml"
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert 'mediaPresentationDuration="PT40S"' in answer.text
    assert '<S t="0" d="100000" r="9" />' in answer.text
    assert '<S t="0" d="190976" />' in answer.text, "the audio without the encoder's priming"
    assert '<S d="192000" r="8" />' in answer.text


def test_a_segment_is_in_the_store(api: httpx2.Client, played: Played) -> None:
    answer = api.get(played.url("360p/7.m4s"))
    assert answer.status_code == 302
    assert answer.headers["cache-control"] == "public, max-age=600"
    answer = httpx2.get(answer.headers["location"], headers={"Origin": "null"})
    assert answer.content == segment_bytes("360p", 7)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["access-control-allow-origin"] in ("*", "null")


def test_audio_has_the_media_type_of_audio(api: httpx2.Client, played: Played) -> None:
    answer = httpx2.get(str(api.base_url) + played.url("audio/init.mp4"), follow_redirects=True)
    assert answer.headers["content-type"] == "audio/mp4"


def test_an_mp4_is_in_the_store(api: httpx2.Client, played: Played, store: ObjectStore) -> None:
    put_mp4(store, played)
    answer = api.get(played.url("360p.mp4"))
    assert answer.status_code == 302
    stored = httpx2.get(answer.headers["location"], headers={"Range": "bytes=3-4"})
    assert (stored.status_code, stored.content) == (206, b"MP")
    assert stored.headers["content-type"] == "video/mp4"
    assert_not_found(api.get(played.url("audio.mp4")))


def put_mp4(store: ObjectStore, played: Played) -> None:
    store.put("videos/360p.mp4", b"an MP4!", "video/mp4")
    mp4 = an_mp4(played.renditions[0], key="videos/360p.mp4", size_bytes=7)
    assets_publish(generation_id=played.generation.id, assets=[mp4])


def test_an_mp4_comes_with_the_complete_generation(api: httpx2.Client, building: Played, store: ObjectStore) -> None:
    put_mp4(store, building)
    assert_not_found(api.get(building.url("360p.mp4")))
    building.complete()
    assert api.get(building.url("360p.mp4")).status_code == 302


def test_head_is_answered_here_because_a_signature_is_for_one_method(api: httpx2.Client, played: Played) -> None:
    answer = api.head(played.url("360p/7.m4s"))
    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(len(segment_bytes("360p", 7)))
    assert api.head(played.url("master.m3u8")).status_code == 200


# --- key frames -------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_keyframes(store: ObjectStore, transactional_db: None) -> Played:
    """A playable video of which the first three segments are published, with their key frames."""
    video = a_video()
    generation = a_job(video).generation
    assert generation is not None
    publish(store, generation, segments=3, keyframes=True)
    generation_mark_playable(generation=generation)
    return Played(video, generation)


def iframe_variants(master: str) -> list[str]:
    return [line for line in master.splitlines() if line.startswith("#EXT-X-I-FRAME-STREAM-INF")]


def test_key_frames_can_be_played_as_they_appear(api: httpx2.Client, with_keyframes: Played) -> None:
    """The store gets the range that the player requested: browsers keep it when they follow a redirect."""
    (variant,) = iframe_variants(api.get(with_keyframes.url("master.m3u8")).text)
    assert 'URI="360p/iframes.m3u8"' in variant
    assert "AVERAGE-BANDWIDTH" not in variant
    answer = api.get(with_keyframes.url("360p/iframes.m3u8"))
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert answer.headers["cache-control"] == "public, max-age=1"
    lines = answer.text.splitlines()
    assert {"#EXT-X-PLAYLIST-TYPE:EVENT", "#EXT-X-I-FRAMES-ONLY", '#EXT-X-MAP:URI="init.mp4"'} <= set(lines)
    assert lines[-3:] == ["#EXTINF:2.000000,", "#EXT-X-BYTERANGE:7@5", "2.m4s"]
    assert sum(float(line[8:-1]) for line in lines if line.startswith("#EXTINF:")) == 12
    url = str(api.base_url) + with_keyframes.url("360p/2.m4s")
    frame = httpx2.get(url, headers={"Range": "bytes=5-11"}, follow_redirects=True)
    assert (frame.status_code, frame.content) == (206, segment_bytes("360p", 2)[5:12])


def test_a_complete_video_states_the_measured_rates_of_its_key_frames(
    api: httpx2.Client, with_keyframes: Played
) -> None:
    with_keyframes.complete(keyframe_rates=(400_000, 150_000))
    (variant,) = iframe_variants(api.get(with_keyframes.url("master.m3u8")).text)
    assert variant.startswith("#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=400000,AVERAGE-BANDWIDTH=150000,CODECS=")
    playlist = api.get(with_keyframes.url("360p/iframes.m3u8")).text
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in playlist
    assert playlist.endswith("#EXT-X-ENDLIST\n")


def test_without_stored_key_frames_there_is_no_list_of_them(
    api: httpx2.Client, played: Played, building: Played, store: ObjectStore
) -> None:
    """Runs from before a version that stores them have none, and then the whole generation has no list."""
    generation_mark_playable(generation=building.generation)
    for without in (played, building):
        assert not iframe_variants(api.get(without.url("master.m3u8")).text)
        assert_not_found(api.get(without.url("360p/iframes.m3u8")))


def test_audio_has_no_key_frames(api: httpx2.Client, with_keyframes: Played) -> None:
    assert_not_found(api.get(with_keyframes.url("audio/iframes.m3u8")))


# --- compression ------------------------------------------------------------------------------------------------------


def test_manifests_are_compressed_for_players_that_accept_it(api: httpx2.Client, with_keyframes: Played) -> None:
    for rest in ("master.m3u8", "manifest.mpd", "360p/index.m3u8", "360p/iframes.m3u8"):
        url = with_keyframes.url(rest)
        plain = api.get(url, headers={"Accept-Encoding": "identity"})
        # Django adds up to 100 random bytes, and sends a short list as it is when that makes it longer.
        answers = (api.get(url, headers={"Accept-Encoding": "gzip, deflate, br"}) for _ in range(40))
        compressed = next(answer for answer in answers if answer.headers.get("content-encoding") == "gzip")
        assert "content-encoding" not in plain.headers
        for answer in (plain, compressed):
            assert answer.headers["vary"] == "Accept-Encoding"
            assert answer.headers["access-control-allow-origin"] == "*"
        if rest != "manifest.mpd":  # it says at what time it was rendered
            assert compressed.text == plain.text


# --- access -----------------------------------------------------------------------------------------------------------

NOT_THERE = [
    "master.m3u8x",
    "1080p/index.m3u8",
    "360p/10.m4s",
    "360p/999999999999999999999.m4s",
    "360p/x.m4s",
    "360p/-1.m4s",
    "audio/%2E%2E/360p/init.mp4",
    "360p%00/init.mp4",
    "",
]


def test_what_is_not_there_is_a_problem_that_pages_can_read(api: httpx2.Client, played: Played) -> None:
    for rest in NOT_THERE:
        assert_not_found(api.get(played.url(rest)))


EVERYTHING = ["master.m3u8", "manifest.mpd", "360p/index.m3u8", "360p/init.mp4", "360p/0.m4s"]


def test_an_expired_token_is_no_token(api: httpx2.Client, played: Played) -> None:
    for rest in EVERYTHING:
        assert api.get(played.url(rest)).status_code in (200, 302)
        assert_not_found(api.get(played.url(rest, expires_in=-1)))


def test_a_token_is_for_one_video(api: httpx2.Client, played: Played) -> None:
    other = token_make(uuid4(), expires_at=int(time.time()) + 60)
    for rest in EVERYTHING:
        assert_not_found(api.get(f"/play/{other}/{played.generation.number}/{rest}"))
        assert_not_found(api.get(f"/play/forged/{played.generation.number}/{rest}"))


def test_another_generation_is_not_there(api: httpx2.Client, played: Played) -> None:
    token = token_make(played.video.id, expires_at=int(time.time()) + 60)
    for number in (0, 2, 2**31, 2**70):
        for rest in EVERYTHING:
            assert_not_found(api.get(f"/play/{token}/{number}/{rest}"))


def test_a_video_on_its_way_out_is_not_there(api: httpx2.Client, played: Played) -> None:
    video_mark_deleting(video=played.video)
    for rest in EVERYTHING:
        assert_not_found(api.get(played.url(rest)))


def assert_not_found(answer: httpx2.Response) -> None:
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["status"] == 404


# --- before it is complete --------------------------------------------------------------------------------------------


MANIFESTS = ("manifest.mpd", "master.m3u8", "360p/index.m3u8")


def test_what_is_not_playable_has_no_manifest(api: httpx2.Client, building: Played) -> None:
    for rest in MANIFESTS:
        assert_not_found(api.get(building.url(rest)))


def test_what_is_playable_has_manifests_that_grow(api: httpx2.Client, building: Played) -> None:
    generation_mark_playable(generation=building.generation)
    shown = api.get(f"/api/v1/videos/{building.video.id}/playback").json()
    assert shown["state"] == "building"
    for rest in MANIFESTS:
        answer = api.get(building.url(rest))
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=1")
    hls, dash = api.get(building.url("360p/index.m3u8")).text, api.get(shown["dash_url"]).text
    assert hls.count(".m4s") == 3
    assert 'type="dynamic"' in dash
    assert 'mediaPresentationDuration="PT40S"' in dash
    assert '<S t="0" d="100000" r="2" />' in dash


def test_dash_lists_what_all_rungs_have(api: httpx2.Client, store: ObjectStore, transactional_db: None) -> None:
    """Groups of rungs are encoded by steps of their own on GPUs."""
    video = a_video(width=1280, height=720)
    generation = a_job(video).generation
    assert generation is not None
    first, *others = generation.renditions.order_by("position")
    publish(store, generation, segments=5, renditions=[first])
    publish(store, generation, segments=2, renditions=others)
    generation_mark_playable(generation=generation)
    assert '<S t="0" d="100000" r="1" />' in api.get(Played(video, generation).url("manifest.mpd")).text


def test_what_is_published_counts(api: httpx2.Client, building: Played) -> None:
    assert api.get(building.url("360p/2.m4s")).status_code == 302
    assert_not_found(api.get(building.url("360p/3.m4s")))


def test_a_video_without_a_generation_says_so(api: httpx2.Client, building: Played) -> None:
    shown = api.get(f"/api/v1/videos/{building.video.id}/playback").json()
    assert (shown["state"], shown["hls_url"], shown["renditions"]) == ("unavailable", None, [])
    assert shown["dash_url"] is None


# --- pages of other origins -------------------------------------------------------------------------------------------


def test_a_preflight_request_is_answered(api: httpx2.Client, played: Played) -> None:
    preflight = {"Origin": "https://player.example", "Access-Control-Request-Method": "GET"}
    for rest in [*EVERYTHING, "nothing/at/all"]:
        answer = api.options(played.url(rest), headers=preflight)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "GET" in answer.headers["access-control-allow-methods"]


def test_every_answer_may_be_read_by_any_page(api: httpx2.Client, played: Played) -> None:
    for rest in EVERYTHING:
        answer = api.get(played.url(rest), headers={"Origin": "https://player.example"})
        assert answer.headers["access-control-allow-origin"] == "*"


def test_nothing_can_be_written_here(api: httpx2.Client, played: Played) -> None:
    answer = api.put(played.url("master.m3u8"))
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


# --- where players cannot reach the store -----------------------------------------------------------------------------


@pytest.fixture(params=["local store", "s3 store, proxied"])
def proxied(
    request: pytest.FixtureRequest,
    store: ObjectStore,
    played: Played,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Played:
    """The same video where the bytes have to come through the API."""
    delivery = Delivery(store=store, redirects=False, presign_seconds=60)
    if request.param == "local store":
        local = LocalStore(tmp_path, part_bytes=store.part_bytes)
        for stored in list(store.list("videos/")):
            local.put(stored.key, store.get(stored.key), "")
        delivery = Delivery(store=local, redirects=True, presign_seconds=60)
    monkeypatch.setattr("videos.playback.wiring.delivery", lambda: delivery)
    return played


def test_bytes_are_served_where_there_is_no_address(api: httpx2.Client, proxied: Played) -> None:
    answer = api.get(proxied.url("360p/7.m4s"))
    assert (answer.status_code, answer.content) == (200, segment_bytes("360p", 7))
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["access-control-allow-origin"] == "*"


RANGES = [
    ("bytes=0-3", 206, b"360p"),
    ("bytes=5-", 206, b"segment 7"),
    ("bytes=-1", 206, b"7"),
    ("bytes=13-99", 206, b"7"),
    ("bytes=0-", 206, b"360p segment 7"),
    ("bytes=0-999", 206, b"360p segment 7"),
    ("bytes=-999", 206, b"360p segment 7"),
    ("bytes=-", 200, b"360p segment 7"),
    ("bytes=0-1,3-4", 200, b"360p segment 7"),
    ("lines=0-1", 200, b"360p segment 7"),
]


def test_ranges_are_served(api: httpx2.Client, proxied: Played) -> None:
    for requested, status, expected in RANGES:
        answer = api.get(proxied.url("360p/7.m4s"), headers={"Range": requested})
        assert (answer.status_code, answer.content) == (status, expected)
        assert answer.headers["content-length"] == str(len(expected))
        assert ("content-range" in answer.headers) == (status == 206)


def test_a_part_of_an_mp4_is_served(api: httpx2.Client, proxied: Played) -> None:
    store = wiring.delivery().store
    put_mp4(store, proxied)
    answer = api.get(proxied.url("360p.mp4"), headers={"Range": "bytes=3-"})
    assert (answer.status_code, answer.content) == (206, b"MP4!")
    assert answer.headers["content-range"] == "bytes 3-6/7"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["access-control-allow-origin"] == "*"


class HeldUp:
    """A store that has sent every byte of an object and does not end the stream."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.resumed = threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def open(self, key: str, start: int, end: int, *, etag: str) -> Iterator[bytes]:
        yield from self._store.open(key, start, end, etag=etag)
        assert self.resumed.wait(120)


def _body(player: socket.socket, buffer: bytes) -> tuple[bytes, bytes]:
    """Read the body of the next response. Returns it, and the bytes that came after it."""
    while b"\r\n\r\n" not in buffer:
        buffer += player.recv(65536)
    head, _, rest = buffer.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(rest) < size:
        rest += player.recv(65536)
    return rest[:size], rest[size:]


def test_a_stream_holds_no_database_connection_and_the_next_request_has_a_thread_of_its_own(
    api: httpx2.Client, played: Played, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_up = HeldUp(store)
    delivery = Delivery(store=held_up, redirects=False, presign_seconds=60)  # type: ignore[arg-type]
    monkeypatch.setattr("videos.playback.wiring.delivery", lambda: delivery)
    request = f"GET {played.url('360p/7.m4s')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", api.base_url.port or 0), timeout=120) as player:
        player.sendall(request)
        first, rest = _body(player, b"")
        wait_for(lambda: not _other_sessions())
        player.sendall(request)  # before the first is over: that is when asyncio mixes contexts up
        held_up.resumed.set()
        second, _ = _body(player, rest)
        wait_for(lambda: not _other_sessions())
    assert first == second == segment_bytes("360p", 7)


def _other_sessions() -> int:
    """Count the connections to the database other than this thread's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def test_a_range_that_is_not_there_is_refused(api: httpx2.Client, proxied: Played) -> None:
    for requested in ("bytes=14-", "bytes=99-100", "bytes=5-4", "bytes=-0"):
        answer = api.get(proxied.url("360p/7.m4s"), headers={"Range": requested})
        assert (answer.status_code, answer.json()["code"]) == (416, "range_not_available")
        assert answer.headers["content-range"] == "bytes */14"
        assert answer.headers["access-control-allow-origin"] == "*"


def test_players_have_a_rate_by_address(
    api: httpx2.Client, played: Played, settings: Settings, redis: Redis, caching: ResponseCache
) -> None:
    """Wrong tokens count, too, so that guessing them is limited; preflight requests do not."""
    rate = replace(settings.TRANSCODER.rate, rate_play_per_minute=5)
    settings.TRANSCODER = replace(settings.TRANSCODER, rate=rate)
    for number in range(5):
        status = api.get(played.url("master.m3u8") if number % 2 else f"/play/guess-{number}/1/master.m3u8").status_code
        assert status == (200 if number % 2 else 404)
        assert api.options(played.url("master.m3u8")).status_code == 204
    refused = api.get(played.url("master.m3u8"))
    assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
    assert refused.headers["access-control-allow-origin"] == "*"
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["cache-control"] == "no-store"
    assert api.get("/api/v1/videos").status_code == 200
