"""A process says in a file that it does its work; a probe on the same machine reads it.

Neither asks the database or the broker: a probe that fails when one of them is away would have every worker killed
again and again while nothing is wrong with it.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

SILENCE_SECONDS = 60.0
"""Longer than any single wait for a database that hangs."""


class LifeSign:
    """What one process says of itself; monotonic seconds, which all processes of a machine share."""

    def __init__(self, folder: Path, role: str) -> None:
        self._path = folder / f"{role}-{socket.gethostname()}-{os.getpid()}.json"
        self._made_by = os.getpid()

    def give(self, fault: str = "") -> None:
        """Say that the process goes on, or what about it is so wrong that it should be started anew.

        A disk that is full keeps no process from its work; the probe finds out about the silence.
        """
        written = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(json.dumps({"pid": self._made_by, "at": time.monotonic(), "fault": fault}))
            written.replace(self._path)
        except OSError as error:
            log.warning("no sign of life: %s", error, extra={"event": "life_sign_not_given"})

    def withdraw(self) -> None:
        """Say nothing more: the process ends."""
        self._path.unlink(missing_ok=True)


def life_faults(folder: Path, role: str, *, silence_seconds: float = SILENCE_SECONDS) -> list[str]:
    """What is wrong with the processes of a role on this host that use this folder; one that does not run is a fault.

    What killed processes left is removed.
    """
    signs = list(_signs(folder, role))
    if not signs:
        return [f"no {role} runs here"]
    return [fault for sign in signs if (fault := _fault(role, sign, silence_seconds))]


def _signs(folder: Path, role: str) -> Iterator[dict[str, object]]:
    for path in folder.glob(f"{role}-{socket.gethostname()}-*.json"):
        with suppress(FileNotFoundError):
            sign = json.loads(path.read_text())
            if Path("/proc", str(sign["pid"])).exists():
                yield sign
            else:
                path.unlink(missing_ok=True)


def _fault(role: str, sign: dict[str, object], silence_seconds: float) -> str:
    silent = time.monotonic() - float(str(sign["at"]))
    if silent > silence_seconds:
        return f"{role} {sign['pid']} has said nothing for {silent:.0f} s"
    return f"{role} {sign['pid']} {sign['fault']}" if sign["fault"] else ""
