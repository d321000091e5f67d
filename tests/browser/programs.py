"""mpv and VLC, without screen and loudspeaker, over the sockets by which they are controlled."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT_SECONDS = 60
_POLL_SECONDS = 0.1
_NEAR_SECONDS = 0.1
"""A paused player shows the frame before a position, and counts to the end of that frame."""
_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
_HARMLESS = re.compile(r"Cannot reuse HTTP connection|keepalive request failed|support the subtitle")
"""Warnings of ffmpeg's HLS demuxer: segments redirect to the store, which is another host, and it has no subtitles."""

_HARMLESS_IN_VLC = re.compile(r"Failed to create demuxer|get_buffer\(\) failed|decode_slice_header error|no frame!")
"""Of the images in an MPD, which it takes for media, and of the decoder that ends where the rung changes."""


class ProgramError(AssertionError):
    """The player did not follow a command, or has ended."""


def version(name: str) -> str:
    """Return the version of a program that is installed."""
    command = [*_as_nobody(), name, "--version"]
    found = re.search(r"\d+(\.\d+)+", subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found[0] if found else ""


def _as_nobody() -> tuple[str, ...]:
    """VLC refuses to run as root."""
    return _NOBODY if os.geteuid() == 0 else ()


class Mpv:
    """A paused mpv that has opened a URL. Properties are those of its manual."""

    def __init__(self, connection: socket.socket, log: Path) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")
        self._log = log

    def property(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return the value, or None while there is none."""
        return self._command("get_property", name).get("data")

    def set(self, name: str, value: object) -> None:
        self._command("set_property", name, value)

    def seek(self, seconds: float) -> None:
        """Go to a position, to the frame. Raises ProgramError."""
        self._command("seek", seconds, "absolute+exact")
        while (event := self._message().get("event")) != "playback-restart":
            if event == "end-file":
                raise ProgramError(f"it ended when it sought {seconds} s")
        at = self.property("time-pos")  # before that event it is where it shall go
        if abs(at - seconds) > _NEAR_SECONDS:
            raise ProgramError(f"at {at} s after a seek to {seconds} s")

    def add_text(self, url: str, language: str) -> None:
        """Open a file with a text, as somebody who drops it on the window."""
        self._command("sub-add", url, "auto", "", language)

    def screenshot(self, path: Path) -> None:
        """Write the shown frame with its text."""
        self._command("screenshot-to-file", str(path), "subtitles")

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Raises ProgramError when it takes too long."""
        _until(is_so, f"{what} at {self.property('time-pos')} s", self._log)

    def errors(self) -> list[str]:
        """Return the warnings and errors that it has written."""
        lines = re.split(r"[\r\n]+", self._log.read_text(errors="replace"))
        return [line for line in lines if line.startswith("[") and not _HARMLESS.search(line)]

    def _command(self, *command: object) -> dict[str, Any]:
        self._socket.sendall(json.dumps({"command": command}).encode() + b"\n")
        while "error" not in (message := self._message()):
            pass  # events
        return message

    def _message(self) -> dict[str, Any]:
        """Read a response, which has `error`, or an event."""
        line = self._file.readline()
        if not line:
            raise ProgramError(f"mpv has ended: {_tail(self._log)}")
        return dict(json.loads(line))


@contextmanager
def mpv(url: str, folder: Path, *options: str) -> Iterator[Mpv]:
    """Open a URL and stop at the first frame. `folder` is for the socket and the log."""
    command = ["mpv", "--no-config", "--vo=null", "--ao=null", "--pause", "--keep-open=yes", "--msg-level=all=warn"]
    command += ["--no-input-terminal", "--cache=yes", f"--input-ipc-server={folder / 'mpv'}", *options, url]
    with _running(command, folder / "mpv", folder / "log") as connection:
        player = Mpv(connection, folder / "log")
        player.until(lambda: player.property("time-pos") is not None, "no first frame")
        yield player


class Vlc:
    """A VLC that plays a URL, and pauses on the last frame."""

    def __init__(self, connection: socket.socket, log: Path) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")
        self._log = log

    def command(self, text: str) -> list[str]:
        """Run a command of its remote control, and return the lines of the response."""
        name = text.split(maxsplit=1)[0]
        self._socket.sendall(f"{text}\n".encode())
        lines = []
        while not (line := self._line()).startswith(f"{name}: returned"):
            lines.append(line)
        return lines

    def number(self, name: str) -> int:
        """Return the number that a command responds with, -1 for none. Positions are in whole seconds."""
        self._socket.sendall(f"{name}\n".encode())
        while not (line := self._line()).lstrip("-").isdigit():
            if "no input" in line.lower():
                return -1
        return int(line)

    def statistic(self, name: str) -> int:
        """Return a number of its statistics, such as `video decoded`."""
        found = [line.rsplit(":", 1)[-1] for line in self.command("stats") if name in line]
        return int(found[0]) if found else 0

    def tracks(self, kind: str) -> dict[str, str]:
        """Return the names of the tracks of a kind, `atrack` or `strack`, by number. The chosen one ends with `*`."""
        rows = [re.match(r"\| (\d+) - (.*)", line) for line in self.command(kind)]
        return {row[1]: row[2] for row in rows if row}

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Raises ProgramError when it takes too long."""
        _until(is_so, what, self._log)

    def frames_decoded(self) -> float:
        """Return the number of frames since the start. VLC 3 counts each of them twice."""
        return self.statistic("video decoded") / 2

    def errors(self) -> list[str]:
        """Return the errors of its adaptive demuxer, its decoders and the libraries below."""
        lines = self._log.read_text(errors="replace").splitlines()
        found = [line for line in lines if re.search(r"(adaptive|demux|decoder|stream).* error|@ 0x", line)]
        return [line for line in found if not _HARMLESS_IN_VLC.search(line)]

    def _line(self) -> str:
        line = self._file.readline()
        if not line:
            raise ProgramError(f"VLC has ended: {_tail(self._log)}")
        return line.decode(errors="replace").strip()


@contextmanager
def vlc(url: str, folder: Path, *, live: bool = False) -> Iterator[Vlc]:
    """Open a URL and play it. `folder` is for the socket, the log and screenshots; everybody may write there.

    `live`: it has no length.
    """
    folder.chmod(0o777)
    command = ["vlc", "-I", "oldrc", f"--rc-unix={folder / 'vlc'}", "--rc-fake-tty", "--vout=dummy", "--aout=dummy"]
    command += ["--play-and-pause", "--no-video-title-show", f"--snapshot-path={folder}", "--snapshot-format=png"]
    with _running([*_as_nobody(), *command, url], folder / "vlc", folder / "log") as connection:
        player = Vlc(connection, folder / "log")
        player.until(
            lambda: player.number("get_time") >= 0 and (live or player.number("get_length") > 0), "no first frame"
        )
        yield player


@contextmanager
def _running(command: list[str], address: Path, log: Path) -> Iterator[socket.socket]:
    """Start a program that listens at a Unix socket, yield a connection, and end it."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(address.parent), "LANG": "C.UTF-8"}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environ)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT_SECONDS)
            _until(lambda: _connects(connection, address), "it does not start", log)
            yield connection
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _connects(connection: socket.socket, address: Path) -> bool:
    return connection.connect_ex(str(address)) == 0


def _until(is_so: Callable[[], bool], what: str, log: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise ProgramError(f"{what}: {_tail(log)}")
        time.sleep(_POLL_SECONDS)


def _tail(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").splitlines()[-3:])
