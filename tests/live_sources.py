"""Live sources that tests serve over HTTP: paced in real time by the clock of the stream, and able to misbehave.

    with a_live_server() as server:
        server.serve("news", stream_of(Live()))
        open_source(server.url("news"), ...)                      # from its beginning, in real time
        open_source(server.url("news", fault="reset", at=0.5, times=1), ...)

Queries of streams and playlists:

| query | meaning |
|---|---|
| `rate` | times real time; 0: as fast as it can be sent |
| `burst` | seconds of the stream that are sent at once |
| `live=1` | begin where the broadcast is now, and not at its beginning |
| `chunked=1` | chunked, and not ended by the end of the connection |
| `fault`, `at` | see `Fault`; after so many seconds of the stream |
| `times`, `then` | only the first so many requests of this URL have that fault, 0: all; the others have this one |
| `to`, `status` | target of a redirect, status of an answer |
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.live_broadcasts import Stream, Window, stream_with_clock

_BLOCK = 64 << 10
_LOOK_SECONDS = 0.05


class Fault(StrEnum):
    """Misbehaviour of a source."""

    STALL = "stall"
    """Nothing comes after `at`; the connection stays."""
    RESET = "reset"
    TRUNCATE = "truncate"
    """The connection ends in order, before the announced length."""
    END = "end"
    """The connection ends in order: that of a stream without a length is its end."""
    HANG = "hang"
    """Not even a status is sent."""
    HTML = "html"
    EMPTY = "empty"
    JUNK = "junk"
    """Bytes without end, in no format."""
    ENDLESS_HEADER = "endless-header"
    SLOW_HEADER = "slow-header"
    GZIP = "gzip"
    TRICKLE = "trickle"
    """One byte a minute."""
    NOT_HTTP = "not-http"
    REDIRECT = "redirect"
    STATUS = "status"
    """Status that `status` names."""


_OK = b"HTTP/1.1 200 OK\r\n"
_BODIES = {
    Fault.HTML: (b"<!DOCTYPE html><html><body>No signal</body></html>" * 200, "text/html"),
    Fault.EMPTY: (b"", "video/mp2t"),
}
_ENDLESS = {
    Fault.JUNK: (_OK + b"\r\n", b"\x00\x01\x02\x03\x05\x07" * 4000, 0.0),
    Fault.ENDLESS_HEADER: (_OK, b"X-Endless: " + b"a" * 8000 + b"\r\n", 0.0),
    Fault.SLOW_HEADER: (_OK + b"X-Slow: ", b"a", 0.05),
    Fault.TRICKLE: (_OK + b"\r\n", b"G", 60.0),
    Fault.GZIP: (_OK + b"Content-Encoding: gzip\r\n\r\n", b"\x1f\x8b\x08\x00", 0.0),
    Fault.NOT_HTTP: (b"", b"220 mail.example ESMTP\r\n", 0.0),
}
"""Bytes that are sent first, those that are sent again and again, and the seconds between."""


@dataclass
class LiveServer:
    """A server of live sources."""

    port: int = 0
    host: str = "127.0.0.1"
    streams: dict[str, Stream] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    answers: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """Bodies and types of other paths."""
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    """Paths with queries, and headers by small names."""
    open: int = 0
    """Requests that are being answered."""
    started: float = field(default_factory=time.monotonic)
    over: threading.Event = field(default_factory=threading.Event)
    faulty: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(
        self, name: str, data: bytes, *, seconds: float = 0, again: Callable[[int], bytes] | None = None
    ) -> Stream:
        """Serve a stream at `/name`, without end if it can be repeated."""
        self.streams[name] = stream_with_clock(data, seconds=seconds, again=again)
        return self.streams[name]

    def serve_hls(self, name: str, window: Window) -> None:
        """Serve a live window at `/name/index.m3u8`, and a master playlist beside it at `/name/master.m3u8`."""
        self.windows[name] = window
        master = '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000000,RESOLUTION=256x144,CODECS="avc1,mp4a"\nindex.m3u8\n'
        self.answer(f"{name}/master.m3u8", master.encode())

    def answer(self, path: str, body: bytes, content_type: str = "application/vnd.apple.mpegurl") -> None:
        """Serve a body as it is."""
        self.answers[path] = (body, content_type)

    def url(self, path: str, *, user: str = "", **query: str | float) -> str:
        shown = f"?{urlencode(query)}" if query else ""
        return f"http://{user and f'{user}@'}{self.host}:{self.port}/{path}{shown}"

    def paths(self) -> list[str]:
        """Return the paths that were requested, without queries."""
        return [path.partition("?")[0].lstrip("/") for path, _ in self.requests]


class _Left(Exception):
    """The client is gone, or the server ends."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    live: LiveServer

    def process_request_thread(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        with self.live.lock:
            self.live.open += 1
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.live.lock:
                self.live.open -= 1

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Close a connection; with a time to linger of 0, by a reset."""
        lingers = struct.unpack("ii", request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
        if lingers == (1, 0):
            request.close()
        else:
            super().shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        live, parts = self.server.live, urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        with live.lock:
            live.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
            live.faulty[self.path] += 1
            times = int(query.get("times", 0))
            kind = query.get("fault" if not times or live.faulty[self.path] <= times else "then")
        fault = Fault(kind) if kind else None
        with suppress(OSError, _Left):
            if fault is None or fault in {Fault.STALL, Fault.RESET, Fault.TRUNCATE, Fault.END}:
                self._serve(parts.path.strip("/"), query, fault)
            else:
                self._misbehave(fault, query)

    def _serve(self, path: str, query: Mapping[str, str], fault: Fault | None) -> None:
        live, (name, _, file) = self.server.live, path.partition("/")
        if path in live.streams:
            self._stream(live.streams[path], query, fault)
        elif path in live.answers:
            self._body(*live.answers[path])
        elif name in live.windows and file == "index.m3u8":
            self._body(live.windows[name].playlist(), "application/vnd.apple.mpegurl")
        elif name in live.windows and (data := live.windows[name].file(file)) is not None:
            self._body(data, "video/mp2t")
        else:
            self._status(404)

    def _stream(self, stream: Stream, query: Mapping[str, str], fault: Fault | None) -> None:
        chunked, rate = query.get("chunked") == "1", float(query.get("rate", 1))
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        self.send_header("Connection", "close")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif fault is Fault.TRUNCATE:
            self.send_header("Content-Length", str(len(stream.data) + 1))
        self.end_headers()
        now = time.monotonic() - self.server.live.started if query.get("live") == "1" else 0.0
        until = float(query.get("at", 0)) if fault else float("inf")
        for block in self._paced(stream, now, rate=rate, ahead=float(query.get("burst", 0)), until=until):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        self.wfile.flush()
        if fault is Fault.STALL:
            self._pause(float("inf"))
        elif fault is Fault.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif chunked and fault is None:
            self.wfile.write(b"0\r\n\r\n")

    def _paced(self, stream: Stream, start: float, *, rate: float, ahead: float, until: float) -> Iterator[bytes]:
        """Yield a stream from a time on, as it falls due, for `until` seconds at most."""
        started, number, data = time.monotonic(), int(start // stream.seconds), stream.data
        position = stream.offset(start % stream.seconds) if start else 0
        if number and stream.again:
            data = stream.again(number)
        while True:
            for seconds, end in stream.marks:
                due = number * stream.seconds + seconds - start
                if end <= position or due < 0:
                    continue
                if due > until:
                    return
                self._pause(started + (due - ahead) / rate - time.monotonic() if rate else 0)
                while position < end:
                    block = data[position : min(end, position + _BLOCK)]
                    position += len(block)
                    yield block
            if stream.again is None:
                return
            number, position = number + 1, 0
            data = stream.again(number)

    def _misbehave(self, fault: Fault, query: Mapping[str, str]) -> None:
        if fault in _BODIES:
            self._body(*_BODIES[fault])
        elif fault in _ENDLESS:
            beginning, block, pause = _ENDLESS[fault]
            self._endless(beginning, block, pause)
        elif fault is Fault.REDIRECT:
            self._status(302, query["to"])
        elif fault is Fault.STATUS:
            self._status(int(query["status"]))
        elif fault is Fault.HANG:
            self._pause(float("inf"))

    def _endless(self, beginning: bytes, block: bytes, pause: float) -> None:
        self.wfile.write(beginning)
        while True:
            self.wfile.write(block)
            self._pause(pause)

    def _status(self, status: int, location: str = "") -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self, body: bytes, content_type: str) -> None:
        requested = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if requested:
            first, last = int(requested[1]), int(requested[2] or len(body) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{min(last, len(body) - 1)}/{len(body)}")
            body = body[first : last + 1]
        else:
            self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pause(self, seconds: float) -> None:
        """Wait while the client is there. Raises _Left."""
        ends_at = time.monotonic() + seconds
        while True:
            with suppress(BlockingIOError):
                if not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    raise _Left
            left = ends_at - time.monotonic()
            if self.server.live.over.wait(min(max(0.0, left), _LOOK_SECONDS)):
                raise _Left
            if left <= _LOOK_SECONDS:
                return

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def a_live_server() -> Iterator[LiveServer]:
    """Start a server on a port of its own. Its connections are closed at the end."""
    live = LiveServer()
    server = _Server((live.host, 0), _Handler)
    server.live = live
    live.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield live
    finally:
        live.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
