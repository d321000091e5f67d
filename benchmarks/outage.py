"""Response times and failures of the API while Redis is killed and started again, under requests on a fixed schedule.

The schedule does not wait for responses, and a response time counts from the moment at which its request was due. So a
pause of the API shows in all requests that were due meanwhile.
"""

import argparse
import http.client
import itertools
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.cache import CONNECTIONS, UNBOUNDED, uncached_api
from benchmarks.end_to_end import JobsUnderTest
from benchmarks.running import generated_film, home, report, running
from embedded.product import Api
from embedded.servers import Redis
from embedded.stack import Stack

CAPACITY_SECONDS = 10
SHARE = 0.6
"""Rate of the schedule, as a share of the capacity."""
CLIENTS = 64
"""Connections of the schedule: requests that may be open at a time. As many as the API has threads."""
HEADER = """\
| API, requests per second | Redis | requests | p50 | p99 | slowest | other responses than 200 | connections lost |
|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its response."""

    due: float
    """Monotonic time at which it had to be sent."""
    took: float
    """Seconds from then until the response was complete."""
    status: int
    """HTTP status; 0: the connection was lost."""


@dataclass(frozen=True, slots=True)
class Target:
    """Paths of one API process."""

    url: str
    paths: Sequence[str]
    key: str


def measure(options: argparse.Namespace) -> str:
    """Return the table."""
    seconds: int = options.outage_seconds
    stack = Stack(home(), environ={**os.environ, **UNBOUNDED})
    source = generated_film(1, size="320x180", audio=False)
    with running(stack), closing(stack.client()) as client, closing(uncached_api(stack)) as uncached:
        job = f"/api/v1/jobs/{JobsUnderTest(client, source).last}"

        def target(api: Api) -> Target:
            return Target(api.url, (job, f"{job}/outputs", "/api/v1/jobs"), client.api_key)

        without, cached = _capacity(target(uncached)), _capacity(target(stack.api))
        loads = (
            ("not cached", target(uncached), without),
            ("cached", target(stack.api), without),
            ("cached", target(stack.api), cached),
        )
        rows = [row for load in loads for row in _rows(*load, stack.redis, seconds)]
    about = (
        f"Capacity: {without:.0f} requests per second not cached, {cached:.0f} cached ({CONNECTIONS} connections for"
        f" {CAPACITY_SECONDS} s each). Then {SHARE:.0%} of either for {seconds} s over {CLIENTS} connections.\n"
    )
    return "\n".join((about, HEADER, *rows))


def _capacity(target: Target) -> float:
    """Return the requests per second that the API responds to when each connection sends the next one at once."""
    _send(target, _at_once(1), CONNECTIONS)  # warm-up
    return len(_send(target, _at_once(CAPACITY_SECONDS), CONNECTIONS)) / CAPACITY_SECONDS


def _rows(name: str, target: Target, capacity: float, redis: Redis, seconds: int) -> Iterator[str]:
    """Send on schedule. Kill Redis after the first third, and start it after the second."""
    rate = capacity * SHARE
    start = time.monotonic()
    killed, restarted, end = (start + seconds * third / 3 for third in (1, 2, 3))
    interruption = threading.Thread(target=_interrupt, args=(redis, killed, restarted))
    interruption.start()
    requests = _send(target, (start + number / rate for number in range(int(rate * seconds))), CLIENTS)
    interruption.join()
    report(f"{name}, {rate:.0f} requests per second: measured")
    for state, since, until in (
        ("running", start, killed),
        ("killed (-9)", killed, restarted),
        ("running again", restarted, end),
    ):
        yield _row(f"{name}, {rate:.0f}", state, [each for each in requests if since <= each.due < until])


def _row(name: str, state: str, requests: Sequence[Request]) -> str:
    times = [each.took * 1000 for each in requests]
    cuts = statistics.quantiles(times, n=100)
    wrong = sum(each.status not in (0, http.client.OK) for each in requests)
    lost = sum(each.status == 0 for each in requests)
    slowest = f"{cuts[49]:.0f} ms | {cuts[98]:.0f} ms | {max(times):.0f} ms"
    return f"| {name} | {state} | {len(requests)} | {slowest} | {wrong} | {lost} |"


def _at_once(seconds: float) -> Iterator[float]:
    """Yield the present moment until the time is over."""
    until = time.monotonic() + seconds
    while (now := time.monotonic()) < until:
        yield now


def _send(target: Target, due: Iterator[float], connections: int) -> list[Request]:
    """Send a request at each of these moments, to the paths in turn; later when no connection is free."""
    schedule = zip(due, itertools.cycle(target.paths), strict=False)
    lock = threading.Lock()
    requests: list[list[Request]] = [[] for _ in range(connections)]
    senders = [threading.Thread(target=_send_some, args=(target, schedule, lock, some)) for some in requests]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return [each for some in requests for each in some]


def _send_some(
    target: Target, schedule: Iterator[tuple[float, str]], lock: threading.Lock, requests: list[Request]
) -> None:
    """Take the next request of the schedule and send it when it is due, over one connection, until there is none."""
    url, headers = urlsplit(target.url), {"Authorization": f"Bearer {target.key}"}
    with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)) as connection:
        while True:
            with lock:
                due, path = next(schedule, (None, ""))
            if due is None:
                return
            time.sleep(max(0.0, due - time.monotonic()))
            status = 0
            with suppress(OSError, http.client.HTTPException):
                connection.request("GET", path, headers=headers)
                response = connection.getresponse()
                response.read()
                status = response.status
            if not status:
                connection.close()
            requests.append(Request(due, time.monotonic() - due, status))


def _interrupt(redis: Redis, kill_at: float, start_at: float) -> None:
    """Kill Redis and start it again."""
    identity = redis.identity
    if identity is None:
        raise RuntimeError("Redis does not run")
    time.sleep(max(0.0, kill_at - time.monotonic()))
    os.kill(identity.pid, signal.SIGKILL)
    time.sleep(max(0.0, start_at - time.monotonic()))
    redis.start()
    redis.wait_ready()
