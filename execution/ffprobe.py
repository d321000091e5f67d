"""Asking ffprobe: facts as JSON, packets as lines."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import Stopped, StopSignal
from execution.process import end, spawn
from transcoding.commands import packets_command, streams_command
from transcoding.errors import InputRejected

_FACTS_SECONDS = 60
_LINES_BETWEEN_LOOKS = 1000


class Ffprobe:
    """Runs ffprobe with the demuxer forced. Raises InputRejected when it cannot make sense of a file."""

    def __init__(self, config: ExecutionConfig, limits: LimitConfig) -> None:
        self.binary = config.ffprobe_path
        self._max_pixels = limits.max_pixels

    def streams(self, path: Path, *, demuxer: str) -> str:
        """The JSON of format and streams."""
        process = spawn(
            streams_command(self.binary, str(path), demuxer=demuxer, max_pixels=self._max_pixels),
            stdout=subprocess.PIPE,
        )
        try:
            out, err = process.communicate(timeout=_FACTS_SECONDS)
        except subprocess.TimeoutExpired:
            raise InputRejected(f"the file's header could not be read within {_FACTS_SECONDS} s") from None
        finally:
            end(process)
        if process.returncode:
            raise InputRejected(f"the file cannot be read: {_last_line(err)}")
        return out.decode("utf-8", "replace")

    def packets(self, path: Path, *, demuxer: str, stream: int, stop: StopSignal) -> Iterator[str]:
        """One line per packet of a stream, in decoding order, while ffprobe reads the file. Raises Stopped."""
        argv = packets_command(self.binary, str(path), demuxer=demuxer, stream=stream, max_pixels=self._max_pixels)
        # Broken files make ffprobe complain per packet; nobody reads that, and a full pipe would stop it.
        process = spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            for number, line in enumerate(process.stdout or ()):
                if number % _LINES_BETWEEN_LOOKS == 0 and stop.is_set():
                    raise Stopped
                yield line.decode("ascii", "replace")
            if process.wait():
                raise InputRejected("the file's packets cannot be read")
        finally:
            end(process)
            if process.stdout:
                process.stdout.close()


def _last_line(text: bytes) -> str:
    return (text.decode("utf-8", "replace").strip().splitlines() or ["ffprobe did not say why"])[-1]
