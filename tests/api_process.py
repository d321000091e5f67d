"""The API as it is run in production, in a process of its own."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

import pytest

from embedded.home import REPOSITORY


class ApiProcess:
    """An API on this port and the database of the tests, with further settings. Its log goes to `scratch`."""

    ready_path: ClassVar = "/readyz"

    def __init__(self, port: int, database: str, scratch: Path, settings: Mapping[str, str] | None = None) -> None:
        self.port = port
        self._log = scratch.with_name(f"{scratch.name}-api-{port}.log")
        url = urlsplit(os.environ["TRANSCODER_DATABASE_URL"])
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "transcoder_site.settings",
            "TRANSCODER_DATABASE_URL": urlunsplit(url._replace(path=f"/{database}")),
            "TMPDIR": str(scratch),
            **(settings or {}),
        }
        with self._log.open("wb") as log:
            argv = [sys.executable, *self._arguments()]
            self._process = subprocess.Popen(argv, cwd=REPOSITORY, env=environment, stderr=log)

    def _arguments(self) -> list[str]:
        return ["-m", "transcoder_site.server", "--port", str(self.port), "--grace-seconds", "1"]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """Its log so far."""
        return self._log.read_text(encoding="utf-8")

    def connection(self, timeout: float = 120) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with closing(self.connection(10)) as client:
                    client.request("GET", self.ready_path)
                    assert client.getresponse().status == 200
                    return
            except OSError:
                assert self._process.poll() is None, f"the API ended: {self.log}"
                time.sleep(0.1)
        pytest.fail(f"the API did not come up: {self.log}")

    def peak_memory(self) -> int:
        """Read the highest resident size that the process ever had, in bytes."""
        return int(self._figure("status", "VmHWM").split()[0]) * 1024

    def written(self) -> int:
        """Count the bytes passed to write() so far: files and pipes, not sockets."""
        return int(self._figure("io", "wchar"))

    def _figure(self, file: str, name: str) -> str:
        lines = Path(f"/proc/{self._process.pid}/{file}").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self._process.kill()
        self._process.wait(60)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)
