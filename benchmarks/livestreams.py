"""Ten live streams at a time, encoded and cut as a worker does, against ten bare ffmpegs: processor time of all."""

import argparse
import multiprocessing
import resource
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from benchmarks.ratios import HEADER, Ratio, measure_pairs
from benchmarks.running import FFMPEG, FILES, home, report
from configuration import ExecutionConfig, LimitConfig
from execution import daemons
from execution.ffmpeg import FfmpegRunner, Sink
from execution.pipes import Feed
from transcoding.commands.livestream import FEED, livestream_command
from transcoding.containers.live_segments import LiveAudioSegmenter, LiveVideoSegmenter
from transcoding.flv.facts import IncomingFacts
from transcoding.planning.latency import Latency
from transcoding.planning.livestream import LadderRequest, RungRequest, plan_livestream
from transcoding.planning.plan import EncodePlan

STREAMS = 10
SECONDS = 10
RATE = 30
PRESET = "veryfast"
_BLOCK = 4096
"""Bytes that are fed at a time: as they come from a network."""
_FORK = multiprocessing.get_context("fork")
"""Each stream has a main thread of its own, from which programs can be started."""
_NEVER = threading.Event()
_TIMEOUT_SECONDS = 600
_LADDER = LadderRequest(rungs=(RungRequest(size="360p"),))
_FACTS = IncomingFacts(width=640, height=360, rate=Fraction(RATE), video_codec="h264")


def measure(options: argparse.Namespace) -> str:
    """Return the table: the same streams by both in turn, in both latencies."""
    home()
    source = _source()
    ratios = [_compared(latency, source, pairs=options.pairs) for latency in Latency]
    return "\n".join(
        (
            f"{STREAMS} streams of 640x360 at {RATE} frames per second, {SECONDS} s of each, not paced.\n",
            HEADER,
            *(ratio.line() for ratio in ratios),
        )
    )


def _compared(latency: Latency, source: Path, *, pairs: int) -> Ratio:
    plan = plan_livestream(_FACTS, _LADDER, latency=latency, preset=PRESET)
    bare = _bare(plan, source)
    return measure_pairs(
        f"{latency} latency",
        lambda: _processor(lambda _: _ours(plan, source)),
        lambda: _processor(lambda number: _run([*bare, str(_folder(number) / "index.m3u8")])),
        pairs=pairs,
        report=report,
    )


def _source() -> Path:
    """Draw what a publisher would send: key frames every two seconds, no frames in another order."""
    path = FILES / "source.flv"
    drawn = f"testsrc2=size=640x360:rate={RATE}:duration={SECONDS},noise=alls=6:allf=t"
    inputs = ("-f", "lavfi", "-i", drawn, "-f", "lavfi", "-i", f"anoisesrc=amplitude=0.1:duration={SECONDS}:r=48000")
    video = ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-b:v", "2M")
    command = (*inputs, *video, "-g", str(2 * RATE), "-c:a", "aac", "-ac", "2", f"file:{path}")
    daemons.run([FFMPEG, "-v", "error", "-y", *command], environ={}, folder=FILES, timeout_seconds=_TIMEOUT_SECONDS)
    return path


def _processor(run: Callable[[int], None]) -> float:
    """Return the processor seconds, ours and those of programs, in which all streams are done at a time."""
    before = _used()
    runs = [_FORK.Process(target=run, args=(number,)) for number in range(STREAMS)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    if failed := sum(each.exitcode != 0 for each in runs):
        raise RuntimeError(f"{failed} of {STREAMS} streams failed")
    return _used() - before


def _used() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _ours(plan: EncodePlan, source: Path) -> None:
    (rung,), (track,) = plan.renditions, plan.audio
    video = LiveVideoSegmenter(plan, rung, first_segment=0)
    audio = LiveAudioSegmenter(plan, track, first_segment=0)
    sinks: dict[str, Sink | Path | None] = {
        rung.name: lambda data: deque(video.feed(data), maxlen=0).clear(),
        track.name: lambda data: deque(audio.feed(data), maxlen=0).clear(),
    }
    command = livestream_command(plan, first_segment=0)
    # without a jail, whose own processes hide from us what ffmpeg used
    FfmpegRunner(ExecutionConfig(isolation="none"), LimitConfig()).run(
        command, sinks, inputs={FEED: _fed(source)}, stop=_NEVER
    )


def _fed(source: Path) -> Feed:
    with source.open("rb") as opened:
        while block := opened.read(_BLOCK):
            yield block


def _bare(plan: EncodePlan, source: Path) -> list[str]:
    """Return what somebody would type who wants the same rung as HLS."""
    (rung,) = plan.renditions
    low = ["-tune", "zerolatency"] if plan.latency is Latency.LOW else []
    video = ["-c:v", "libx264", "-preset", PRESET, *low, "-g", str(2 * RATE), "-keyint_min", str(2 * RATE)]
    rates = ["-b:v", str(rung.bitrate), "-maxrate", str(rung.max_rate), "-bufsize", str(rung.buffer_size)]
    hls = ["-f", "hls", "-hls_time", "2", "-hls_segment_type", "fmp4", "-hls_flags", "delete_segments"]
    audio = ["-c:a", "aac", "-b:a", "128k"]
    opening = [FFMPEG, "-v", "error", "-y", "-f", "live_flv", "-i", f"file:{source}"]
    return [*opening, *video, "-sc_threshold", "0", *rates, *audio, *hls]


def _folder(number: int) -> Path:
    folder = FILES / f"bare-{number}"
    folder.mkdir(exist_ok=True)
    return folder


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, cwd=Path(command[-1]).parent, timeout=_TIMEOUT_SECONDS)
