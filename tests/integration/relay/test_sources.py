"""Sources that are paced in real time, break, lie, or are none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from outbound.addresses import Reach, networks_read
from outbound.errors import REFUSED
from outbound.lookups import Lookups
from relay.errors import (
    RelayError,
    SessionEnded,
    SourceEnded,
    SourceNotMedia,
    SourceRefused,
    SourceRejected,
    SourceSilent,
    SourceUnreachable,
    SourceUnsupported,
)
from relay.sources.opening import FetchedSource, open_source
from relay.sources.source import SourceLimits
from tests.live_broadcasts import Segments, Window, segments_of
from tests.live_media import Live, stream_of
from tests.live_sources import LiveServer, a_live_server
from tests.receiver import OUR_HOSTS, Receiver, a_receiver

LOOPBACK = Reach(networks_read(["127.0.0.0/8"]), plain=True)
QUICK = SourceLimits(silence_seconds=1, stall_seconds=0.5, head_seconds=1)
PATIENT = SourceLimits(silence_seconds=600, stall_seconds=300, head_seconds=600)
STREAM = Live(seconds=3, gop=12)


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with a_live_server() as server:
        server.serve("ts", stream_of(STREAM))
        server.serve("flv", stream_of(Live(seconds=3, audio="aac", container="flv")))
        server.serve("mp4", stream_of(Live(seconds=3, audio="aac", container="mp4")), seconds=3)
        yield server


@pytest.fixture
def canary() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def segments() -> Segments:
    return segments_of(stream_of(STREAM), seconds=0.5)


def opened(url: str, limits: SourceLimits = PATIENT, **named: threading.Event) -> FetchedSource:
    return open_source(url, reach=LOOPBACK, limits=limits, user_agent="vodmill/test", **named)


def read(source: FetchedSource) -> bytes:
    return b"".join(source.blocks())


@contextmanager
def reading(source: FetchedSource) -> Iterator[threading.Thread]:
    """Read a source in a thread, which is over at the end."""
    thread = threading.Thread(target=lambda: read(source))
    thread.start()
    try:
        yield thread
    finally:
        source.close()
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("name", ["ts", "flv", "mp4"])
@pytest.mark.parametrize("chunked", [0, 1])
def test_a_stream_is_passed_on_as_it_is(server: LiveServer, name: str, chunked: int) -> None:
    source = opened(server.url(name, rate=0, chunked=chunked))
    assert source.container == {"ts": "mpegts"}.get(name, name)
    data = server.streams[name].data
    assert read(source) == data
    assert (source.stats.bytes, source.stats.reconnects) == (len(data), 0)


def test_bytes_come_when_they_are_sent(server: LiveServer) -> None:
    source = opened(server.url("ts", rate=0, fault="stall", at=1))
    first = next(source.blocks())
    assert first.startswith(b"\x47"), "they are not waited for until there are more of them"
    source.close()


@pytest.mark.parametrize("fault", ["reset", "truncate", "stall"])
@pytest.mark.parametrize("name", ["ts", "flv"])
def test_a_stream_that_breaks_is_continued_with_whole_units(server: LiveServer, name: str, fault: str) -> None:
    limits = SourceLimits(silence_seconds=600, stall_seconds=0.3)
    source = opened(server.url(name, rate=0, fault=fault, at=1, times=1), limits)
    data = server.streams[name].data
    again = data[{"ts": 0, "flv": 13}[name] :]
    found = read(source)
    assert found.endswith(again)
    before = found.removesuffix(again)  # a reset loses what was on its way
    assert before
    assert data.startswith(before)
    assert name == "flv" or len(before) % 188 == 0
    assert source.stats.reconnects == 1


def test_fragmented_mp4_that_breaks_ends(server: LiveServer) -> None:
    source = opened(server.url("mp4", rate=0, fault="reset", at=1))
    with pytest.raises(SourceEnded, match="cannot be continued"):
        read(source)


def test_a_stream_that_ends_in_order_has_ended(server: LiveServer) -> None:
    source = opened(server.url("ts", rate=0, fault="end", at=1))
    assert len(read(source)) == server.streams["ts"].offset(1)
    assert source.stats.reconnects == 0


def test_reconnections_end_when_nothing_came_for_too_long(server: LiveServer) -> None:
    source = opened(server.url("ts", rate=0, fault="reset", at=1, times=1, then="status", status=404), QUICK)
    with pytest.raises(SourceRejected) as failure:
        read(source)
    assert failure.value.details == "404 Not Found"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("html", SourceNotMedia),
        ("empty", SourceNotMedia),
        ("junk", SourceNotMedia),
        ("gzip", SourceNotMedia),
        ("not-http", SourceNotMedia),
        ("endless-header", SourceNotMedia),
        ("slow-header", SourceSilent),
        ("trickle", SourceSilent),
        ("hang", SourceSilent),
    ],
)
def test_what_is_no_stream_has_its_own_code_in_bounded_time(
    server: LiveServer, fault: str, error: type[RelayError]
) -> None:
    with pytest.raises(error):
        opened(server.url("ts", fault=fault), QUICK if error is SourceSilent else PATIENT)


@pytest.mark.parametrize("status", [404, 401, 503])
def test_an_http_error_is_named(server: LiveServer, status: int) -> None:
    with pytest.raises(SourceRejected) as failure:
        opened(server.url("ts", fault="status", status=status))
    assert failure.value.details.startswith(str(status))


def test_nobody_there_is_unreachable(server: LiveServer) -> None:
    with pytest.raises(SourceUnreachable):
        opened("http://127.0.0.1:9/ts")


def test_redirects_are_followed_and_checked(server: LiveServer) -> None:
    good = server.url("ts", fault="redirect", to=server.url("ts", rate=0))
    assert read(opened(good)) == server.streams["ts"].data
    for target in ("http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "data:video/mp2t,G", "http://["):
        with pytest.raises(SourceRefused):
            opened(server.url("ts", fault="redirect", to=target))


@pytest.mark.parametrize("scheme", ["https", "http", "ftp", "file"])
@pytest.mark.parametrize("host", [*OUR_HOSTS, "169.254.169.254", "nowhere.invalid"])
def test_our_own_network_is_refused_alike_and_never_reached(canary: Receiver, scheme: str, host: str) -> None:
    for credentials in ("", "root:secret@"):
        url = f"{scheme}://{credentials}{host}:{canary.port}/status/200"
        with pytest.raises(SourceRefused, match=f"^{REFUSED}$"):
            open_source(url, reach=Reach(plain=True), user_agent="vodmill/test")
    assert canary.connections == 0


def test_a_name_that_changes_its_mind_is_refused_when_it_is_connected_again(server: LiveServer) -> None:
    addresses = iter(["127.0.0.1", "127.0.0.2"])

    def getaddrinfo(_host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(addresses), port))]

    reach = Reach(networks_read(["127.0.0.1/32"]), Lookups(getaddrinfo=getaddrinfo), plain=True)
    url = server.url("ts", rate=0, fault="truncate", at=1, of="rebinding").replace("127.0.0.1", "rebinding.example")
    source = open_source(url, reach=reach, user_agent="vodmill/test")
    before = len(server.requests)
    with pytest.raises(SourceRefused, match=f"^{REFUSED}$"):
        read(source)
    assert len(server.requests) == before


def test_credentials_go_to_the_server_that_they_are_for_and_nowhere_else(server: LiveServer) -> None:
    with a_live_server() as other:
        other.serve("ts", server.streams["ts"].data)
        here = server.url("ts", user="root:s%40fe", fault="redirect", to=other.url("ts", rate=0))
        read(opened(here))
        (path, headers) = server.requests[-1]
        assert headers["authorization"] == "Basic cm9vdDpzQGZl"
        assert "s%40fe" not in path
        assert headers["host"] == f"127.0.0.1:{server.port}"
        assert "authorization" not in other.requests[-1][1]


@pytest.mark.parametrize("fault", ["stall", "hang"])
def test_closing_ends_a_read_at_once(server: LiveServer, fault: str) -> None:
    first = fault if fault == "stall" else "reset"
    url = server.url("ts", rate=0, fault=first, at=1, times=1, then=fault)
    path = url.removeprefix(server.url("").rstrip("/"))
    source = opened(url)
    with reading(source) as thread:
        while fault == "hang" and server.faulty[path] < 2:
            time.sleep(0.02)
        source.close()
        thread.join(10)
        assert not thread.is_alive()
    deadline = time.monotonic() + 60
    while server.open and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.open == 0


def test_a_source_that_nobody_reads_is_closed_too(server: LiveServer) -> None:
    source = opened(server.url("ts"))
    source.close()
    assert list(source.blocks()) == []
    deadline = time.monotonic() + 60
    while server.open and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.open == 0


def test_opening_can_be_ended(server: LiveServer) -> None:
    ended = threading.Event()
    threading.Timer(0.1, ended.set).start()
    with pytest.raises(SessionEnded):
        opened(server.url("ts", fault="hang"), ended=ended)


# HLS


def hls(server: LiveServer, name: str, window: Window) -> FetchedSource:
    server.serve_hls(name, window)
    return opened(server.url(f"{name}/index.m3u8"))


def joined(segments: Segments, start: int = 0) -> bytes:
    return segments.header + b"".join(data for _, _, data in segments.segments[start:])


def test_a_live_playlist_is_followed_from_three_segments_before_its_end(server: LiveServer, segments: Segments) -> None:
    source = hls(server, "live", Window(segments, listed=99, ahead=5))
    assert source.container == "mpegts"
    assert read(source) == joined(segments, 2)


def test_a_master_playlist_leads_to_a_variant(server: LiveServer, segments: Segments) -> None:
    server.serve_hls("master", Window(segments, listed=99, ahead=99))
    source = opened(server.url("master/master.m3u8"))
    assert read(source) == joined(segments)


def test_fragmented_segments_and_parts_of_files_are_joined(server: LiveServer) -> None:
    fragmented = segments_of(stream_of(Live(seconds=2, gop=12)), seconds=0.5, fragmented=True)
    source = hls(server, "parts", Window(fragmented, ahead=3, ranges=True))
    assert source.container == "mp4"
    assert read(source) == joined(fragmented)


def test_a_segment_that_breaks_is_continued_where_it_was(server: LiveServer) -> None:
    url = server.url("ts", rate=0, fault="truncate", at=1, times=1, of="segment")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{url}\n#EXT-X-ENDLIST\n"
    server.answer("broken.m3u8", playlist.encode())
    source = opened(server.url("broken.m3u8"))
    assert read(source) == server.streams["ts"].data
    assert source.stats.reconnects == 1


def test_a_segment_that_is_gone_is_left_out(server: LiveServer, segments: Segments) -> None:
    window = Window(segments, ahead=3)
    source = hls(server, "gone", window)
    name = segments.segments[1][0]
    window.parts = Segments([("gone" if each == name else each, *rest) for each, *rest in segments.segments])  # type: ignore[misc]
    assert joined(Segments(segments.segments[2:])) in read(source)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("#EXTINF:1,\nhttp://169.254.169.254/1.ts\n", SourceRefused),
        ("#EXTINF:1,\nfile:///etc/passwd\n", SourceRefused),
        ("#EXTINF:1,\nhttp://[\n", SourceRefused),
        ('#EXT-X-MAP:URI="//["\n#EXTINF:1,\n1.ts\n', SourceRefused),
        ("#EXTINF:1,\ndata:video/mp2t;base64,R0dH\n", SourceRefused),
        ('#EXT-X-MAP:URI="file:///etc/passwd"\n#EXTINF:1,\n1.ts\n', SourceRefused),
        ("#EXT-X-STREAM-INF:BANDWIDTH=1\nftp://example.org/index.m3u8\n", SourceRefused),
        ("#EXTINF:1,\nmissing.ts\n", SourceRejected),
        ('#EXT-X-KEY:METHOD=AES-128,URI="key"\n#EXTINF:1,\n1.ts\n', SourceUnsupported),
        (
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="a.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nv.m3u8\n',
            SourceUnsupported,
        ),
        ("#EXTINF:1,\npage\n", SourceNotMedia),
        ("#EXTINF:1,\npacked.aac\n", SourceUnsupported),
        ("# " + "a" * (1 << 20), SourceNotMedia),
    ],
)  # fmt: skip
def test_a_playlist_that_leads_nowhere_is_refused(server: LiveServer, text: str, error: type[RelayError]) -> None:
    server.answer("page", b"<html>" * 4000, "text/html")
    server.answer("packed.aac", b"\xff\xf1" * 4000, "audio/aac")
    server.answer("bad.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{text}".encode())
    with pytest.raises(error):
        opened(server.url("bad.m3u8"))


def test_a_playlist_that_does_not_move_on_ends(server: LiveServer, segments: Segments) -> None:
    name, _, data = segments.segments[0]
    server.answer(name, data)
    server.answer("still.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:0\n#EXTINF:0.1,\n{name}\n".encode())
    source = opened(server.url("still.m3u8"), QUICK)
    with pytest.raises(SourceSilent, match="does not move on"):
        read(source)


def test_a_list_of_one_stream_leads_to_it(server: LiveServer) -> None:
    server.answer("receiver.m3u", f"#EXTM3U\n#EXTINF:-1,Das Erste\n{server.url('ts', rate=0)}\n".encode())
    assert read(opened(server.url("receiver.m3u"))) == server.streams["ts"].data
    server.answer("loop.m3u", f"#EXTM3U\n{server.url('loop.m3u')}\n".encode())
    with pytest.raises(SourceNotMedia):
        opened(server.url("loop.m3u"))


def test_closing_ends_the_wait_for_a_playlist(server: LiveServer, segments: Segments) -> None:
    source = hls(server, "waits", Window(segments, listed=1, ahead=1, ends=False, started=time.monotonic() + 600))
    with reading(source) as thread:
        source.close()
        thread.join(10)
        assert not thread.is_alive()
