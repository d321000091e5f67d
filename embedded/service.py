"""One long-lived local process: started once, found again by its identity, ended exactly."""

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
    """A remembered port belongs to somebody else; the text says which, by whom, and what to do."""


class Service(ABC):
    """What all services share. `start`, `wait_ready` and `close` may be called in any state."""

    name: ClassVar[str]
    polite: ClassVar[signal.Signals] = signal.SIGTERM
    grace_seconds: ClassVar[float] = 10.0
    ready_seconds: ClassVar[float] = 60.0

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.folder / self.name
        self.log = home.folder / "logs" / f"{self.name}.log"
        self._identity_path = home.folder / "run" / f"{self.name}.json"

    @abstractmethod
    def argv(self) -> list[str]:
        """The command that is the service, in the foreground."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether it does its work already."""

    def environ(self) -> Mapping[str, str]:
        """Its whole environment; nothing of ours by default."""
        return {"PATH": os.defpath, "HOME": str(self.folder), "LANG": "C.UTF-8", "TZ": "UTC"}

    def ports(self) -> tuple[int, ...]:
        """The ports it listens on."""
        return ()

    def prepare(self) -> None:
        """Make what it needs before it can start; nothing of it runs."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def version(self) -> str:
        """Changes when a running one is out of date and must be started anew."""
        return hashlib.sha256(json.dumps(self.argv()).encode()).hexdigest()

    @property
    def identity(self) -> Identity | None:
        """The process that was started last, dead or alive."""
        kept = read_json(self._identity_path)
        return Identity(kept["pid"], kept["started"]) if kept else None

    def running(self) -> bool:
        """Whether the process that we started lives."""
        return (identity := self.identity) is not None and daemons.alive(identity)

    def current(self) -> bool:
        """Whether it runs and is up to date."""
        kept = read_json(self._identity_path)
        return kept is not None and kept["version"] == self.version() and self.running()

    def start(self) -> bool:
        """Make sure that an up-to-date one runs; True when it had to be started. Raises PortTaken, DaemonError."""
        if self.current():
            return False
        self.close()
        self._require_ports()
        self.prepare()
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".old.log"))  # one start, one log; the one before is kept
        identity = daemons.start(self.argv(), log=self.log, environ=self.environ(), folder=REPOSITORY)
        write_json(self._identity_path, {"pid": identity.pid, "started": identity.started, "version": self.version()})
        return True

    def wait_ready(self) -> None:
        """Wait until it works. Raises DaemonError with the end of its log."""
        identity = self.identity
        if identity is None:
            raise daemons.DaemonError(f"{self.name} was not started")
        daemons.wait_until(
            self.ready, what=self.name, identity=identity, log=self.log, timeout_seconds=self.ready_seconds
        )

    def close(self) -> bool:
        """End it and whatever it left behind; True when it ran."""
        identity = self.identity
        if identity is None:
            return False
        ran = daemons.alive(identity)
        daemons.stop(identity, polite=self.polite, grace_seconds=self.grace_seconds)
        self._identity_path.unlink()
        return ran

    def _require_ports(self) -> None:
        for port in self.ports():
            if not port_is_free(port):
                raise PortTaken(
                    f"port {port}, which {self.name} used before, is taken by {port_owner(port)}; end that, or delete"
                    f" the port in {self.home.folder / 'state.json'} to have another one picked"
                )


def on_path(name: str, *folders: Path) -> Path | None:
    """The executable of this name in the first folder that has it, system folders last."""
    system = (Path(root, kind) for root in ("/usr/local", "/usr", "/") for kind in ("bin", "sbin"))
    return next((folder / name for folder in (*folders, *system) if os.access(folder / name, os.X_OK)), None)
