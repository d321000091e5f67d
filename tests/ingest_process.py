"""The ingest server as `make live` will run it, a fake of our hooks, and publishers."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

from embedded.ingest import Ingest
from embedded.service import find_program
from livestreams.nginx import ADDRESS_HEADER, SECRET_HEADER, Certificate
from tests.servers import ServersOfThisRun

SECRET = "between-ingest-and-hooks"


@dataclass(frozen=True, slots=True)
class Call:
    """A request of the ingest server to the hooks."""

    path: str
    form: dict[str, str]
    secret: str
    address: str


@dataclass
class Hooks:
    """Hooks that record calls, and respond with a status that `answer` chooses (204: allowed)."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    answer: Callable[[Call], int] = lambda _call: 204

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, kind: str) -> list[Call]:
        """List the calls of a kind: publish, publish_done, update_publish, play, update_play, play_done."""
        return [call for call in self.calls if call.form.get("call") == kind]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hooks: Hooks


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        own = (self.headers[SECRET_HEADER], self.headers[ADDRESS_HEADER])
        call = Call(self.path, dict(parse_qsl(body, keep_blank_values=True)), *own)
        self.server.hooks.calls.append(call)
        self.send_response(self.server.hooks.answer(call))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def fake_hooks() -> Iterator[Hooks]:
    hooks = Hooks()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hooks = hooks
    hooks.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hooks
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def an_ingest(
    servers: ServersOfThisRun, hooks_url: str, *, secret: str = SECRET, certificate: Certificate | None = None
) -> Iterator[Ingest]:
    """Start an ingest server of this test run, with updates each half second."""
    for name in (Ingest.name, f"{Ingest.name}-tls"):
        servers.home.port(name)  # any free one: other runs would try the usual one, too
    ingest = Ingest(servers.home, hooks_url=hooks_url, secret=secret, certificate=certificate, update_seconds=0.5)
    servers.started(ingest)
    try:
        yield ingest
    finally:
        ingest.close()


VIDEO = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30")
AUDIO = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000")
AVC = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "30")
AAC = ("-c:a", "aac", "-b:a", "64k", "-ac", "2")


@contextmanager
def a_publisher(
    url: str,
    *,
    inputs: Sequence[str] = (*VIDEO, *AUDIO),
    encoding: Sequence[str] = (*AVC, *AAC),
    seconds: float = 600,
) -> Iterator[subprocess.Popen[bytes]]:
    """Publish a test pattern in real time as OBS would: H.264 with a key frame each second, and AAC."""
    ffmpeg = find_program("ffmpeg")
    assert ffmpeg
    paced = [part for name in _inputs(inputs) for part in ("-re", *name)]
    argv = [str(ffmpeg), "-nostdin", "-v", "error", *paced, *encoding, "-t", str(seconds), "-f", "flv", url]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _inputs(options: Sequence[str]) -> Iterator[list[str]]:
    """Split options behind each input."""
    current: list[str] = []
    for index, option in enumerate(options):
        current.append(option)
        if index and options[index - 1] == "-i":
            yield current
            current = []


def a_certificate(folder: Path) -> Certificate:
    """Make a certificate of its own authority for 127.0.0.1 and localhost."""
    chain, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2", "-nodes"]
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    subprocess.run([*new, "-keyout", key, "-out", chain, *subject], check=True, capture_output=True)
    return Certificate(chain, key)
