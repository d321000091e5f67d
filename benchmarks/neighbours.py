"""Two owners, one of them hostile: response times of the other's requests, and the start of its jobs.

The quiet phases are before and after the hostile one, so that a machine which is busy with something else slows down
both.

Once all share all cores, and once the API, its servers and the client that is measured have a core that neither the
worker nor the hostile owner uses: as where the API runs on a machine of its own.
"""

import argparse
import http.client
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

import httpx2
import psycopg

from benchmarks import hostile
from benchmarks.running import FILES, generated_film, home, report, running
from embedded.client import Client
from embedded.home import REPOSITORY, Home
from embedded.product import Worker
from embedded.stack import Stack
from execution import daemons

PAUSE_SECONDS = 0.02
"""Pause between requests of the owner who is measured: a page that somebody looks at."""
QUIET_SECONDS = 10
HOSTILE_SECONDS = 30
DOOMED_JOBS = 900
"""Jobs of the video that is deleted; with those of the flood, an owner may have a thousand."""
_MIN_ANSWERS = 40
"""For a p95 that is not the slowest of a few, on a machine that is busy with something else."""
_WAIT_SECONDS = 300
_CORES = frozenset(os.sched_getaffinity(0))
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Claims of the hostile owner's steps between the moment at which the other's step was ready and its claim. Chunks rank
# by the request, but are ready once the video has been inspected.
_OVERTAKEN = """
SELECT ready.kind, extract(epoch FROM ready.claimed_at - ready.at)::float8,
       (SELECT count(*) FROM jobs_step other WHERE other.owner_id <> ready.owner_id
        AND other.claimed_at > ready.at AND other.claimed_at < ready.claimed_at)
FROM (
    SELECT step.kind, step.owner_id, step.claimed_at, CASE WHEN step.kind = 'inspect' THEN step.created_at ELSE
           greatest(step.created_at, (SELECT max(inspect.finished_at) FROM jobs_step inspect
                                      WHERE inspect.video_id = step.video_id AND inspect.kind = 'inspect')) END AS at
    FROM jobs_step step WHERE step.video_id = %s AND step.claimed_at IS NOT NULL AND step.attempt = 1
      AND (step.kind = 'inspect' OR (step.kind = 'chunk' AND step.ordinal = 0))
) ready
"""
_LONGEST = """
SELECT coalesce(max(extract(epoch FROM finished_at - claimed_at)), 0)::float8 FROM jobs_step
WHERE owner_id = (SELECT owner_id FROM videos_video WHERE id = %s) AND finished_at > claimed_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Start of one step of the owner who is measured."""

    kind: str
    seconds: float
    """From ready to claimed."""
    overtaken: int
    """Steps of the hostile owner that were claimed meanwhile."""


@dataclass(slots=True, kw_only=True)
class Findings:
    """Measurements. Times are in seconds."""

    quiet: list[float] = field(default_factory=list)
    hostile: list[float] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    longest_step: float = 0.0
    """Longest step of the hostile owner."""
    memory: tuple[int, int] = (0, 0)
    """Resident bytes of the API, before and at its peak."""
    answers: dict[str, dict[str, int]] = field(default_factory=dict)
    """Statuses of the answers to the hostile owner, by attack."""

    @property
    def ratio(self) -> float:
        """Return the p95 of the hostile phases over that of the quiet ones."""
        return p95(self.hostile) / p95(self.quiet)


def p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


