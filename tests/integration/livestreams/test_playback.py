"""Playback of live streams: what players get while a broadcast is published, and after it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import m3u8
import pytest
from django.db import OperationalError

from api.problems import throttled
from coordination.live_parts import LiveParts
from coordination.server import Server
from embedded.servers import Redis
from livestreams.models import Broadcast, Livestream
from livestreams.playback.reading import broadcast_read
from livestreams.playback.tokens import playback_token_make
from livestreams.playback.urls import stream_urls
from storage.local import LocalStore
from tests.integration.livestreams.playing import SECONDS, Got, Player, a_player, in_thread
from tests.live_publishing import LivePublisher, a_live_plan, a_livestream
from transcoding.planning.latency import Latency

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
NAME = "{urn:mpeg:dash:schema:mpd:2011}"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, part_bytes=1 << 20)


@pytest.fixture
def publisher(store: LocalStore) -> LivePublisher:
    """A broadcast of two rungs, of which ten segments are published."""
    found = LivePublisher(a_live_plan(rungs=("360p", "240p")), a_livestream(dvr_seconds=0), store=store)
    found.begin(0, NOON)
    found.segments(0, 10)
    return found


@pytest.fixture
def server(redis: Redis) -> Server:
    return Server(redis.cache_url, timeout_seconds=SECONDS)


def low_latency(redis: Redis, store: LocalStore) -> LivePublisher:
    parts = LiveParts(Server(redis.cache_url, timeout_seconds=SECONDS))
    found = LivePublisher(a_live_plan(latency=Latency.LOW), a_livestream(), store=store, parts=parts)
    found.begin(0, NOON)
    found.segments(0, 3, parts=True)
    return found


def base(livestream: Livestream) -> str:
    return f"/streams/{livestream.playback_id}"


def media(publisher: LivePublisher, file: str, *, name: str = "360p") -> str:
    return f"{base(publisher.livestream)}/{publisher.generation.id}/{name}/{file}"


def segments(got: Got) -> list[str]:
    assert got.status == 200, got.text
    return [segment.uri for segment in m3u8.loads(got.text).segments if segment.uri]


def test_players_find_a_broadcast_from_the_master_to_its_segments(publisher: LivePublisher, store: LocalStore) -> None:
    async def test() -> None:
        async with a_player(store) as player:
            master = await player.get(f"{base(publisher.livestream)}/master.m3u8")
            assert (master.status, master.headers["cache-control"]) == (200, "public, max-age=1")
            assert master.headers["access-control-allow-origin"] == "*"
            read = m3u8.loads(master.text)
            folder = f"{publisher.generation.id}/"
            assert [each.uri for each in read.playlists] == [f"{folder}{name}/index.m3u8" for name in ("360p", "240p")]
            assert [each.uri for each in read.media] == [f"{folder}audio/index.m3u8"]
            for name in ("360p", "240p", "audio"):
                got = await player.get(media(publisher, "index.m3u8", name=name))
                assert segments(got) == [f"{number}.m4s" for number in range(4, 10)]
                assert got.headers["content-type"] == "application/vnd.apple.mpegurl"
            listed = m3u8.loads((await player.get(media(publisher, "index.m3u8"))).text)
            assert listed.segments[0].program_date_time == NOON + timedelta(seconds=8)
            segment = await player.get(media(publisher, "7.m4s"))
            assert (segment.status, segment.body) == (200, b"360p 7")
            assert segment.headers["cache-control"].endswith("immutable")
            assert segment.headers["content-type"] == "video/mp4"
            head = await player.get(media(publisher, "7.m4s"), method="HEAD")
            assert (head.status, head.headers["content-length"], head.body) == (200, "6", b"")
            assert (await player.get(media(publisher, "3.m4s"))).body == b"360p 3", "it has left the window just now"
            for path in ("10.m4s", "nothing.m4s", "1.0.1.m4s", "iframes.m3u8"):
                assert (await player.get(media(publisher, path))).status == 404
            assert (await player.get(media(publisher, "index.m3u8", name="720p"))).status == 404
            clock = await player.get(f"{base(publisher.livestream)}/time")
            assert abs(datetime.fromisoformat(clock.text) - datetime.now(UTC)) < timedelta(minutes=1)
            assert (await player.get("/streams/unknown/master.m3u8")).status == 404
            assert (await player.get("/api/v1/videos")).status == 418, "other URLs are left to others"
            options = await player.get(media(publisher, "index.m3u8"), method="OPTIONS")
            assert (options.status, options.headers["access-control-allow-methods"]) == (204, "GET, HEAD, OPTIONS")
            assert (await player.get(media(publisher, "index.m3u8"), method="POST")).status == 405

    asyncio.run(test())


def test_the_manifest_of_dash_has_a_period_for_each_worker(publisher: LivePublisher, store: LocalStore) -> None:
    async def test() -> None:
        async with a_player(store) as player:
            publisher.attempt = 2
            await in_thread(lambda: publisher.begin(10, NOON + timedelta(seconds=29)))
            await in_thread(lambda: publisher.segments(10, 12))
            got = await player.get(f"{base(publisher.livestream)}/dash/manifest.mpd")
            assert got.headers["content-type"] == "application/dash+xml"
            root = ET.fromstring(got.text.partition("\n")[2])  # noqa: S314
            assert root.get("type") == "dynamic"
            first, second = root.findall(f"{NAME}Period")
            assert [(each.get("start"), each.get("duration")) for each in (first, second)] == [
                ("PT0S", "PT20S"),
                ("PT29S", None),
            ]
            assert first.findtext(f"{NAME}BaseURL") == f"../{publisher.generation.id}/"
            rows = [(row.get("t"), row.get("d"), row.get("r")) for row in second.iter(f"{NAME}S")]
            video, audio = ("500000", "50000", "1"), ("959488", "96256", None)
            assert rows[0] == video
            assert rows[1][:2] == audio[:2]
            assert [each.get("presentationTimeOffset") for each in second.iter(f"{NAME}SegmentTemplate")] == [
                "500000",
                "960000",
            ]
            await in_thread(publisher.end)
            ended = await until(
                player, f"{base(publisher.livestream)}/dash/manifest.mpd", lambda got: "static" in got.text
            )
            assert 'mediaPresentationDuration="PT33' in ended.text

    asyncio.run(test())


async def until(player: Player, path: str, true: Callable[[Got], bool]) -> Got:
    """Request something again and again until something is true of it."""
    deadline = time.monotonic() + SECONDS
    while not true(got := await player.get(path)):
        assert time.monotonic() < deadline, got.text
        await asyncio.sleep(0.05)
    return got


def test_a_request_waits_for_the_segment_that_it_names(
    redis: Redis, publisher: LivePublisher, store: LocalStore
) -> None:
    """Two hundred of them read the rows a few times, and get the same bytes."""
    reads = []

    def counted(generation_id: object) -> object:
        reads.append(generation_id)
        return broadcast_read(publisher.generation.id)

    async def test() -> None:
        async with a_player(store, redis_url=redis.cache_url, sources={"rows": counted}) as player:
            await player.get(media(publisher, "index.m3u8"))
            waiting = [player.begin(media(publisher, "index.m3u8?_HLS_msn=10")) for _ in range(200)]
            await asyncio.sleep(0)
            before = len(reads)
            assert not any(each.done() for each in waiting)
            await in_thread(lambda: publisher.segments(10, 11))
            got = await asyncio.gather(*waiting)
            assert {segments(each)[-1] for each in got[:3]} == {"10.m4s"}
            assert len({each.body for each in got}) == 1
            assert got[0].headers["cache-control"] == "public, max-age=6"
            assert len(reads) - before < 20
            known = await player.get(media(publisher, "index.m3u8?_HLS_msn=9"))
            assert segments(known)[-1] == "10.m4s"
            for query in ("_HLS_msn=13", "_HLS_part=1", "_HLS_msn=x", "_HLS_msn=-1"):
                refused = await player.get(media(publisher, f"index.m3u8?{query}"))
                assert (refused.status, '"invalid_directive"' in refused.text) == (400, True)
            waiting = [player.begin(media(publisher, "index.m3u8?_HLS_msn=11"))]
            await in_thread(publisher.end)
            (ended,) = await asyncio.gather(*waiting)
            assert ended.text.endswith("#EXT-X-ENDLIST\n")

    asyncio.run(test())


def test_parts_are_listed_and_served_as_soon_as_they_are_there(redis: Redis, store: LocalStore) -> None:
    publisher = low_latency(redis, store)

    async def test() -> None:
        async with a_player(store, redis_url=redis.cache_url) as player:
            whole = m3u8.loads((await player.get(media(publisher, "index.m3u8"))).text)
            assert [len(segment.parts) for segment in whole.segments if segment.uri] == [4, 4, 4]
            assert whole.preload_hint.uri == "3.0.1.m4s"
            assert whole.part_inf.part_target == pytest.approx(13 / 25 + 1024 / 48000)
            durations = [part.duration for segment in whole.segments for part in segment.parts]
            assert max(durations) <= whole.part_inf.part_target
            hinted = player.begin(media(publisher, "3.0.1.m4s"))
            waiting = [
                player.begin(media(publisher, f"index.m3u8?_HLS_msn=3&_HLS_part={part}", name=name))
                for name, part in (("360p", 0), ("360p", 1), ("audio", 0))
            ]
            await in_thread(lambda: publisher.part("360p", 3, 0))
            assert (await hinted).body == b"360p 3.0"
            first = m3u8.loads((await waiting[0]).text)
            assert [part.uri for part in first.segments[-1].parts] == ["3.0.1.m4s"]
            assert [(each.uri, each.last_msn, each.last_part) for each in first.rendition_reports] == [
                ("../audio/index.m3u8", 2, 3)
            ]
            assert not waiting[1].done()
            await in_thread(lambda: publisher.part("audio", 3, 0))
            await in_thread(lambda: publisher.part("360p", 3, 1))
            assert (await waiting[1]).text.count('URI="3.1.1.m4s"') == 1
            assert (await waiting[2]).status == 200
            assert (await player.get(media(publisher, "3.1.1.m4s"))).headers["cache-control"] == "public, max-age=60"
            for index in (2, 3):
                await in_thread(partial(publisher.part, "360p", 3, index))
            done = await until(player, media(publisher, "index.m3u8"), lambda got: '"4.0.1.m4s"' in got.text)
            assert m3u8.loads(done.text).preload_hint.uri == "4.0.1.m4s", "the segment is whole, though not published"
            skipped = await player.get(media(publisher, "index.m3u8?_HLS_skip=YES"))
            assert "SKIP" not in skipped.text.replace("CAN-SKIP-UNTIL", ""), "nothing is old enough"

    asyncio.run(test())


def test_a_worker_that_takes_over_makes_its_own_parts(redis: Redis, store: LocalStore) -> None:
    publisher = low_latency(redis, store)
    publisher.part("360p", 3, 0)
    publisher.part("360p", 3, 1)

    async def test() -> None:
        async with a_player(store, redis_url=redis.cache_url) as player:
            assert '"3.1.1.m4s"' in (await player.get(media(publisher, "index.m3u8"))).text
            publisher.attempt = 2
            await in_thread(lambda: publisher.part("360p", 3, 0, data=b"other bytes"))
            got = await until(player, media(publisher, "index.m3u8"), lambda got: '"3.0.2.m4s"' in got.text)
            assert '"3.1.1.m4s"' not in got.text
            assert (await player.get(media(publisher, "3.0.2.m4s"))).body == b"other bytes"
            await in_thread(lambda: publisher.segments(3, 4, parts=True))
            whole = await until(player, media(publisher, "index.m3u8"), lambda got: "\n3.m4s" in got.text)
            assert whole.text.count('URI="3.') == 4

    asyncio.run(test())


def test_without_redis_segments_are_found_all_the_same(redis: Redis, store: LocalStore) -> None:
    publisher = low_latency(redis, store)

    async def test() -> None:
        async with a_player(store) as player:
            got = await player.get(media(publisher, "index.m3u8"))
            assert "PART" not in got.text
            waiting = player.begin(media(publisher, "index.m3u8?_HLS_msn=3"))
            await in_thread(lambda: publisher.segments(3, 4))
            assert segments(await waiting)[-1] == "3.m4s"

    asyncio.run(test())


def test_a_stream_goes_on_as_its_recording_until_the_next_broadcast(
    publisher: LivePublisher, store: LocalStore
) -> None:
    async def test() -> None:
        async with a_player(store) as player:
            await player.get(media(publisher, "index.m3u8"))
            await in_thread(lambda: publisher.end(complete=True))
            path = f"{base(publisher.livestream)}/master.m3u8"
            moved = await until(player, path, lambda got: got.status == 302)
            assert moved.headers["location"].startswith("/play/")
            assert moved.headers["location"].endswith(f"/{publisher.generation.number}/master.m3u8")
            assert moved.headers["cache-control"] == "no-store"
            below = await player.get(path, root_path="/video")
            assert below.headers["location"].startswith("/video/play/")
            old = await until(player, media(publisher, "index.m3u8"), lambda got: "#EXT-X-ENDLIST" in got.text)
            assert segments(old)[0] == "4.m4s", "whoever watched it live keeps the window"
            dash = await player.get(f"{base(publisher.livestream)}/dash/manifest.mpd")
            assert 'type="static"' in dash.text, "so does whoever played it by DASH"
            again = await in_thread(lambda: LivePublisher(publisher.plan, publisher.livestream, store=store))
            assert (await player.get(path)).status == 302, "it has nothing to play yet"
            await in_thread(lambda: again.segments(0, 1))
            await until(player, path, lambda got: str(again.generation.id) in got.text)
        async with a_player(store) as player:
            await in_thread(lambda: Broadcast.objects.filter(id=again.broadcast.id).delete())
            late = await player.get(f"{base(publisher.livestream)}/dash/manifest.mpd")
            assert late.headers["location"].endswith("/manifest.mpd")

    asyncio.run(test())


def test_a_private_stream_needs_its_token(store: LocalStore) -> None:
    stream, other = a_livestream(private=True), a_livestream(private=True)
    publisher = LivePublisher(a_live_plan(), stream, store=store)
    publisher.segments(0, 3)
    urls = stream_urls(None, stream)
    assert urls.expires_at
    soon = int(time.time()) + 60

    async def test() -> None:
        async with a_player(store) as player:
            tokens = {
                "": 404,
                "~": 404,
                "~nonsense": 404,
                f"~{playback_token_make(stream.playback_id, expires_at=soon - 120)}": 404,
                f"~{playback_token_make(other.playback_id, expires_at=soon)}": 404,
                f"~{playback_token_make(stream.playback_id, expires_at=soon)}": 200,
            }
            for token, status in tokens.items():
                for file in (
                    "master.m3u8",
                    f"{publisher.generation.id}/360p/index.m3u8",
                    f"{publisher.generation.id}/360p/1.m4s",
                ):
                    assert (await player.get(f"{base(stream)}{token}/{file}")).status == status
            assert (await player.get(urls.hls)).status == 200
            assert (await player.get(urls.dash)).status == 200
            stranger = f"{base(other)}~{playback_token_make(other.playback_id, expires_at=soon)}"
            got = await player.get(f"{stranger}/{publisher.generation.id}/360p/index.m3u8")
            assert got.status == 404, "a broadcast is played below its own stream only"
            await in_thread(lambda: Livestream.objects.filter(id=stream.id).update(deleted_at=NOON))
            await until(player, urls.hls, lambda got: got.status == 404)

    asyncio.run(test())


def test_a_rung_that_nobody_makes_any_more_leaves_the_manifests(publisher: LivePublisher, store: LocalStore) -> None:
    async def test() -> None:
        async with a_player(store) as player:
            await player.get(media(publisher, "index.m3u8"))
            await in_thread(lambda: publisher.segments(10, 14, names=("240p", "audio")))
            path = f"{base(publisher.livestream)}/master.m3u8"
            got = await until(player, path, lambda got: "/360p/" not in got.text)
            assert "/240p/" in got.text
            assert (await player.get(media(publisher, "index.m3u8"))).status == 404
            assert (await player.get(media(publisher, "9.m4s"))).status == 200
            dash = await player.get(f"{base(publisher.livestream)}/dash/manifest.mpd")
            assert "360p" not in dash.text

    asyncio.run(test())


def test_streams_go_on_while_the_database_is_unavailable(publisher: LivePublisher, store: LocalStore) -> None:
    broken = False

    def rows(generation_id: object) -> object:
        if broken:
            raise OperationalError("gone")
        return broadcast_read(publisher.generation.id)

    async def test() -> None:
        nonlocal broken
        async with a_player(store, sources={"rows": rows}) as player:
            assert len(segments(await player.get(media(publisher, "index.m3u8")))) == 6
            broken = True
            waiting = player.begin(media(publisher, "index.m3u8?_HLS_msn=10"))
            assert len(segments(await player.get(media(publisher, "index.m3u8")))) == 6
            await in_thread(lambda: publisher.segments(10, 11))
            broken = False
            assert segments(await waiting)[-1] == "10.m4s"

    asyncio.run(test())


def test_what_is_not_in_memory_is_limited_and_pages_of_other_origins_are_refused(
    publisher: LivePublisher, store: LocalStore
) -> None:
    def refuse(network: str) -> None:
        if network == "192.0.2.66":
            raise throttled(3, {"Retry-After": "3"})

    async def test() -> None:
        async with a_player(store, check_rate=refuse, origins=("https://ours.example",)) as player:
            ours = await player.get(media(publisher, "index.m3u8"), origin="https://ours.example")
            assert ours.headers["access-control-allow-origin"] == "https://ours.example"
            theirs = await player.get(media(publisher, "index.m3u8"), origin="https://theirs.example")
            assert "access-control-allow-origin" not in theirs.headers
            guessing = Player(player.app, address="192.0.2.66")
            assert (await guessing.get("/streams/guess/master.m3u8")).status == 429
            assert (await guessing.get(media(publisher, "index.m3u8"))).status == 200
            plain = await player.get(media(publisher, "index.m3u8"))
            packed = await player.get(media(publisher, "index.m3u8"), accept_encoding="gzip")
            assert packed.headers["content-encoding"] == "gzip"
            assert packed.text == plain.text
            same = await player.get(media(publisher, "index.m3u8"), if_none_match=plain.headers["etag"])
            assert (same.status, same.body) == (304, b"")

    asyncio.run(test())


def test_viewers_are_counted_once_by_address_and_program(
    server: Server, publisher: LivePublisher, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordination.viewers.SLOT_SECONDS", 1)

    def viewers() -> object:
        return Broadcast.objects.get(id=publisher.broadcast.id).viewers

    async def test() -> None:
        async with a_player(store, viewers=server) as player:
            players = [Player(player.app, user_agent=f"program {number}") for number in range(3)]
            deadline = time.monotonic() + SECONDS
            while await in_thread(viewers) != {"total": 3, "renditions": {"360p": 2, "240p": 1, "audio": 1}}:
                assert time.monotonic() < deadline
                for each, name in zip(players, ("360p", "360p", "240p"), strict=True):
                    await each.get(media(publisher, "index.m3u8", name=name))
                await players[0].get(media(publisher, "index.m3u8", name="audio"))
            while await in_thread(viewers) != {"total": 0, "renditions": {}}:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)

    asyncio.run(test())
