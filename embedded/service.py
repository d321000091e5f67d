"""A long-lived local process that later runs find again by its identity."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from embedded.home import REPOSITORY, Home, read_json, write_json
from embedded.ports import port_is_free, port_owner
from execution import daemons
from execution.daemons import Identity


class PortTaken(Exception):
    """Another process listens on a port of ours; the message names it and says what to do."""


class Service(ABC):
    """Base of all services. `start`, `wait_ready` and `close` may be called in any state."""

    name: str
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    grace_seconds: ClassVar[float] = 10.0
    ready_seconds: ClassVar[float] = 180.0

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.folder / self.name
        self.log = home.folder / "logs" / f"{self.name}.log"
        self._identity_path = home.folder / "run" / f"{self.name}.json"

    @abstractmethod
    def argv(self) -> list[str]:
        """Command line that runs the service in the foreground."""

    @abstractmethod
    def ready(self) -> bool:
        """Return True if the service responds."""

    def environ(self) -> Mapping[str, str]:
        """Complete environment of the process; nothing is inherited by default."""
        return {"PATH": os.defpath, "HOME": str(self.folder), "LANG": "C.UTF-8", "TZ": "UTC"}

    def ports(self) -> tuple[int, ...]:
        """Ports that it listens on."""
        return ()

    def prepare(self) -> None:
        """Create files that it requires. Called while it does not run."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def fingerprint(self) -> str:
        """Digest of everything whose change requires a restart."""
        return hashlib.sha256(json.dumps(self.argv()).encode()).hexdigest()

    @property
    def identity(self) -> Identity | None:
        """Identity of the last process, running or not."""
        record = read_json(self._identity_path)
        return Identity(record["pid"], record["started"]) if record else None

    def running(self) -> bool:
        """Return True if the last started process runs."""
        return (identity := self.identity) is not None and daemons.alive(identity)

    def current(self) -> bool:
        """Return True if it runs with the current code and settings."""
        record = read_json(self._identity_path)
        return record is not None and record.get("fingerprint") == self.fingerprint() and self.running()

    def start(self) -> bool:
        """Start or restart it unless it is current. Returns True if it was started.

        Raises PortTaken and DaemonError.
        """
        if self.current():
            return False
        self.close()
        self._require_ports()
        self.prepare()
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".old.log"))  # one log per start, and the one before
        identity = daemons.start(self.argv(), log=self.log, environ=self.environ(), folder=REPOSITORY)
        write_json(
            self._identity_path, {"pid": identity.pid, "started": identity.started, "fingerprint": self.fingerprint()}
        )
        return True

    def wait_ready(self) -> None:
        """Wait until it is ready. Raises DaemonError with the tail of its log."""
        identity = self.identity
        if identity is None:
            raise daemons.DaemonError(f"{self.name} was not started")
        daemons.wait_until(
            self.ready, what=self.name, identity=identity, log=self.log, timeout_seconds=self.ready_seconds
        )

    def close(self) -> bool:
        """Stop it and its child processes. Returns True if it ran."""
        identity = self.identity
        if identity is None:
            return False
        ran = daemons.alive(identity)
        daemons.stop(identity, stop_signal=self.stop_signal, grace_seconds=self.grace_seconds)
        self._identity_path.unlink()
        return ran

    def _require_ports(self) -> None:
        for port in self.ports():
            if not port_is_free(port):
                raise PortTaken(
                    f"port {port}, which {self.name} used before, is taken by {port_owner(port)}; end that process,"
                    f" or delete the port in {self.home.folder / 'state.json'} to pick another one"
                )


def find_program(name: str, *folders: Path) -> Path | None:
    """Return the executable of this name in the first folder that has it, system folders last, or None."""
    system = (Path(root, kind) for root in ("/usr/local", "/usr", "/") for kind in ("bin", "sbin"))
    return next((folder / name for folder in (*folders, *system) if os.access(folder / name, os.X_OK)), None)
