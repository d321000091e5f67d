"""Latency from a ready step to its start of ffmpeg, on an idle worker.

The database has the times of ready and claimed; a script that stands for ffmpeg logs its start.
"""

import argparse
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

import psycopg

from benchmarks.end_to_end import JobsUnderTest
from benchmarks.running import FFMPEG, FILES, generated_film, home, report, running
from embedded.stack import Stack

_SCRIPT = """#!/bin/sh
echo "$PPID $(date +%s.%N)" >> '{log}'
exec '{ffmpeg}' "$@"
"""
_CHUNKS = """
SELECT rank_at + lead_seconds * interval '1 second', claimed_at, worker_pid FROM jobs_step
WHERE kind = 'chunk' AND state = 'done' ORDER BY claimed_at
"""


def measure(options: argparse.Namespace) -> str:
    """Run jobs of one small step, one after the other. Returns the table."""
    bench_home, log = home(), FILES / "starts"
    environ = {"TRANSCODER_FFMPEG_PATH": str(_logging_ffmpeg(log)), "TRANSCODER_ISOLATION": "none"}
    stack = Stack(bench_home, environ={**os.environ, **environ})  # a jail would keep the script from its log
    source = generated_film(1, size="320x180", audio=False)
    with running(stack), closing(stack.client()) as client:
        jobs = JobsUnderTest(client, source)
        for _ in range(options.steps):
            jobs.run({"preset": "ultrafast"})
        with psycopg.connect(stack.postgresql.url) as database:
            steps = database.execute(_CHUNKS).fetchall()[1:]  # the first one started the worker's processes
    claimed = [(claim - ready).total_seconds() for ready, claim, _ in steps]
    started = list(_until_started(steps, _starts(log)))
    report(f"ready to start, in seconds: {', '.join(f'{seconds:.3f}' for seconds in started)}")
    return "\n".join(
        (
            f"{len(steps)} steps, one at a time.\n",
            "| | p50 | p95 |\n|---|---|---|",
            _row("step ready → claimed", claimed),
            _row("step ready → ffmpeg started", started),
        )
    )


def _logging_ffmpeg(log: Path) -> Path:
    script = FILES / "ffmpeg"
    script.write_text(_SCRIPT.format(log=log, ffmpeg=FFMPEG))
    script.chmod(0o755)
    return script


def _starts(log: Path) -> list[tuple[int, float]]:
    """Read the parent's pid and the time of each start of ffmpeg."""
    lines = (line.split() for line in log.read_text().splitlines())
    return [(int(parent), float(moment)) for parent, moment in lines]


def _until_started(
    steps: Sequence[tuple[datetime, datetime, int]], starts: Sequence[tuple[int, float]]
) -> Iterator[float]:
    for ready, claim, pid in steps:
        yield min(at for parent, at in starts if parent == pid and at >= claim.timestamp()) - ready.timestamp()


def _row(name: str, seconds: Sequence[float]) -> str:
    p95 = statistics.quantiles(seconds, n=20, method="inclusive")[-1]
    return f"| {name} | {1000 * statistics.median(seconds):.0f} ms | {1000 * p95:.0f} ms |"
