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
from benchmarks.running import generated_film, home, report, running
from embedded.product import Api
from embedded.stack import Stack

CONNECTIONS = 8
SECONDS = 5
UNBOUNDED = {"TRANSCODER_RATE_READ_PER_MINUTE": "100000000"}
"""The rate limit is checked but never reached."""
_TICKS = os.sysconf("SC_CLK_TCK")


class UncachedApi(Api):
    """The same API without the response cache."""

    name = "api-uncached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Result of one API process under load."""

    name: str
    per_second: float
    """Requests per second."""
    p50: float
    """Response time in ms, as `p99`."""
    p99: float
    cpu: float
    """CPU time of the API process per request, in ms."""

    def line(self) -> str:
        """Format a row of the table in docs/benchmarks.md."""
        return f"| {self.name} | {self.per_second:.0f} | {self.p50:.1f} ms | {self.p99:.1f} ms | {self.cpu:.2f} ms |"


HEADER = """\
| GET | requests per second | p50 | p99 | CPU time of the API per request |
|---|---|---|---|---|"""


def measure(options: argparse.Namespace) -> str:  # noqa: ARG001 - the signature of all measurements
    """Return the table."""
    stack = Stack(home(), environ={**os.environ, **UNBOUNDED})
    source = generated_film(1, size="320x180", audio=False)
    with running(stack), closing(stack.client()) as client:
        jobs = JobsUnderTest(client, source)
        rows = [load.line() for load in _loads(stack, jobs.last, client.api_key)]
    return "\n".join((f"{CONNECTIONS} connections for {SECONDS} s each.\n", HEADER, *rows))


def _loads(stack: Stack, job: str, key: str) -> Iterator[Load]:
    """Measure both APIs in turn, twice each, so that drift of the machine becomes visible."""
    job_path = f"/api/v1/jobs/{job}"
    uncached = uncached_api(stack)
    try:
        for name, path in {"job": job_path, "outputs": f"{job_path}/outputs", "jobs": "/api/v1/jobs"}.items():
            for api, caching in ((uncached, "not cached"), (stack.api, "cached")) * 2:
                yield _measured(api, f"{name}, {caching}", path, key=key)
                report(f"{name} {caching}: measured")
    finally:
        uncached.close()


def _measured(api: Api, name: str, path: str, *, key: str) -> Load:
    """Send requests without pauses over `CONNECTIONS` open connections. Raises RuntimeError for any status but 200."""
    identity = api.identity
    if identity is None:
        raise RuntimeError(f"{api.name} does not run")
    until = time.monotonic() + SECONDS
    taken: list[list[float]] = [[] for _ in range(CONNECTIONS)]
    readers = [threading.Thread(target=_read, args=(api.url, path, key, until, times)) for times in taken]
    started, cpu = time.monotonic(), _cpu_seconds(identity.pid)
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    elapsed = time.monotonic() - started
    times = [each for some in taken for each in some]
    return _load(name, times, elapsed, _cpu_seconds(identity.pid) - cpu)


def uncached_api(stack: Stack) -> UncachedApi:
    """Start the API process without the cache."""
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


def _read(url: str, path: str, key: str, until: float, times: list[float]) -> None:
    target = urlsplit(url)
    headers = {"Authorization": f"Bearer {key}"}
    with closing(http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)) as connection:
        while time.monotonic() < until:
            started = time.monotonic()
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            response.read()
            if response.status != http.client.OK:
                raise RuntimeError(f"{path} answered {response.status}")
            times.append(time.monotonic() - started)


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
