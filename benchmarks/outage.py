"""Response times and failures of one API process while Redis is killed and restarted under load."""

import argparse
import http.client
import itertools
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.cache import CONNECTIONS, UNBOUNDED
from benchmarks.end_to_end import JobsUnderTest
from benchmarks.running import generated_film, home, report, running
from embedded.servers import Redis
from embedded.stack import Stack

SECONDS = 5
HEADER = """\
| Redis | requests per second | p50 | p99 | slowest | other responses than 200 | connections lost |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its response."""

    at: float
    """Monotonic time of the request."""
    took: float
    """Seconds until the response was complete."""
    status: int
    """HTTP status; 0: the connection was lost."""


def measure(options: argparse.Namespace) -> str:  # noqa: ARG001 - the signature of all measurements
    """Return the table."""
    stack = Stack(home(), environ={**os.environ, **UNBOUNDED})
    source = generated_film(1, size="320x180", audio=False)
    with running(stack), closing(stack.client()) as client:
        job = f"/api/v1/jobs/{JobsUnderTest(client, source).last}"
        paths = (job, f"{job}/outputs", "/api/v1/jobs")
        load = _Load(stack.api.url, paths, client.api_key)
        rows = [
            load.row("running", lambda: None),
            load.row("killed (-9)", lambda: _kill(stack.redis)),
            load.row("running again", lambda: _start(stack.redis)),
        ]
        load.end()
    return "\n".join((f"{CONNECTIONS} connections for {SECONDS} s each.\n", HEADER, *rows))


class _Load:
    """Readers that continue after errors."""

    def __init__(self, url: str, paths: Sequence[str], key: str) -> None:
        self._url = urlsplit(url)
        self._paths = paths
        self._headers = {"Authorization": f"Bearer {key}"}
        self._over = threading.Event()
        self._requests: list[list[Request]] = [[] for _ in range(CONNECTIONS)]
        self._readers = [threading.Thread(target=self._read, args=(requests,)) for requests in self._requests]
        for reader in self._readers:
            reader.start()
        time.sleep(1)  # warm-up

    def row(self, name: str, change: Callable[[], None]) -> str:
        """Apply a change and evaluate the requests that start during the next `SECONDS`."""
        since = time.monotonic()
        change()
        time.sleep(max(0.0, since + SECONDS - time.monotonic()))
        until = time.monotonic()
        report(f"redis {name}: measured")
        requests = [each for some in self._requests for each in list(some) if since <= each.at < until]
        cuts = statistics.quantiles((each.took for each in requests), n=100)
        wrong = sum(each.status not in (0, http.client.OK) for each in requests)
        lost = sum(each.status == 0 for each in requests)
        times = (
            f"{cuts[49] * 1000:.1f} ms | {cuts[98] * 1000:.1f} ms | {max(each.took for each in requests) * 1000:.0f} ms"
        )
        return f"| {name} | {len(requests) / (until - since):.0f} | {times} | {wrong} | {lost} |"

    def end(self) -> None:
        """Stop the readers."""
        self._over.set()
        for reader in self._readers:
            reader.join()

    def _read(self, requests: list[Request]) -> None:
        with closing(http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=30)) as link:
            for path in itertools.cycle(self._paths):
                if self._over.is_set():
                    return
                started, status = time.monotonic(), 0
                with suppress(OSError, http.client.HTTPException):
                    link.request("GET", path, headers=self._headers)
                    response = link.getresponse()
                    response.read()
                    status = response.status
                if not status:
                    link.close()
                requests.append(Request(started, time.monotonic() - started, status))


def _kill(redis: Redis) -> None:
    identity = redis.identity
    if identity is None:
        raise RuntimeError("Redis does not run")
    os.kill(identity.pid, signal.SIGKILL)


def _start(redis: Redis) -> None:
    redis.start()
    redis.wait_ready()
