"""GET /jobs/{id} with and without the cache, on two API processes of the same site, under the same load."""

import http.client
import os
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from embedded.product import Api
from embedded.stack import Stack

CONNECTIONS = 8
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


def measure(api: Api, name: str, path: str, *, key: str, seconds: float) -> Load:
    """Ask as fast as answers come, over so many connections that stay open. Raises RuntimeError for any but 200."""
    identity = api.identity
    if identity is None:
        raise RuntimeError(f"{api.name} does not run")
    until = time.monotonic() + seconds
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


def uncached(stack: Stack) -> UncachedApi:
    """The other API process, started."""
    api = UncachedApi(stack.home, {**stack.api.environ(), "TRANSCODER_ENABLECACHE": "false"})
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
