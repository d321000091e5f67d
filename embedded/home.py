"""The folder that holds everything of one embedded default, and what is remembered between runs."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedded.ports import TWIN_OFFSET, pick_port

REPOSITORY = Path(__file__).resolve().parent.parent


class Home:
    """A private folder with the ports and secrets that were picked for it, once, in state.json (mode 0600)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "state.json"
        self._state = read_json(self._path) or {"ports": {}, "secrets": {}}

    def port(self, name: str, *, preferred: int | None = None) -> int:
        """The port remembered for this name; picked, free together with its twin, when there is none."""
        ports: dict[str, int] = self._state["ports"]
        if name not in ports:
            mine = set(ports.values())
            self.remember_port(name, pick_port(taken=mine | {port + TWIN_OFFSET for port in mine}, preferred=preferred))
        return ports[name]

    def remember_port(self, name: str, port: int) -> None:
        """Use this port for this name from now on."""
        self._state["ports"][name] = port
        write_json(self._path, self._state)

    def secret(self, name: str) -> str:
        """The secret remembered for this name: 64 characters that need no quoting anywhere."""
        known: dict[str, str] = self._state["secrets"]
        if name not in known:
            known[name] = secrets.token_hex(32)
            write_json(self._path, self._state)
        return known[name]

    def known_secret(self, name: str) -> str | None:
        """The secret remembered for this name, whoever made it."""
        found: str | None = self._state["secrets"].get(name)
        return found

    def remember_secret(self, name: str, secret: str) -> None:
        """Use this secret for this name from now on."""
        self._state["secrets"][name] = secret
        write_json(self._path, self._state)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one process at a time starts and stops things here. Raises BlockingIOError for the second."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield


def read_json(path: Path) -> dict[str, Any] | None:
    """What `write_json` wrote, or None when there is nothing."""
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a file that only its owner may read; readers see the old text or the new, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib cannot set the mode at creation
        json.dump(value, file, indent=2)
        file.write("\n")
    fresh.replace(path)