class Neighbours:
    """A running stack with two owners, each of whom has a video."""

    def __init__(self, stack: Stack, source: Path, *, doomed_jobs: int, hostile_on: Sequence[str] = ()) -> None:
        self._stack = stack
        self._hostile_on = hostile_on
        self._source = source
        self._keys = {name: _new_key(stack, name) for name in ("hostile", "modest")}
        self._doomed_jobs = doomed_jobs
        with self._client("modest") as client:
            self._video = _inspected(client, source)
            self._job = str(client.transcode(self._video, {"preset": "ultrafast"})["id"])
            _finished(client, self._job)
        with self._client("hostile") as client:
            self._attacked = _inspected(client, source)
            self._planned = str(client.transcode(self._attacked, {"preset": "ultrafast"})["id"])

    def measured(self, *, quiet_seconds: float, hostile_seconds: float, log: Path) -> Findings:
        """Measure a quiet phase, a hostile one, and a quiet one. Raises RuntimeError for any answer but 200."""
        found = Findings()
        before = peak = _resident(self._stack)
        found.quiet += self._read(quiet_seconds)
        with self._attack(log, found), self._client("modest") as client:
            ends = time.monotonic() + hostile_seconds
            video = str(client.upload(self._source, lambda _: None)["id"])
            client.transcode(video, {"preset": "ultrafast", "priority": "low"})
            while time.monotonic() < ends or len(found.hostile) < _MIN_ANSWERS or not self._was_started(video):
                found.hostile += self._read(1.0)
                peak = max(peak, _resident(self._stack))
                if time.monotonic() > ends + _WAIT_SECONDS:
                    raise RuntimeError(f"the job was not started, or too little was answered, within {_WAIT_SECONDS} s")
        found.starts = self._starts(video)
        found.memory = (before, peak)
        found.longest_step = self._longest_step()
        self._end_hostile_jobs()
        found.quiet += self._read(quiet_seconds)
        return found

    @contextmanager
    def _attack(self, log: Path, found: Findings) -> Iterator[None]:
        with self._client("hostile") as client:
            doomed = _inspected(client, self._source)
            for _ in range(self._doomed_jobs):
                client.transcode(doomed, {"preset": "ultrafast", "priority": 100})
        arguments = (self._stack.api.url, self._keys["hostile"], self._attacked, self._planned, doomed)
        argv = [*self._hostile_on, sys.executable, "-m", "benchmarks.hostile", *arguments]
        process = daemons.start(argv, log=log, environ=os.environ, folder=REPOSITORY)
        try:
            _wait(lambda: hostile.ATTACKING in log.read_text() or not daemons.alive(process))
            yield
        finally:
            daemons.stop(process, grace_seconds=30)
        found.answers = json.loads(log.read_text().splitlines()[-1])

    def _end_hostile_jobs(self) -> None:
        """Delete the attacked video, and wait until no job of it is open."""

        def deleted() -> bool:
            with self._client("hostile") as client:
                try:
                    client.delete(self._attacked)
                except httpx2.HTTPStatusError:  # its floods have used up its rate
                    return False
            return True

        _wait(deleted)
        _wait(lambda: self._one("SELECT count(*) FROM jobs_job WHERE finished_at IS NULL") == 0)

    def _longest_step(self) -> float:
        return float(self._one(_LONGEST, self._attacked))

    def _one(self, statement: LiteralString, *values: object) -> float:
        with psycopg.connect(self._stack.postgresql.url) as database:
            (value,) = database.execute(statement, values).fetchone() or (0,)
        return float(value)

    def _read(self, seconds: float) -> list[float]:
        """Read the modest owner's documents one after the other, and return how long each took."""
        target = urlsplit(self._stack.api.url)
        paths = cycle((f"/api/v1/jobs/{self._job}", "/api/v1/jobs", f"/api/v1/videos/{self._video}", "/api/v1/videos"))
        headers = {"X-API-Key": self._keys["modest"]}
        until, times = time.monotonic() + seconds, []
        with closing(http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)) as connection:
            while time.monotonic() < until:
                started = time.monotonic()
                connection.request("GET", next(paths), headers=headers)
                response = connection.getresponse()
                response.read()
                times.append(time.monotonic() - started)
                if response.status != http.client.OK:
                    raise RuntimeError(f"the modest owner got {response.status}")
                time.sleep(PAUSE_SECONDS)
        return times

    def _was_started(self, video: str) -> bool:
        return {start.kind for start in self._starts(video)} == {"inspect", "chunk"}

    def _starts(self, video: str) -> list[Start]:
        with psycopg.connect(self._stack.postgresql.url) as database:
            rows = database.execute(_OVERTAKEN, [video]).fetchall()
        return [Start(kind=kind, seconds=seconds, overtaken=overtaken) for kind, seconds, overtaken in rows]

    @contextmanager
    def _client(self, name: str) -> Iterator[Client]:
        with closing(Client(self._stack.api.url, self._keys[name])) as client:
            yield client


class ApartFromWorker(Stack):
    """A stack whose worker is on the last core. Its other processes are where this process is."""

    def __init__(self, home: Home, environ: Mapping[str, str]) -> None:
        super().__init__(home, environ=environ)
        self.worker = _LastCore(home, self._environ)


