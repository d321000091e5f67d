"""One long film: seconds until it is playable and complete, peak memory, peak disk."""

import argparse
from contextlib import closing

from benchmarks.peaks import Peaks
from benchmarks.running import HOME, generated_film, home, running
from embedded.pipeline import run_pipeline
from embedded.stack import Stack
from embedded.terminal import Terminal

GIB = 1 << 30


def measure(options: argparse.Namespace) -> str:
    """Return the table. Raises RuntimeError when the job does not complete."""
    stack = Stack(home())
    source = generated_film(options.film_seconds, size="1920x1080", audio=True)
    with running(stack), closing(stack.client()) as client:
        processes = [service.identity.pid for service in (stack.worker, stack.api) if service.identity]
        with Peaks(processes, HOME / "scratch") as peaks:
            film = run_pipeline(source, client=client, terminal=Terminal(), check=lambda: None)
    if film["state"] != "completed":
        raise RuntimeError(f"the job {film['state']}: {film['error']}")
    rungs = ", ".join(rendition["name"] for rendition in film["renditions"])
    return f"""\
{options.film_seconds} s of 1920x1080 at 25 frames per second with audio, {_gib(source.stat().st_size)}, into {rungs}.
Seconds count from the end of the upload.

| | |
|---|---|
| playable after | {film["seconds_to_playable"]:.1f} s |
| complete after | {film["seconds_total"]:.1f} s |
| peak memory of the worker, its children and the API (sum of RSS) | {_gib(peaks.memory)} |
| peak disk usage of the scratch folder and the source cache | {_gib(peaks.disk)} |"""


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
