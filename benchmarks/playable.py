"""Time from the end of an upload until the video is playable, against bare ffmpeg for the same segments."""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg

from benchmarks.bare import GOP_SECONDS, LADDER, one_run
from benchmarks.ratios import HEADER, Ratio, measure_pairs
from benchmarks.running import FILES, home, looped_clip, report, running
from embedded.client import Client
from embedded.stack import Stack
from transcoding.grid import SEGMENT_GOPS

LENGTHS = (10, 60, 600)
"""Seconds of source."""
PLAYABLE_SEGMENTS = 2
"""`videos.selectors.PLAYABLE_SEGMENTS`, which needs Django."""
QUEUED = 8
"""Jobs of another video that are requested when the measured one is planned."""
RENEW_SECONDS = 2
_POLL_SECONDS = 0.02
_RUNNING = "SELECT count(*) FROM jobs_step WHERE state = 'running'"


def measure(options: argparse.Namespace) -> str:
    """Return the table. Jobs are cancelled once they are playable."""
    stack = Stack(home(), environ={**os.environ, "TRANSCODER_LEASE_RENEW_SECONDS": str(RENEW_SECONDS)})
    with running(stack), closing(stack.client()) as client:
        rows = [ratio.line() for ratio in _ratios(stack, client, options.pairs)]
    beginning = f"the first {_beginning_seconds()} s ({PLAYABLE_SEGMENTS} segments)"
    setup = f"The clip of `make run`, looped. Bare ffmpeg decodes once and encodes {beginning} of all rungs."
    return "\n".join((f"{setup}\n", HEADER, *rows))


def _beginning_seconds() -> int:
    return PLAYABLE_SEGMENTS * SEGMENT_GOPS * GOP_SECONDS


def _ratios(stack: Stack, client: Client, pairs: int) -> Iterator[Ratio]:
    def alone(source: Path) -> float:
        return _seconds_to_playable(stack, client, source, lambda: None)

    def before_others(source: Path) -> float:
        other = str(client.upload(source, lambda _: None)["id"])

        def queue() -> None:
            for _ in range(QUEUED):
                client.transcode(other, {"ladder": "auto"})

        seconds = _seconds_to_playable(stack, client, source, queue)
        client.delete(other)
        _until_idle(stack)
        return seconds

    def bare(source: Path) -> float:
        return one_run(source, LADDER, FILES, seconds=_beginning_seconds())

    source = looped_clip(LENGTHS[0])
    alone(source)  # starts the worker's processes
    cases: tuple[tuple[str, Callable[[Path], float], int], ...] = (
        *((f"playable, {seconds} s of source / bare ffmpeg", alone, seconds) for seconds in LENGTHS),
        (f"the same, {QUEUED} jobs queued behind it, {LENGTHS[1]} s", before_others, LENGTHS[1]),
    )
    for name, ours, seconds in cases:
        source = looped_clip(seconds)
        yield measure_pairs(
            name,
            lambda ours=ours, source=source: ours(source),  # type: ignore[misc] # mypy and lambda defaults
            lambda source=source: bare(source),  # type: ignore[misc]
            pairs=pairs,
            report=report,
        )


def _seconds_to_playable(stack: Stack, client: Client, source: Path, then: Callable[[], None]) -> float:
    """Upload a source and transcode it. `then` runs once the job is planned. Raises RuntimeError when it fails."""
    video = str(client.upload(source, lambda _: None)["id"])
    uploaded = time.monotonic()
    job = client.transcode(video, {"ladder": "auto"})
    planned = False
    while job["playable_at"] is None:
        if not planned and job["phase"] != "inspecting":
            planned = True
            then()
        if job["state"] in ("failed", "cancelled"):
            raise RuntimeError(f"job {job['id']} {job['state']}: {job['error']}")
        time.sleep(_POLL_SECONDS)
        job = client.job(job["id"])
    seconds = time.monotonic() - uploaded
    client.delete(video)
    _until_idle(stack)
    return seconds


def _until_idle(stack: Stack) -> None:
    """Wait until no step runs, and the ffmpeg of cancelled ones has ended."""
    with psycopg.connect(stack.postgresql.url, autocommit=True) as database:
        while database.execute(_RUNNING).fetchone() != (0,):
            time.sleep(_POLL_SECONDS)
    time.sleep(2 * RENEW_SECONDS)
