"""A receiver of webhooks that can misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OUR_HOSTS = ("127.0.0.1", "127.1", "0x7f.1", "localhost", "[::ffff:7f00:1]", "2130706433")
"""Names of this machine, which nobody may have us connect to."""


@dataclass
class Receiver:
    """A receiver that records requests and answers with the status in the path."""

    port: int = 0
    connections: int = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def bodies(self, path: str) -> list[bytes]:
        return [body for at, _, body in self.requests if at == path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def get_request(self) -> tuple[socket.socket, object]:
        self.receiver.connections += 1
        return super().get_request()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
        misbehaviours = {
            "/hangs": self._hang,
            "/drips": self._drip,
            "/endless": self._endless,
            "/other-protocol": self._other_protocol,
        }
        misbehaviour = misbehaviours.get(self.path)
        with suppress(OSError):
            misbehaviour() if misbehaviour else self._answer(int(self.path.rpartition("/")[2]))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.server.receiver.url("/status/200"))
        if self.path.startswith("/later/"):
            self.send_header("Retry-After", "999999")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def _hang(self) -> None:
        self.server.receiver.over.wait(600)

    def _drip(self) -> None:
        """A header, one byte at a time, for ever: no single read ever times out."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.server.receiver.over.wait(0.05):
            self.wfile.write(b"a")

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.server.receiver.over.is_set():
            self.wfile.write(b"x" * 65536)

    def _other_protocol(self) -> None:
        self.wfile.write(b"SSH-2.0-secret banner\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def a_receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.receiver = receiver
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
