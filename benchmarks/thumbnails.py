"""Processor time of the images of a video against that of its ladder."""

import argparse
import os
import time
from contextlib import closing

from benchmarks.end_to_end import JobsUnderTest
from benchmarks.running import home, looped_clip, running
from embedded.client import Client
from embedded.stack import Stack
from execution.process import processor_seconds

_POLL_SECONDS = 0.2
_PAUSE_SECONDS = 1.0
_SETTINGS = {
    "TRANSCODER_THUMBNAILS": "false",
    "TRANSCODER_ISOLATION": "none",  # a sandbox does not pass on what its programs have used
}


def measure(options: argparse.Namespace) -> str:
    """Encode a ladder and make the images of its video, in turn. Returns the table."""
    stack = Stack(home(), environ={**os.environ, **_SETTINGS})
    source = looped_clip(options.seconds)
    with running(stack), closing(stack.client()) as client:
        jobs = JobsUnderTest(client, source)
        rounds = [_round(stack, client, jobs) for _ in range(options.pairs)]
    ladder, images = (min(each) for each in zip(*rounds, strict=True))
    return f"""\
The clip of `make run`, looped to {options.seconds} s.
Processor time of the worker and all programs that it starts, the least of {options.pairs} rounds in turn.

| | processor time |
|---|---|
| the ladder | {ladder:.1f} s |
| poster, thumbnails, sprite sheets, preview | {images:.2f} s |
| ratio | {images / ladder:.3f} |"""


def _round(stack: Stack, client: Client, jobs: JobsUnderTest) -> tuple[float, float]:
    before = _spent(stack)
    jobs.run({"thumbnails": False})
    encoded = _spent(stack)
    client.make_thumbnails(jobs.video)
    while (thumbnails := client.video(jobs.video)["thumbnails"])["state"] == "pending":
        time.sleep(_POLL_SECONDS)
    if thumbnails["state"] != "ready":
        raise RuntimeError(f"the images are {thumbnails['state']}: {thumbnails['error']}")
    return encoded - before, _spent(stack) - encoded


def _spent(stack: Stack) -> float:
    """Return the processor seconds of the worker so far, once the programs of its last step have ended."""
    time.sleep(_PAUSE_SECONDS)
    if stack.worker.identity is None:
        raise RuntimeError("the worker does not run")
    return processor_seconds(stack.worker.identity.pid)
