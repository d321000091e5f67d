"""GET /jobs/{id} with and without the cache, on two API processes of the same site, under the same load."""

import argparse
import http.client
import os
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.end_to_end import JobsUnderTest
from benchmarks.running import home, made_film, running, say
from embedded.product import Api
from embedded.stack import Stack

CONNECTIONS = 8
SECONDS = 5
UNBOUNDED = {"TRANSCODER_RATE_READ_PER_MINUTE": "100000000"}
"""The rate is kept, and never reached."""
_TICKS = os.sysconf("SC_CLK_TCK")


class UncachedApi(Api):
    """The same API, which makes every answer anew."""

    name = "api-uncached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one API process did under a load: requests per second, milliseconds, and processor time of its own."""

    name: str
    per_second: float
    p50: float
    p99: float
    cpu: float

    def line(self) -> str:
        """One row of the table in docs/benchmarks.md."""
        return f"| {self.name} | {self.per_second:.0f} | {self.p50:.1f} ms | {self.p99:.1f} ms | {self.cpu:.2f} ms |"


HEADER = """\
| GET | requests per second | p50 | p99 | processor time of the API per request |
|---|---|---|---|---|"""


def measure(options: argparse.Namespace) -> str:  # noqa: ARG001 - what every measurement is given
    """Return the table."""
    stack = Stack(home(), environ={**os.environ, **UNBOUNDED})
    source = made_film(1, size="320x180", sound=False)
    with running(stack), closing(stack.client()) as client:
        jobs = JobsUnderTest(client, source)
        rows = [load.line() for load in _loads(stack, jobs.last, client.api_key)]
    return "\n".join((f"{CONNECTIONS} connections for {SECONDS} s each.\n", HEADER, *rows))


def _loads(stack: Stack, job: str, key: str) -> Iterator[Load]:
    """Both APIs in turn, twice each, so that drift of the machine shows."""
    address = f"/api/v1/jobs/{job}"
    uncached = _uncached(stack)
    try:
        for what, path in {"job": address, "outputs": f"{address}/outputs", "jobs": "/api/v1/jobs"}.items():
            for api, how in ((uncached, "not cached"), (stack.api, "cached")) * 2:
                yield _measured(api, f"{what}, {how}", path, key=key)
                say(f"{what} {how}: measured")
    finally:
        uncached.close()


def _measured(api: Api, name: str, path: str, *, key: str) -> Load:
    """Ask as fast as answers come, over so many connections that stay open. Raises RuntimeError for any but 200."""
    identity = api.identity
    if identity is None:
        raise RuntimeError(f"{api.name} does not run")
    until = time.monotonic() + SECONDS
    taken: list[list[float]] = [[] for _ in range(CONNECTIONS)]
    askers = [threading.Thread(target=_ask, args=(api.url, path, key, until, times)) for times in taken]
    began, cpu = time.monotonic(), _cpu_seconds(identity.pid)
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    elapsed = time.monotonic() - began
    times = [each for some in taken for each in some]
    return _load(name, times, elapsed, _cpu_seconds(identity.pid) - cpu)


def _uncached(stack: Stack) -> UncachedApi:
    """The other API process, started."""
    api = UncachedApi(stack.home, {**stack.api.environ(), "TRANSCODER_ENABLE_CACHE": "false"})
    api.start()
    api.wait_ready()
    return api


def _load(name: str, times: Sequence[float], elapsed: float, cpu: float) -> Load:
    cuts = statistics.quantiles(times, n=100)
    return Load(
        name=name,
        per_second=len(times) / elapsed,
        p50=cuts[49] * 1000,
        p99=cuts[98] * 1000,
        cpu=cpu / len(times) * 1000,
    )


def _ask(url: str, path: str, key: str, until: float, times: list[float]) -> None:
    address = urlsplit(url)
    headers = {"Authorization": f"Bearer {key}"}
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)) as connection:
        while time.monotonic() < until:
            began = time.monotonic()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.client.OK:
                raise RuntimeError(f"{path} answered {answer.status}")
            times.append(time.monotonic() - began)


def _cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
