"""A thousand players of one live stream: delay of playlists, and what they cost the API."""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.running import home, report, running
from embedded.home import REPOSITORY
from embedded.stack import Stack

TITLE = "playlist: "
"""Beginning of the line in which the publisher names one."""
PLAYERS = 1000
SECONDS = 40
_WARM_UP_SECONDS = 8
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Published:
    """A moment (monotonic seconds) at which a part or, with part -1, a segment was about to be published."""

    segment: int
    part: int
    at: float

    @classmethod
    def read(cls, line: str) -> "Published":
        segment, part, at = line.split()
        return cls(int(segment), int(part), float(at))

    def __str__(self) -> str:
        return f"{self.segment} {self.part} {self.at}"


@dataclass(frozen=True)
class Load:
    """Requests of one player."""

    name: str
    latency: str
    blocking: bool


LOADS = (
    Load("normal latency, a request every two seconds", "normal", blocking=False),
    Load("normal latency, blocking reload", "normal", blocking=True),
    Load("low latency, blocking reload of parts", "low", blocking=True),
)


@dataclass
class Seen:
    """Answers that players got: when, and the newest that was in them."""

    at: list[tuple[float, float, int, int]] = field(default_factory=list)
    """Time of the request, of the whole answer (monotonic seconds), newest segment and part; part -1: a whole one."""
    failed: int = 0


def measure(options: argparse.Namespace) -> str:  # noqa: ARG001 - the signature of all measurements
    """Return the table. Raises RuntimeError if requests failed."""
    stack = Stack(home(), environ={**os.environ, "TRANSCODER_RATE_PLAY_PER_MINUTE": "100000000"})
    with running(stack):
        identity = stack.api.identity
        if identity is None:
            raise RuntimeError("the API does not run")
        environ = {**stack.dispatcher.environ(), "DJANGO_SETTINGS_MODULE": "transcoder_site.settings"}
        rows = [_row(load, stack.api.url, identity.pid, environ) for load in LOADS]
    head = "| load | requests/s | answered in p50, p99 | behind the publisher p50, p99 | CPU of the API | per player |"
    return "\n".join((f"{PLAYERS} players of one process for {SECONDS} s.\n", head, "|---|---|---|---|---|---|", *rows))


def _row(load: Load, url: str, pid: int, environ: dict[str, str]) -> str:
    report(load.name)
    command = [sys.executable, "-m", "benchmarks.publishing", load.latency]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as publisher:
        if publisher.stdout is None or publisher.stdin is None:
            raise RuntimeError("the publisher has no pipes")
        path = next(line for line in publisher.stdout if line.startswith(TITLE)).removeprefix(TITLE).strip()
        seen, cpu, seconds = asyncio.run(_play(load, url, path, pid))
        publisher.stdin.close()
        published = [Published.read(line) for line in publisher.stdout]
    if seen.failed:
        raise RuntimeError(f"{seen.failed} requests failed")
    answered = [end - start for start, end, *_ in seen.at]
    known = {(each.segment, each.part): each.at for each in published}
    behind = [end - known[segment, part] for _, end, segment, part in seen.at if (segment, part) in known]
    figures = [
        load.name,
        f"{len(seen.at) / seconds:.0f}",
        "" if load.blocking else _percentiles(answered),
        _percentiles(behind) if load.blocking else "",
        f"{100 * cpu / seconds:.0f} % of a core",
        f"{1_000_000 * cpu / seconds / PLAYERS:.0f} µs/s",
    ]
    return f"| {' | '.join(figures)} |"


def _percentiles(values: Sequence[float]) -> str:
    cuts = statistics.quantiles(values, n=100)
    return f"{1000 * cuts[49]:.0f} ms, {1000 * cuts[98]:.0f} ms"


async def _play(load: Load, url: str, path: str, pid: int) -> tuple[Seen, float, float]:
    target, seen, ends = urlsplit(url), Seen(), asyncio.Event()
    host, port = str(target.hostname), target.port or 80
    players = [
        asyncio.create_task(_player(load, host, port, path, seen, ends, number / PLAYERS)) for number in range(PLAYERS)
    ]
    await asyncio.sleep(_WARM_UP_SECONDS)
    seen.at.clear()
    cpu, started = _cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(SECONDS)
    used, seconds = _cpu_seconds(pid) - cpu, time.monotonic() - started
    found = Seen(list(seen.at), seen.failed)
    ends.set()
    for player in players:
        player.cancel()
    await asyncio.gather(*players, return_exceptions=True)
    return found, used, seconds


async def _player(  # noqa: PLR0913, PLR0917 - all of a player
    load: Load, host: str, port: int, path: str, seen: Seen, ends: asyncio.Event, phase: float
) -> None:
    await asyncio.sleep(2 * phase)
    reader, writer = await asyncio.open_connection(host, port)
    query = ""
    while not ends.is_set():
        started = time.monotonic()
        writer.write(f"GET {path}{query} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: player {phase}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = (await reader.readexactly(length)).decode()
        if b" 200 " not in head[:20]:
            seen.failed += 1
        segment, part = _newest(body)
        seen.at.append((started, time.monotonic(), segment, part))
        if not load.blocking:
            await asyncio.sleep(2)
        elif load.latency == "low":
            following = (segment + 1, 0) if part < 0 else (segment, part + 1)
            query = f"?_HLS_msn={following[0]}&_HLS_part={following[1]}"
        else:
            query = f"?_HLS_msn={segment + 1}"


def _newest(playlist: str) -> tuple[int, int]:
    """Return the newest segment of a playlist and -1, or the segment and number of its newest part behind that."""
    names = [line for line in playlist.splitlines() if line.endswith(".m4s") or line.startswith("#EXT-X-PART:")]
    last = names[-1]
    if last.startswith("#"):
        segment, part, *_ = last.partition('URI="')[2].split(".")
        return int(segment), int(part)
    return int(last.partition(".")[0]), -1


def _cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
