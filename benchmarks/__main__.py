"""`python -m benchmarks [--pairs N] [--seconds N]`: what vodmill costs over bare ffmpeg.

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

from benchmarks.bare import LADDER, one_run, run_per_rung
from benchmarks.end_to_end import JobsUnderTest
from benchmarks.ratios import HEADER, Ratio, measure_pairs
from configuration import ExecutionConfig, LimitConfig
from embedded.home import REPOSITORY, Home
from embedded.stack import Stack
from execution.ffmpeg import FfmpegRunner
from transcoding.commands import FfmpegCommand, Input, Output

HOME = REPOSITORY / ".vodmill" / "bench"
CLIP = REPOSITORY / ".vodmill" / "media" / "clip.mp4"


def main() -> int:
    """Measure, print the table, and end what was started."""
    options = _options()
    folder = HOME / "files"
    folder.mkdir(parents=True, exist_ok=True)
    source = _source(folder, options.seconds)
    with _stack() as stack, closing(stack.client()) as client:
        ratios = list(_measure(JobsUnderTest(client, source), source, folder, options.pairs))
    _print(f"\n{_machine()}; the clip of `make run` looped to {options.seconds} s\n\n{HEADER}")
    for ratio in ratios:
        _print(ratio.line())
    return 0


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
    stack = Stack(Home(HOME))
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
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=60)
    return parser.parse_args()


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
