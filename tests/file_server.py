"""A server of files that can misbehave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

METADATA = "http://169.254.169.254/latest/meta-data/"


@dataclass
class FileServer:
    """A server of one file at `/file`, and of answers that no client may fall for at other paths."""

    content: bytes = b""
    etag: str = '"1"'
    modified: str = ""
    ranges: bool = True
    announced: bool = True
    """The length of the file is announced."""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the connections of the next requests are cut."""
    statuses: list[int] = field(default_factory=list)
    """Statuses of the next requests, before the file is sent."""
    pauses_after: int | None = None
    """Bytes after which nothing comes until `over` is set."""
    port: int = 0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    paused: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/file") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ranges_requested(self) -> list[str]:
        return [headers.get("range", "") for _, headers in self.requests]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    files: FileServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        files = self.server.files
        files.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        kind, _, rest = self.path.partition("?")[0].strip("/").partition("/")
        with suppress(OSError):
            match kind:
                case "status":
                    self._answer(int(rest))
                case "redirects":
                    self._answer(302, f"/redirects/{int(rest) - 1}" if rest != "0" else "/file")
                case "metadata":
                    self._answer(301, METADATA)
                case "other-scheme":
                    self._answer(302, f"{rest}://127.0.0.1:{files.port}/file")
                case "gzip":
                    self._gzip()
                case "endless":
                    self._endless()
                case "drips":
                    self._drip()
                case _:
                    self._file()

    def _answer(self, status: int, location: str = "") -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _file(self) -> None:
        files = self.server.files
        if files.statuses:
            self._answer(files.statuses.pop(0))
            return
        start = self._start()
        self.send_response(206 if start is not None else 200)
        if files.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if files.etag:
            self.send_header("ETag", files.etag)
        if files.modified:
            self.send_header("Last-Modified", files.modified)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(files.content) - 1}/{len(files.content)}")
        if files.announced:
            self.send_header("Content-Length", str(len(files.content) - (start or 0)))
        self.send_header("Connection", "close")
        self.end_headers()
        self._send(files.content[start or 0 :])

    def _start(self) -> int | None:
        """Return the beginning of the range that is requested, if it is still of the same file."""
        files = self.server.files
        requested = self.headers.get("Range", "")
        same = self.headers.get("If-Range") in (None, files.etag, files.modified)
        return int(requested.removeprefix("bytes=").rstrip("-")) if requested and files.ranges and same else None

    def _send(self, data: bytes) -> None:
        files = self.server.files
        if files.pauses_after is not None:
            self.wfile.write(data[: files.pauses_after])
            data, files.pauses_after = data[files.pauses_after :], None
            files.paused.set()
            files.over.wait(600)
        self.wfile.write(data[: files.cuts.pop(0)] if files.cuts else data)

    def _gzip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"\x1f\x8b\x08\x00")

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(self.server.files.content)
        while not self.server.files.over.is_set():
            self.wfile.write(b"x" * 65536)

    def _drip(self) -> None:
        """A body, one byte at a time: no single read ever times out."""
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.server.files.over.wait(0.05):
            self.wfile.write(b"a")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def a_file_server(content: bytes = b"") -> Iterator[FileServer]:
    files = FileServer(content)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.files = files
    files.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield files
    finally:
        files.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
