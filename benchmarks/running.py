"""The platform under test, with a folder of its own that is gone afterwards."""

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
_MOST_SECONDS = 3600


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Start all of it, and end all of it however the measurement goes."""
    try:
        stack.start(say)
        yield stack
    finally:
        stack.close(say)


def home() -> Home:
    """A new home; nothing of an earlier measurement is in it."""
    shutil.rmtree(HOME, ignore_errors=True)
    FILES.mkdir(parents=True)
    return Home(HOME)


def looped_clip(seconds: int) -> Path:
    """The clip of `make run`, looped without encoding to the wanted length."""
    return _made("-stream_loop", "-1", "-i", str(CLIP), "-map", "0", "-c", "copy", "-t", str(seconds))


def made_film(seconds: int, *, size: str, sound: bool) -> Path:
    """A moving test picture of 25 frames per second with a busy sound, encoded as fast as it goes."""
    picture = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration={seconds}")
    noise = ("-f", "lavfi", "-i", f"anoisesrc=amplitude=0.1:duration={seconds}", "-c:a", "aac") if sound else ()
    return _made(*picture, *noise, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50")


def _made(*arguments: str) -> Path:
    path = FILES / "source.mp4"
    command = [FFMPEG, "-hide_banner", "-v", "error", "-y", *arguments, f"file:{path}"]
    daemons.run(command, environ={}, folder=FILES, timeout_seconds=_MOST_SECONDS)
    return path


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
