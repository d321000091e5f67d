"""The baseline without vodmill: plain ffmpeg commands with the same encoder settings."""

import threading
import time
from pathlib import Path

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from transcoding.commands.command import FfmpegCommand, Input, Output
from transcoding.grid import SEGMENT_GOPS
from transcoding.planning.ladder import RUNGS, Rung

GOP_FRAMES = 50
GOP_SECONDS = 2
"""Of the benchmark clip, which has 25 frames per second."""
SEGMENT_SECONDS = SEGMENT_GOPS * GOP_SECONDS
PRESET = "veryfast"
"""Preset of jobs that request none."""
LADDER = tuple(rung for rung in RUNGS if rung.name in ("720p", "480p", "360p"))


def one_run(
    source: Path, rungs: tuple[Rung, ...], folder: Path, *, seconds: int | None = None, preset: str = PRESET
) -> float:
    """Decode once and encode all rungs and the audio into MP4 files, or their first `seconds`. Returns wall seconds."""
    heads = "".join(f"[in{number}]" for number in range(len(rungs)))
    scales = (f"[in{number}]scale=-2:{rung.short_side}[{rung.name}]" for number, rung in enumerate(rungs))
    command = FfmpegCommand(
        inputs=(Input(path=str(source), options={} if seconds is None else {"t": str(seconds)}),),
        filter_graph=";".join([f"[0:v:0]split={len(rungs)}{heads}", *scales]),
        outputs=tuple(_output(rung, preset=preset, audio=number == 0) for number, rung in enumerate(rungs)),
    )
    started = time.monotonic()
    targets = {rung.name: folder / f"{rung.name}.mp4" for rung in rungs}
    for target in targets.values():
        target.unlink(missing_ok=True)
    FfmpegRunner(ExecutionConfig(), LimitConfig()).run(command, targets, stop=threading.Event())
    return time.monotonic() - started


def run_per_rung(source: Path, rungs: tuple[Rung, ...], folder: Path, *, preset: str = PRESET) -> float:
    """Run one ffmpeg per rung in turn, each decoding the source. Returns wall seconds of all."""
    return sum(one_run(source, (rung,), folder, preset=preset) for rung in rungs)


def _output(rung: Rung, *, preset: str, audio: bool) -> Output:
    options: dict[str, str | None] = {
        "c:v": "libx264",
        "preset": preset,
        "b:v": str(rung.bitrate),
        "maxrate": str(rung.bitrate * 3 // 2),
        "bufsize": str(rung.bitrate * 2),
        "g": str(GOP_FRAMES),
        "keyint_min": str(GOP_FRAMES),
        "sc_threshold": "0",
        "bf": "3",
        "c:a": "aac",
        "b:a": "128k",
    }
    return Output(target=rung.name, maps=(f"[{rung.name}]", *(("0:a:0",) if audio else ())), options=options)
