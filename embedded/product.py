"""The product's own processes. Each is restarted when the code or its settings have changed."""

from __future__ import annotations

import hashlib
import http.client
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar

from configuration import LivestreamConfig
from configuration.declaration import PREFIX
from configuration.other_names import overridden
from embedded.home import REPOSITORY, Home
from embedded.ports import LOOPBACK, port_answers, port_is_free, port_owner
from embedded.service import PortTaken, Service

API_PORT = 8000  # tried first, as the others
RELAY_PORT = 8090
HOOKS_PORT = 8091
STATUS_PORT = 50053
CODE = {".py", ".html", ".css", ".js", ".mjs", ".svg"}
NOT_CODE = {"tests", "benchmarks", "embedded", "docs"}

SIGNING_KEYS = ("TRANSCODER_SECRET_KEY", "TRANSCODER_SECRET_KEY_FILE")
"""Settings that neither workers nor the relay need."""


class Product(Service):
    """A process of our code with TRANSCODER_* settings."""

    def __init__(self, home: Home, environ: Mapping[str, str]) -> None:
        super().__init__(home)
        self._environ = environ

    def environ(self) -> Mapping[str, str]:
        return self._environ

    def fingerprint(self) -> str:
        settings = {name: value for name, value in self.environ().items() if name.startswith(PREFIX)}
        content = json.dumps([self.argv(), settings, list(code_files())], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


class HttpProduct(Product):
    """A process that answers requests on a port, and a readiness probe."""

    preferred_port: ClassVar[int]
    probe: ClassVar[str] = "/readyz"

    @property
    def url(self) -> str:
        """Base URL for clients and players."""
        return f"http://{LOOPBACK}:{self._port}"

    def ports(self) -> tuple[int, ...]:
        return (self._port,)

    def ready(self) -> bool:
        """Return True if its readiness probe passes."""
        client = http.client.HTTPConnection(LOOPBACK, self._port, timeout=5)
        with suppress(OSError, http.client.HTTPException), closing(client) as connection:
            connection.request("GET", self.probe)
            return connection.getresponse().status == HTTPStatus.OK
        return False

    @property
    def _port(self) -> int:
        return self.home.port(self.name, preferred=self.preferred_port)


class Api(HttpProduct):
    """The HTTP API."""

    name = "api"
    preferred_port = API_PORT

    def set_port(self, port: int) -> None:
        """Listen on this port from the next start on. Raises PortTaken and changes nothing."""
        if port != self._port and not port_is_free(port):
            raise PortTaken(f"port {port} is taken by {port_owner(port)}; choose another")
        self.home.store_port(self.name, port)

    def argv(self) -> list[str]:
        serve = ["-m", "transcoder_site.server", "--host", LOOPBACK, "--port", str(self._port)]
        return [sys.executable, *serve, "--grace-seconds", "3"]


class Relay(HttpProduct):
    """The server of live streams, which `make live` adds."""

    name = "relay"
    preferred_port = RELAY_PORT

    def argv(self) -> list[str]:
        return [sys.executable, "manage.py", "relay"]

    def environ(self) -> Mapping[str, str]:
        own = {"TRANSCODER_RELAY_HOST": LOOPBACK, "TRANSCODER_RELAY_PORT": str(self._port)}
        return without_signing_keys(overridden(super().environ(), own))


class IngestHooks(HttpProduct):
    """The process that the ingest server calls for each publisher of a live stream."""

    name = "ingest-hooks"
    preferred_port = HOOKS_PORT
    probe = "/healthz"

    def argv(self) -> list[str]:
        return [sys.executable, "manage.py", "ingest_hooks"]

    def environ(self) -> Mapping[str, str]:
        own = {"TRANSCODER_INGEST_HOOKS_HOST": LOOPBACK, "TRANSCODER_INGEST_HOOKS_PORT": str(self._port)}
        return without_signing_keys(overridden(super().environ(), own))


class StatusGrpc(Product):
    """The gRPC status service of live streams."""

    name = "status-grpc"

    def argv(self) -> list[str]:
        return [sys.executable, "manage.py", "status_grpc"]

    def environ(self) -> Mapping[str, str]:
        own = {"TRANSCODER_STATUS_GRPC_HOST": LOOPBACK, "TRANSCODER_STATUS_GRPC_PORT": str(self._port)}
        return without_signing_keys(overridden(super().environ(), own))

    @property
    def address(self) -> str:
        """Host and port for clients."""
        return f"{LOOPBACK}:{self._port}"

    def ports(self) -> tuple[int, ...]:
        return (self._port,)

    def ready(self) -> bool:
        """Return True if it accepts connections."""
        return port_answers(self._port)

    @property
    def _port(self) -> int:
        return self.home.port(self.name, preferred=STATUS_PORT)


class Dispatcher(Product):
    """The process that sends tickets and reclaims expired leases."""

    name = "dispatcher"

    def argv(self) -> list[str]:
        return [sys.executable, "manage.py", "dispatcher"]

    def ready(self) -> bool:
        """Return True at once: nothing depends on its start, since it reads all work from the database."""
        return True


class Worker(Product):
    """A worker node that encodes on processors, and imports and delivers."""

    name = "worker"
    slots = 2

    def argv(self) -> list[str]:
        work = ["worker", "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        return [sys.executable, "-m", "celery", "-A", "transcoder_site", *work]

    def environ(self) -> Mapping[str, str]:
        return without_signing_keys(overridden(super().environ(), {"TRANSCODER_WORKER_SLOTS": str(self.slots)}))

    def ready(self) -> bool:
        """Return True if its log says so. Each start has a new log."""
        return "ready." in self.log.read_text(encoding="utf-8", errors="replace")


class LiveWorker(Worker):
    """A worker node of live streams, one of several. It is started again whenever it ends."""

    def __init__(self, home: Home, environ: Mapping[str, str], number: int) -> None:
        self.name = f"live-worker-{number}"
        super().__init__(home, environ)

    def argv(self) -> list[str]:
        return [sys.executable, "-m", "embedded.supervisor", *super().argv()[1:], "--hostname", f"{self.name}@%h"]

    def environ(self) -> Mapping[str, str]:
        slots = self._environ.get("TRANSCODER_LIVE_SLOTS", str(LivestreamConfig().live_slots))
        own = {"TRANSCODER_WORKER_QUEUE": "live", "TRANSCODER_WORKER_SLOTS": slots}
        return overridden(super().environ(), own)


def without_signing_keys(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return settings without those of the processes that sign what they give away."""
    return {name: value for name, value in environ.items() if name not in SIGNING_KEYS}


def code_files() -> Iterator[tuple[str, int, int]]:
    """Yield path, size and mtime of every file of the product, and of the locked requirements."""
    files = [
        *(REPOSITORY / "requirements").glob("*.txt"),
        *(path for package in _packages() for path in package.rglob("*") if path.suffix in CODE),
    ]
    for path in sorted(files):
        stat = path.stat()
        yield str(path.relative_to(REPOSITORY)), stat.st_size, stat.st_mtime_ns


def _packages() -> Iterator[Path]:
    for marker in REPOSITORY.glob("*/__init__.py"):
        if marker.parent.name not in NOT_CODE:
            yield marker.parent
