"""Cost of isolation: starts of ffmpeg and short encodes, bare and in a jail, in turn within one run."""

import argparse
import threading
import time
from collections.abc import Callable, Iterator

from benchmarks.running import FFMPEG, FILES, generated_film, home, report
from configuration import ExecutionConfig, LimitConfig
from execution import daemons
from execution.ffmpeg import FfmpegRunner
from execution.isolation import NotIsolated
from transcoding.commands.command import FfmpegCommand, Input, Output

STARTS = 60
ENCODES = 9
FILM_SECONDS = 20
_FORMS = ("none", "sandbox", "uid", "container")
_BARE = "bare"

Act = Callable[[], object]


def measure(options: argparse.Namespace) -> str:  # noqa: ARG001 - the same for all measurements
    """Start and encode in all forms that this machine has. Returns the table."""
    home()
    source = generated_film(FILM_SECONDS, size="640x360", audio=False)
    encode = FfmpegCommand(
        inputs=(Input(path=str(source)),),
        outputs=(
            Output(target="out", maps=("0:v",), options={"c:v": "libx264", "preset": "veryfast", "f": "matroska"}),
        ),
    )
    words = encode.argv(FFMPEG, {"out": "file:/dev/null"}, progress="pipe:1", max_pixels=1 << 24)
    starts: dict[str, Act] = {_BARE: lambda: _bare([FFMPEG, "-v", "error", "-version"])}
    encodes: dict[str, Act] = {_BARE: lambda: _bare(words)}
    for form, runner in _runners():
        starts[form] = runner.version
        encodes[form] = _encoding(runner, encode)
    return _table(_fastest(starts, STARTS), _fastest(encodes, ENCODES))


def _bare(words: list[str]) -> str:
    return daemons.run(words, environ={}, folder=FILES)


def _encoding(runner: FfmpegRunner, encode: FfmpegCommand) -> Act:
    return lambda: runner.run(encode, {"out": lambda _: None}, stop=threading.Event())


def _runners() -> Iterator[tuple[str, FfmpegRunner]]:
    for form in _FORMS:
        try:
            yield form, FfmpegRunner(ExecutionConfig(isolation=form), LimitConfig())
        except NotIsolated as error:
            report(f"{form} does not work here: {error}")


def _fastest(acts: dict[str, Act], count: int) -> dict[str, float]:
    """Time all in turn, and keep the fastest of each: what else the machine does only ever adds to it."""
    times: dict[str, list[float]] = {form: [] for form in acts}
    for _ in range(count):
        for form, act in acts.items():
            started = time.monotonic()
            act()
            times[form].append(time.monotonic() - started)
    return {form: min(each) for form, each in times.items()}


def _table(starts: dict[str, float], encodes: dict[str, float]) -> str:
    what = f"The fastest of {STARTS} starts and {ENCODES} encodes of {FILM_SECONDS} s (360p, veryfast), in turn.\n"
    head = "| | start of ffmpeg | more than bare | encode | ratio |\n|---|---|---|---|---|"
    rows = (
        f"| {form} | {start * 1000:.0f} ms | {(start - starts[_BARE]) * 1000:+.0f} ms"
        f" | {encodes[form]:.2f} s | {encodes[form] / encodes[_BARE]:.3f} |"
        for form, start in starts.items()
    )
    return "\n".join((what, head, *rows))
