"""Services and sources of the benchmarks, in a folder that is deleted afterwards."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg

from embedded.home import REPOSITORY, Home
from embedded.stack import Stack
from execution import daemons

HOME = REPOSITORY / ".vodmill" / "bench"
CLIP = REPOSITORY / ".vodmill" / "media" / "clip.mp4"
FILES = HOME / "files"
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
_TIMEOUT_SECONDS = 3600


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Start the services and stop them on exit."""
    try:
        stack.start(report)
        yield stack
    finally:
        stack.close(report)


def home() -> Home:
    """Create an empty home."""
    shutil.rmtree(HOME, ignore_errors=True)
    FILES.mkdir(parents=True)
    return Home(HOME)


def looped_clip(seconds: int) -> Path:
    """Loop the clip of `make run` to this length without encoding."""
    return _generated("-stream_loop", "-1", "-i", str(CLIP), "-map", "0", "-c", "copy", "-t", str(seconds))


def generated_film(seconds: int, *, size: str, audio: bool) -> Path:
    """Generate a moving test image of 25 frames per second, with noise as audio, in the fastest encoding."""
    video = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration={seconds}")
    noise = ("-f", "lavfi", "-i", f"anoisesrc=amplitude=0.1:duration={seconds}", "-c:a", "aac") if audio else ()
    return _generated(*video, *noise, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50")


def _generated(*arguments: str) -> Path:
    path = FILES / "source.mp4"
    command = [FFMPEG, "-hide_banner", "-v", "error", "-y", *arguments, f"file:{path}"]
    daemons.run(command, environ={}, folder=FILES, timeout_seconds=_TIMEOUT_SECONDS)
    return path


def report(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
