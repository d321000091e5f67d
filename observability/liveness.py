"""Liveness files: a process writes one with each turn of its loop, and a probe on the same machine reads it.

Neither contacts the database or the broker. A probe that fails when one of them is unavailable would have every worker
restarted again and again, although nothing is wrong with it.
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
"""Age at which a liveness file is a fault. Longer than any single wait for a database that hangs."""


class LivenessFile:
    """Last activity of one process, in monotonic seconds, which all processes of a machine share."""

    def __init__(self, folder: Path, role: str) -> None:
        self._path = folder / f"{role}-{socket.gethostname()}-{os.getpid()}.json"
        self._pid = os.getpid()

    def write(self, fault: str = "") -> None:
        """Record activity now, or a fault for which the process should be restarted.

        Errors are logged only: a full disk keeps no process from its work, and the probe notices the missing activity.
        """
        written = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            written.write_text(json.dumps({"pid": self._pid, "at": time.monotonic(), "fault": fault}))
            written.replace(self._path)
        except OSError as error:
            log.warning("liveness file not written: %s", error, extra={"event": "liveness_not_written"})

    def remove(self) -> None:
        """Delete the file, when the process ends."""
        self._path.unlink(missing_ok=True)


def liveness_faults(folder: Path, role: str, *, silence_seconds: float = SILENCE_SECONDS) -> list[str]:
    """List the faults of the processes of a role on this host. No running process is a fault, too.

    Deletes the files of killed processes.
    """
    found = list(_records(folder, role))
    if not found:
        return [f"no {role} runs here"]
    return [fault for record in found if (fault := _fault(role, record, silence_seconds))]


def _records(folder: Path, role: str) -> Iterator[dict[str, object]]:
    for path in folder.glob(f"{role}-{socket.gethostname()}-*.json"):
        with suppress(FileNotFoundError):
            record = json.loads(path.read_text())
            if Path("/proc", str(record["pid"])).exists():
                yield record
            else:
                path.unlink(missing_ok=True)


def _fault(role: str, record: dict[str, object], silence_seconds: float) -> str:
    silent = time.monotonic() - float(str(record["at"]))
    if silent > silence_seconds:
        return f"{role} {record['pid']} was last active {silent:.0f} s ago"
    return f"{role} {record['pid']} {record['fault']}" if record["fault"] else ""
