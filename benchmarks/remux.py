"""Remuxing by PyAV, compared with ffmpeg: processor time for the same work, and memory of each further stream."""

import argparse
import os
import resource
import subprocess
import threading
import time
from pathlib import Path
from uuid import UUID

from benchmarks.ratios import HEADER, Ratio, measure_pairs
from benchmarks.running import FFMPEG, FILES, home, report
from configuration import ExecutionConfig
from execution import daemons
from execution.process import processor_seconds
from execution.remuxing.pool import RemuxPool
from execution.remuxing.process import MAX_STREAMS, RemuxStream

SECONDS = 60
_MEMORY_SECONDS = 8
"""Seconds of a source that each stream is given before memory is measured."""
_BLOCK = 1 << 16
_OWNER = UUID(int=1)
_WAIT_SECONDS = 60
_TICK_SECONDS = 0.05
_SURROUND = (
    "aevalsrc='0.2*sin(880*PI*t)|0.2*sin(2000*PI*t)|0.1*random(0)|0|0.1*random(1)|0.1*random(2)'"
    ":channel_layout=5.1:sample_rate=48000"
)
_SD = ("-c:v", "mpeg2video", "-b:v", "4700k", "-maxrate", "5000k", "-bufsize", "2M", "-g", "12", "-bf", "2")
_HD = ("-c:v", "libx264", "-preset", "ultrafast", "-b:v", "9M", "-maxrate", "9M", "-bufsize", "9M", "-g", "50")
_SOURCES = {
    "576 lines, MPEG-2, AC-3 5.1": (
        f"testsrc2=size=720x576:rate=25:duration={SECONDS}",
        (*_SD, "-c:a", "ac3", "-b:a", "384k"),
    ),
    "576 lines, MPEG-2, MP2": (
        f"testsrc2=size=720x576:rate=25:duration={SECONDS}",
        (*_SD, "-c:a", "mp2", "-ac", "2", "-b:a", "192k"),
    ),
    "720 lines, H.264, AC-3 5.1": (
        f"testsrc2=size=1280x720:rate=50:duration={SECONDS},noise=alls=12:allf=t",
        (*_HD, "-c:a", "ac3", "-b:a", "384k"),
    ),
}


def measure(options: argparse.Namespace) -> str:
    """Remux each source by both in turn, then open streams one by one. Returns the tables."""
    home()
    sources = {name: _source(f"{number}.ts", *content) for number, (name, content) in enumerate(_SOURCES.items())}
    pool = RemuxPool(ExecutionConfig(isolation="none"), max_processes=1)  # whose process is the program itself
    try:
        _remuxed(pool, next(iter(sources.values())))
        ratios = [_compared(pool, name, source, pairs=options.pairs) for name, source in sources.items()]
        memory = _memory(pool, next(iter(sources.values())))
    finally:
        pool.close()
    one, all_of_them = memory[0] / (1 << 20), memory[-1] / (1 << 20)
    each = (all_of_them - one) / (len(memory) - 1)
    return "\n".join(
        (
            f"Processor time for {SECONDS} s of source, through pipes and without a jail.\n",
            HEADER,
            *(ratio.line() for ratio in ratios),
            "\n| memory of a process | |\n|---|---|",
            f"| with one stream | {one:.0f} MiB |",
            f"| with {len(memory)} | {all_of_them:.0f} MiB |",
            f"| each further stream | {each:.1f} MiB |",
        )
    )


def _source(name: str, video: str, codecs: tuple[str, ...]) -> Path:
    path = FILES / name
    inputs = ("-f", "lavfi", "-i", video, "-f", "lavfi", "-i", f"{_SURROUND}:d={SECONDS}")
    command = [FFMPEG, "-hide_banner", "-v", "error", "-y", *inputs, *codecs, "-f", "mpegts", f"file:{path}"]
    daemons.run(command, environ={}, folder=FILES, timeout_seconds=600)
    return path


def _compared(pool: RemuxPool, name: str, source: Path, *, pairs: int) -> Ratio:
    def ours() -> float:
        before = processor_seconds(pool.pids[0])
        _remuxed(pool, source)
        return processor_seconds(pool.pids[0]) - before

    return measure_pairs(name, ours, lambda: _by_ffmpeg(source), pairs=pairs, report=report)


def _remuxed(pool: RemuxPool, source: Path) -> None:
    stream = pool.start("mpegts", owner=_OWNER)
    feeding = threading.Thread(target=_feed, args=(stream.input, source))
    feeding.start()
    _read_all(stream.output)
    feeding.join()
    stream.wait()


def _by_ffmpeg(source: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    own_end, other_end = os.pipe()
    from_ffmpeg, to_us = os.pipe()
    probing = ("-probesize", "1000000", "-analyzeduration", "500000")
    work = ("-map", "0:v", "-map", "0:a", "-c:v", "copy", "-c:a", "aac", "-ac", "2", "-b:a", "192k")
    argv = [FFMPEG, "-v", "error", "-nostdin", *probing, "-f", "mpegts", "-i", f"pipe:{own_end}", *work]
    process = subprocess.Popen(
        [*argv, "-flush_packets", "1", "-f", "mpegts", f"pipe:{to_us}"], pass_fds=[own_end, to_us]
    )
    os.close(own_end)
    os.close(to_us)
    feeding = threading.Thread(target=_feed, args=(other_end, source))
    feeding.start()
    _read_all(from_ffmpeg)
    feeding.join()
    if process.wait():
        raise RuntimeError("ffmpeg failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _memory(pool: RemuxPool, source: Path) -> list[int]:
    """Return the bytes that a process occupies with one stream, with two and so on, each at work."""
    part = source.read_bytes()[: source.stat().st_size * _MEMORY_SECONDS // SECONDS]
    occupied: list[int] = []
    streams: list[RemuxStream] = []
    for _ in range(MAX_STREAMS):
        stream = pool.start("mpegts", owner=_OWNER)
        streams.append(stream)
        threading.Thread(target=_read_all, args=(stream.output,), daemon=True).start()
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(stream.input, rest) :]
        deadline = time.monotonic() + _WAIT_SECONDS
        while stream.statistics.bytes_in < len(part) and time.monotonic() < deadline:
            time.sleep(_TICK_SECONDS)
        occupied.append(_resident(pool.pids[0]))
    for stream in streams:
        stream.end()
        os.close(stream.input)
    return occupied


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _feed(descriptor: int, source: Path) -> None:
    with source.open("rb") as file:
        while block := file.read(_BLOCK):
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
    os.close(descriptor)


def _read_all(descriptor: int) -> None:
    while os.read(descriptor, _BLOCK):
        pass
    os.close(descriptor)
