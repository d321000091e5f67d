"""Results that many requests are for at once, and requests as values."""

from __future__ import annotations

import asyncio

import pytest

from api.problems import Problem
from livestreams.playback.requests import Directives, delivery_directives, stream_request
from livestreams.playback.sharing import Shared

GENERATION = "bd769c0e-47ac-4a2f-9100-5bd5707643ce"


def test_many_requests_at_once_get_one_result_and_whoever_leaves_ends_it_for_nobody() -> None:
    calls: list[str] = []

    async def test() -> None:
        going = asyncio.Event()

        async def make(key: str) -> str:
            calls.append(key)
            await going.wait()
            return key.upper()

        shared = Shared(make, seconds=60, max_weight=10)
        waiting = [asyncio.create_task(shared.get("a")) for _ in range(5)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        going.set()
        assert await asyncio.gather(*waiting[1:]) == ["A"] * 4
        assert await shared.get("a") == "A"

    asyncio.run(test())
    assert calls == ["a"]


def test_an_error_is_not_remembered() -> None:
    calls: list[str] = []

    async def test() -> None:
        async def make(key: str) -> str:
            calls.append(key)
            if len(calls) == 1:
                raise LookupError
            return key

        shared = Shared(make, seconds=60, max_weight=10)
        with pytest.raises(LookupError):
            await shared.get("a")
        assert await shared.get("a") == "a"

    asyncio.run(test())


def test_the_oldest_results_leave_when_they_weigh_too_much_and_all_of_them_expire() -> None:
    calls: list[bytes] = []

    async def test() -> None:
        async def make(key: bytes) -> bytes:
            calls.append(key)
            return key * 4

        shared = Shared(make, seconds=60, max_weight=10, weigh=len)
        for key in (b"a", b"b", b"a", b"c", b"a", b"b"):
            await shared.get(key)
            await asyncio.sleep(0)
        assert calls == [b"a", b"b", b"c", b"b"]
        expiring = Shared(make, seconds=0, max_weight=10, weigh=len)
        await expiring.get(b"d")
        await expiring.get(b"d")
        assert calls[4:] == [b"d", b"d"]

    asyncio.run(test())


@pytest.mark.parametrize(
    ("path", "file", "numbers"),
    [
        ("stage/master.m3u8", "master.m3u8", ()),
        ("stage/dash/manifest.mpd", "dash/manifest.mpd", ()),
        ("stage/time", "time", ()),
        (f"stage/{GENERATION}/720p/index.m3u8", "index.m3u8", ()),
        (f"stage/{GENERATION}/720p/init.mp4", "init.mp4", ()),
        (f"stage/{GENERATION}/720p/17.m4s", "segment", (17,)),
        (f"stage/{GENERATION}/720p/17.3.2.m4s", "part", (17, 3, 2)),
    ],
)
def test_paths_are_read(path: str, file: str, numbers: tuple[int, ...]) -> None:
    found = stream_request(path)
    assert (found.playback_id, found.token, found.file, found.numbers) == ("stage", "", file, numbers)
    assert stream_request(path.replace("stage", "stage~to.ken", 1)).token == "to.ken"


@pytest.mark.parametrize(
    "path",
    [
        "stage", "stage/", "/master.m3u8", "st\0age/master.m3u8", "stage/other.m3u8", f"stage/{GENERATION}/720p/x.m4s",
        f"stage/{GENERATION}/720p/-1.m4s", f"stage/{GENERATION}/720p/1.2.m4s", f"stage/{GENERATION}/720p/../1.m4s",
        f"stage/{GENERATION.upper()}/720p/1.m4s", f"stage/{GENERATION}/720p/\u0661.m4s",
    ],
)  # fmt: skip
def test_other_paths_are_nothing(path: str) -> None:
    with pytest.raises(Problem) as caught:
        stream_request(path)
    assert caught.value.status == 404


def test_directives_are_read() -> None:
    assert delivery_directives(b"") == Directives()
    assert delivery_directives(b"_HLS_msn=7&_HLS_part=2&_HLS_skip=v2&mine=1") == Directives(7, 2, skip=True)


@pytest.mark.parametrize("query", [b"_HLS_part=1", b"_HLS_msn=-1", b"_HLS_msn=1e3", b"&".join([b"a=1"] * 30)])
def test_directives_against_the_rules_are_refused(query: bytes) -> None:
    with pytest.raises(Problem) as caught:
        delivery_directives(query)
    assert (caught.value.status, caught.value.code) == (400, "invalid_directive")
