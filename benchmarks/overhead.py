"""Whole jobs against plain ffmpeg commands with the same encoder settings, on one source."""

import argparse
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.bare import LADDER, one_run, run_per_rung
from benchmarks.end_to_end import JobsUnderTest
from benchmarks.ratios import HEADER, Ratio, measure_pairs
from benchmarks.running import FILES, home, looped_clip, report, running
from embedded.stack import Stack


def measure(options: argparse.Namespace) -> str:
    """Return the table."""
    stack = Stack(home())
    source = looped_clip(options.seconds)
    with running(stack), closing(stack.client()) as client:
        rows = [ratio.line() for ratio in _ratios(JobsUnderTest(client, source), source, options.pairs)]
    return "\n".join((f"The clip of `make run`, looped to {options.seconds} s.\n", HEADER, *rows))


def _ratios(jobs: JobsUnderTest, source: Path, pairs: int) -> Iterator[Ratio]:
    top = LADDER[:1]

    def ladder_job() -> float:
        return jobs.run({"ladder": "auto"})

    yield measure_pairs(
        "one-rung job / one bare ffmpeg",
        lambda: jobs.run({"resolution": top[0].name}),
        lambda: one_run(source, top, FILES),
        pairs=pairs,
        report=report,
    )
    yield measure_pairs(
        "ladder job / one bare ffmpeg that decodes once",
        ladder_job,
        lambda: one_run(source, LADDER, FILES),
        pairs=pairs,
        report=report,
    )
    yield measure_pairs(
        "ladder job / one bare ffmpeg per rung",
        ladder_job,
        lambda: run_per_rung(source, LADDER, FILES),
        pairs=pairs,
        report=report,
    )
