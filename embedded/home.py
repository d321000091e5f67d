"""The folder of one embedded default, with the state that is kept between runs."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from embedded.ports import TWIN_OFFSET, pick_port

REPOSITORY = Path(__file__).resolve().parent.parent
HOME = REPOSITORY / ".vodmill"
"""Folder of everything that `make` installs and runs, homes of tests included."""


class Home:
    """A folder with its ports and secrets in state.json. Only its user can enter it (mode 0700)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "state.json"
        self._state = read_json(self._path) or {"ports": {}, "secrets": {}}

    def port(self, name: str, *, preferred: int | None = None) -> int:
        """Return the port of this name; pick and store a free one, with a free twin, on first use."""
        ports: dict[str, int] = self._state["ports"]
        if name not in ports:
            with self._only_one_picks():
                known = {*ports.values(), *self._ports_of_others()}
                taken = known | {port + TWIN_OFFSET for port in known}
                self.store_port(name, pick_port(taken=taken, preferred=preferred))
        return ports[name]

    @contextmanager
    def _only_one_picks(self) -> Iterator[None]:
        """Wait until no other home picks a port: one that is picked is free until a server starts there."""
        HOME.mkdir(exist_ok=True, mode=0o700)
        with open_private(HOME / "ports.lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _ports_of_others(self) -> Iterator[int]:
        for path in self.folder.parent.glob("*/state.json"):
            state = read_json(path) if path != self._path else None
            yield from state["ports"].values() if state else ()

    def store_port(self, name: str, port: int) -> None:
        """Set the port of this name."""
        self._state["ports"][name] = port
        write_json(self._path, self._state)

    def secret(self, name: str) -> str:
        """Return the secret of this name; create it on first use. 64 hexadecimal digits, which need no quoting."""
        stored: dict[str, str] = self._state["secrets"]
        if name not in stored:
            stored[name] = secrets.token_hex(32)
            write_json(self._path, self._state)
        return stored[name]

    def find_secret(self, name: str) -> str | None:
        """Return the stored secret of this name, or None."""
        found: str | None = self._state["secrets"].get(name)
        return found

    def store_secret(self, name: str, secret: str) -> None:
        """Set the secret of this name."""
        self._state["secrets"][name] = secret
        write_json(self._path, self._state)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock for starting and stopping services. Raises BlockingIOError when another process holds it."""
        self.make_private()
        with open_private(self.folder / "lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    def make_private(self) -> None:
        """Create the folder, and close one to others that an older version left open."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)


def open_private(path: Path) -> TextIO:
    """Open a file for writing, with mode 0600 if it is new."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8")  # noqa: PTH123 - pathlib cannot set the mode at creation


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a file of `write_json`, or return None when it does not exist."""
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a file with mode 0600, atomically: readers see the old or the new content."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(path.name + ".new")
    with open_private(fresh) as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    fresh.replace(path)
