"""What readers of one API process notice when Redis is killed under load, and when it is there again."""

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
from benchmarks.running import home, made_film, running, say
from embedded.servers import Redis
from embedded.stack import Stack

SECONDS = 5
HEADER = """\
| Redis | requests per second | p50 | p99 | slowest | other responses than 200 | connections lost |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when it began, seconds until it was answered, and the status; 0: the connection was lost."""

    at: float
    took: float
    status: int


def measure(options: argparse.Namespace) -> str:  # noqa: ARG001 - what every measurement is given
    """Return the table."""
    stack = Stack(home(), environ={**os.environ, **UNBOUNDED})
    source = made_film(1, size="320x180", sound=False)
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
    """Readers that go on whatever they are answered."""

    def __init__(self, url: str, paths: Sequence[str], key: str) -> None:
        self._address = urlsplit(url)
        self._paths = paths
        self._headers = {"Authorization": f"Bearer {key}"}
        self._over = threading.Event()
        self._asked: list[list[Asked]] = [[] for _ in range(CONNECTIONS)]
        self._askers = [threading.Thread(target=self._ask, args=(asked,)) for asked in self._asked]
        for asker in self._askers:
            asker.start()
        time.sleep(1)  # whatever is slow the first time is over

    def row(self, name: str, change: Callable[[], None]) -> str:
        """Change something and look at the requests that begin from then on."""
        since = time.monotonic()
        change()
        time.sleep(max(0.0, since + SECONDS - time.monotonic()))
        until = time.monotonic()
        say(f"redis {name}: measured")
        asked = [each for some in self._asked for each in list(some) if since <= each.at < until]
        cuts = statistics.quantiles((each.took for each in asked), n=100)
        wrong = sum(each.status not in (0, http.client.OK) for each in asked)
        lost = sum(each.status == 0 for each in asked)
        times = (
            f"{cuts[49] * 1000:.1f} ms | {cuts[98] * 1000:.1f} ms | {max(each.took for each in asked) * 1000:.0f} ms"
        )
        return f"| {name} | {len(asked) / (until - since):.0f} | {times} | {wrong} | {lost} |"

    def end(self) -> None:
        """Stop asking."""
        self._over.set()
        for asker in self._askers:
            asker.join()

    def _ask(self, asked: list[Asked]) -> None:
        with closing(http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=30)) as link:
            for path in itertools.cycle(self._paths):
                if self._over.is_set():
                    return
                began, status = time.monotonic(), 0
                with suppress(OSError, http.client.HTTPException):
                    link.request("GET", path, headers=self._headers)
                    answer = link.getresponse()
                    answer.read()
                    status = answer.status
                if not status:
                    link.close()
                asked.append(Asked(began, time.monotonic() - began, status))


def _kill(redis: Redis) -> None:
    identity = redis.identity
    if identity is None:
        raise RuntimeError("Redis does not run")
    os.kill(identity.pid, signal.SIGKILL)


def _start(redis: Redis) -> None:
    redis.start()
    redis.wait_ready()
