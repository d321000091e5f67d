"""Cost of isolation: starts of ffmpeg and short encodes, in a jail and without one, in turn within one run."""

import argparse
import statistics
import threading
import time
from collections.abc import Callable

from benchmarks.running import generated_film, report
from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from execution.isolation import NotIsolated
from transcoding.commands.command import FfmpegCommand, Input, Output

STARTS = 40
ENCODES = 7
FILM_SECONDS = 20
_FORMS = ("none", "sandbox", "uid", "container")


def measure(options: argparse.Namespace) -> str:  # noqa: ARG001 - the same for all measurements
    """Start and encode in all forms that this machine has. Returns the table."""
    runners = dict(_runners())
    source = generated_film(FILM_SECONDS, size="640x360", audio=False)
    encode = FfmpegCommand(
        inputs=(Input(path=str(source)),),
        outputs=(
            Output(target="out", maps=("0:v",), options={"c:v": "libx264", "preset": "veryfast", "f": "matroska"}),
        ),
    )
    starts = _times(runners, lambda runner: runner.version(), STARTS)
    encodes = _times(
        runners, lambda runner: runner.run(encode, {"out": lambda _: None}, stop=threading.Event()), ENCODES
    )
    rows = [_row(form, starts, encodes) for form in runners]
    head = "| | start of ffmpeg, p50 | more than without | encode, p50 | ratio |\n|---|---|---|---|---|"
    what = f"{STARTS} starts and {ENCODES} encodes of {FILM_SECONDS} s (360p, veryfast) in turn.\n"
    return "\n".join((what, head, *rows))


def _runners() -> list[tuple[str, FfmpegRunner]]:
    found = []
    for form in _FORMS:
        try:
            found.append((form, FfmpegRunner(ExecutionConfig(isolation=form), LimitConfig())))
        except NotIsolated as error:
            report(f"{form} does not work here: {error}")
    return found


def _times(
    runners: dict[str, FfmpegRunner], act: Callable[[FfmpegRunner], object], count: int
) -> dict[str, list[float]]:
    """Time an act in every form, one after the other, so that a change of the machine's speed meets all of them."""
    times: dict[str, list[float]] = {form: [] for form in runners}
    for _ in range(count):
        for form, runner in runners.items():
            started = time.monotonic()
            act(runner)
            times[form].append(time.monotonic() - started)
    return times


def _row(form: str, starts: dict[str, list[float]], encodes: dict[str, list[float]]) -> str:
    start, encode = statistics.median(starts[form]), statistics.median(encodes[form])
    bare_start, bare_encode = statistics.median(starts["none"]), statistics.median(encodes["none"])
    more = f"{(start - bare_start) * 1000:+.0f} ms"
    return f"| {form} | {start * 1000:.0f} ms | {more} | {encode:.2f} s | {encode / bare_encode:.3f} |"