class _LastCore(Worker):
    def argv(self) -> list[str]:
        return [*_on_last_core(), *super().argv()]


def _on_last_core() -> list[str]:
    return ["taskset", "--cpu-list", str(max(_CORES))]


def measure(options: argparse.Namespace) -> str:  # noqa: ARG001 - the signature of all measurements
    """Return the tables."""
    environ = {**os.environ, "TRANSCODER_RATE_WRITE_PER_MINUTE": "3000"}
    phases = f"{QUIET_SECONDS} s of quiet, {HOSTILE_SECONDS} s of attack, {QUIET_SECONDS} s of quiet."
    shared = _measured(Stack(home(), environ=environ))
    lines = [f"{phases} All processes on all cores:\n", *_rows(shared)]
    if len(_CORES) > 1:
        os.sched_setaffinity(0, _CORES - {max(_CORES)})
        try:
            apart = _measured(ApartFromWorker(home(), environ), hostile_on=_on_last_core())
        finally:
            os.sched_setaffinity(0, _CORES)
        lines += [
            "\nThe worker and the hostile owner on the last core, everything else on the others:\n",
            *_rows(apart),
        ]
    return "\n".join(lines)


def _measured(stack: Stack, *, hostile_on: Sequence[str] = ()) -> Findings:
    source = generated_film(8, size="192x108", audio=True)
    with running(stack):
        neighbours = Neighbours(stack, source, doomed_jobs=DOOMED_JOBS, hostile_on=hostile_on)
        log = FILES / "hostile.log"
        found = neighbours.measured(quiet_seconds=QUIET_SECONDS, hostile_seconds=HOSTILE_SECONDS, log=log)
    for name, statuses in found.answers.items():
        report(f"{name}: {statuses}")
    return found


def _rows(found: Findings) -> Iterator[str]:
    yield "| the other owner | quiet | attacked |\n|---|---|---|"
    for name, of in (("p50", statistics.median), ("p95", p95), ("slowest", max)):
        yield f"| GET, {name} | {1000 * of(found.quiet):.1f} ms | {1000 * of(found.hostile):.1f} ms |"
    yield f"| p95 attacked / quiet | | {found.ratio:.2f} |"
    for kind in ("inspect", "chunk"):
        starts = [start for start in found.starts if start.kind == kind]
        slowest, overtaken = max(start.seconds for start in starts), max(start.overtaken for start in starts)
        yield f"| ready → claimed, {kind}, slowest | | {slowest:.2f} s, after {overtaken} steps of the other |"
    yield f"| longest step of the hostile owner | | {found.longest_step:.2f} s |"
    before, peak = (size / 1024 / 1024 for size in found.memory)
    yield f"| resident memory of the API | {before:.0f} MiB | {peak:.0f} MiB |"
    deleted = found.answers["delete"].get("milliseconds", 0)
    yield f"| DELETE of a video with {DOOMED_JOBS} jobs, behind its owner's other requests | | {deleted} ms |"


def _new_key(stack: Stack, owner: str) -> str:
    command = [sys.executable, "manage.py", "apikey_create", "neighbour", "--owner", owner]
    return daemons.run(command, environ=stack.dispatcher.environ(), folder=REPOSITORY).strip()


def _inspected(client: Client, source: Path) -> str:
    video = str(client.upload(source, lambda _: None)["id"])
    _wait(lambda: client.video(video)["status"] == "ready")
    return video


def _finished(client: Client, job: str) -> None:
    _wait(lambda: datetime.fromisoformat(client.job(job)["finished_at"] or "9999-01-01").year < 9999)  # noqa: PLR2004


def _wait(done: Callable[[], bool]) -> None:
    until = time.monotonic() + _WAIT_SECONDS
    while not done():
        if time.monotonic() > until:
            raise RuntimeError(f"not within {_WAIT_SECONDS} s")
        time.sleep(0.05)


def _resident(stack: Stack) -> int:
    """Return the resident bytes of the API process."""
    identity = stack.api.identity
    if identity is None:
        raise RuntimeError("the API does not run")
    return int(Path(f"/proc/{identity.pid}/statm").read_text().split()[1]) * _PAGE_BYTES
