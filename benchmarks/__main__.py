"""`python -m benchmarks [--only encode|cache] [--pairs N] [--seconds N]`: what encoding and reading cost.

The results go to docs/benchmarks.md.
"""

import argparse
import os
import platform
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks import cached_reads
from benchmarks.bare import LADDER, one_run, run_per_rung
from benchmarks.end_to_end import JobsUnderTest
from benchmarks.ratios import HEADER, Ratio, measure_pairs
from configuration import ExecutionConfig, LimitConfig
from embedded.home import REPOSITORY, Home
from embedded.stack import Stack
from execution.ffmpeg import FfmpegRunner
from transcoding.commands import FfmpegCommand, Input, Output

HOME = REPOSITORY / ".vodmill" / "bench"
READ_SECONDS = 5
UNBOUNDED = {"TRANSCODER_RATE_READ_PER_MINUTE": "100000000", "TRANSCODER_RATE_WRITE_PER_MINUTE": "100000000"}
"""Rates are kept, and never reached."""
CLIP = REPOSITORY / ".vodmill" / "media" / "clip.mp4"


def main() -> int:
    """Measure, print the table, and end what was started."""
    options = _options()
    folder = HOME / "files"
    folder.mkdir(parents=True, exist_ok=True)
    source = _source(folder, options.seconds)
    with _stack() as stack, closing(stack.client()) as client:
        jobs = JobsUnderTest(client, source)
        ratios = list(_measure(jobs, source, folder, options.pairs)) if options.only != "cache" else []
        loads = list(_measure_reads(stack, jobs.last, client.api_key)) if options.only != "encode" else []
    _print(f"\n{_machine()}; the clip of `make run` looped to {options.seconds} s")
    for header, rows in ((HEADER, ratios), (cached_reads.HEADER, loads)):
        if rows:
            _print("\n".join(["", header, *(row.line() for row in rows)]))
    return 0


def _measure_reads(stack: Stack, job: str, key: str) -> Iterator[cached_reads.Load]:
    """Both APIs in turn, twice each, so that drift of the machine shows."""
    uncached = cached_reads.uncached(stack)
    try:
        for what, path in {
            "job": f"/api/v1/jobs/{job}",
            "outputs": f"/api/v1/jobs/{job}/outputs",
            "jobs": "/api/v1/jobs",
        }.items():
            for api, how in ((uncached, "anew"), (stack.api, "kept")) * 2:
                yield cached_reads.measure(api, f"{what}, {how}", path, key=key, seconds=READ_SECONDS)
                _print(f"{what} {how} measured")
    finally:
        uncached.close()


def _measure(jobs: JobsUnderTest, source: Path, folder: Path, pairs: int) -> Iterator[Ratio]:
    top = LADDER[:1]

    def ladder_job() -> float:
        return jobs.run({"ladder": "auto"})

    yield measure_pairs(
        "one-rung job / one bare ffmpeg",
        lambda: jobs.run({"resolution": top[0].name}),
        lambda: one_run(source, top, folder),
        pairs=pairs,
        say=_print,
    )
    yield measure_pairs(
        "ladder job / one bare ffmpeg that decodes once",
        ladder_job,
        lambda: one_run(source, LADDER, folder),
        pairs=pairs,
        say=_print,
    )
    yield measure_pairs(
        "ladder job / one bare ffmpeg per rung",
        ladder_job,
        lambda: run_per_rung(source, LADDER, folder),
        pairs=pairs,
        say=_print,
    )


def _source(folder: Path, seconds: int) -> Path:
    """The clip, looped without encoding to the wanted length."""
    path = folder / f"source-{seconds}.mp4"
    if not path.exists():
        command = FfmpegCommand(
            inputs=(Input(path=str(CLIP), options={"stream_loop": "-1"}),),
            outputs=(Output(target="source", maps=("0",), options={"c": "copy", "t": str(seconds)}),),
        )
        FfmpegRunner(ExecutionConfig(), LimitConfig()).run(command, {"source": path}, stop=threading.Event())
    return path


@contextmanager
def _stack() -> Iterator[Stack]:
    stack = Stack(Home(HOME), environ={**os.environ, **UNBOUNDED})
    try:
        stack.start(_print)
        yield stack
    finally:
        stack.close(_print)
        shutil.rmtree(HOME, ignore_errors=True)


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=("encode", "cache"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=60)
    return parser.parse_args()


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
