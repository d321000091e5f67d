"""Sources that are there to take up memory and time, or to have others requested."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from outbound.addresses import Reach, networks_read
from relay.sources import hls as hls_module
from relay.sources.fetching import Fetcher
from relay.sources.hls import Hls
from relay.sources.opening import open_source
from relay.sources.source import SourceLimits
from tests.live_broadcasts import Segments, segments_of
from tests.live_media import Live, stream_of
from tests.live_sources import LiveServer, a_live_server

REACH = Reach(networks_read(["127.0.0.0/8"]), plain=True)
PATIENT = SourceLimits(silence_seconds=600, stall_seconds=300, head_seconds=600)


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with a_live_server() as server:
        yield server


@pytest.fixture(scope="module")
def fragmented(server: LiveServer) -> Segments:
    segments = segments_of(stream_of(Live(seconds=2, gop=12)), seconds=0.5, fragmented=True)
    server.answer("init.mp4", segments.header)
    for name, _, data in segments.segments:
        server.answer(name, data)
    return segments


class HastyFetcher(Fetcher):
    """Records the pauses between segments, and makes none."""

    def __init__(self, limits: SourceLimits = PATIENT) -> None:
        super().__init__(REACH, limits=limits, user_agent="vodmill/test", credentials=None, ended=threading.Event())
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def hls(server: LiveServer, fetcher: Fetcher, names: list[str], *, header: str = "") -> Hls:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", *([f'#EXT-X-MAP:URI="{header}"'] if header else [])]
    listed = [line for name in names for line in ("#EXTINF:1,", name)]
    text = "\n".join([*lines, *listed, "#EXT-X-ENDLIST", ""])
    return Hls(fetcher, server.url("index.m3u8"), text.encode())


def test_segments_that_cannot_be_had_are_requested_more_and_more_slowly(server: LiveServer) -> None:
    fetcher = HastyFetcher()
    server.answer("good.ts", stream_of(Live(seconds=1)))
    missing = [f"{number}.ts" for number in range(6)]
    source = hls(server, fetcher, [*missing, "good.ts", "late.ts", "good.ts"])
    assert list(source.blocks())
    assert fetcher.pauses == [0.2, 0.4, 0.8, 1.6, 2, 2, 0.2]


def test_fragments_come_in_pieces_behind_one_header(server: LiveServer, fragmented: Segments) -> None:
    names = [name for name, _, _ in fragmented.segments]
    last = fragmented.segments[-1][2]
    server.answer("padded.m4s", last + (600 << 10).to_bytes(4, "big") + b"free" + bytes((600 << 10) - 8))
    fetcher = HastyFetcher()
    source = hls(server, fetcher, ["missing.m4s", *names, "padded.m4s"], header="init.mp4")
    blocks = list(source.blocks())
    assert max(map(len, blocks)) <= 256 << 10
    whole = fragmented.header + b"".join(data for _, _, data in fragmented.segments)
    assert b"".join(blocks).startswith(whole + last), "the header is there, though the first segment was missing"
    assert fetcher.pauses == [0.2]


@pytest.mark.parametrize("name", ["empty.m4s", "large.m4s"])
def test_fragments_that_are_empty_or_too_large_are_left_out(
    server: LiveServer, fragmented: Segments, name: str
) -> None:
    server.answer("empty.m4s", b"")
    server.answer("large.m4s", bytes(200_000))
    fetcher = HastyFetcher(replace(PATIENT, fragment_bytes=199_999))
    first, _, data = fragmented.segments[0]
    source = hls(server, fetcher, [first, name, name], header="init.mp4")
    assert b"".join(source.blocks()) == fragmented.header + data
    assert fetcher.pauses == [0.2, 0.4]


def test_a_playlist_that_takes_long_to_read_is_not_read_often(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls_module, "_PAUSE_PER_WORK", 1_000_000)
    fetcher = HastyFetcher()
    server.answer("good.ts", stream_of(Live(seconds=1)))
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", *["#"] * 50_000, "#EXTINF:1,", "good.ts", ""]
    server.answer("long.m3u8", "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode())
    source = Hls(fetcher, server.url("long.m3u8"), "\n".join(lines).encode())
    assert list(source.blocks())
    assert fetcher.pauses[0] > 100, "and not the second between two changes"


def test_a_source_that_is_too_fast_is_read_at_the_pace_of_streams(server: LiveServer) -> None:
    data = stream_of(Live(seconds=3))
    server.serve("fast", data)
    limits = replace(PATIENT, bytes_per_second=2 * len(data), burst_bytes=64 << 10)
    started = time.monotonic()
    source = open_source(server.url("fast", rate=0), reach=REACH, limits=limits, user_agent="vodmill/test")
    assert b"".join(source.blocks()) == data
    assert time.monotonic() - started >= 0.4
