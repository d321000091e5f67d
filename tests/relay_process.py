"""The relay as it is run in production, in a process of its own, and what it holds of its machine."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from execution.process import descendant_pids
from tests.api_process import ApiProcess

DEADLINE_SECONDS = 120
SETTINGS = {
    "TRANSCODER_SOURCE_NETWORKS": "127.0.0.0/8",
    "TRANSCODER_RELAY_START_SECONDS": "60",
    "TRANSCODER_DATABASE_POOL_SIZE": "3",
    "TRANSCODER_ENABLE_GPU": "false",
    "TRANSCODER_METRICS_TOKEN": "scraper",
    "TRANSCODER_CORS_ORIGINS": "https://app.example.org",
}


@dataclass(frozen=True, slots=True)
class Held:
    """Resources of a process at a time."""

    children: int
    files: int
    threads: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that has an end."""

    status: int
    content_type: str
    body: bytes

    def problem(self) -> tuple[int, str]:
        """Return the status and the code of a problem document."""
        document = json.loads(self.body)
        assert self.content_type == "application/problem+json"
        assert document["status"] == self.status
        return self.status, document["code"]


class RelayProcess(ApiProcess):
    """A relay on this port and the database of the tests."""

    def _arguments(self) -> list[str]:
        return ["manage.py", "relay", "--port", str(self.port)]

    def open(self, path: str, api_key: str, *, method: str = "GET", body: Any = None, **query: str) -> Viewing:  # noqa: ANN401 - as http.client's
        """Send a request, and wait for the head of its response."""
        client = self.connection()
        headers = {"X-API-Key": api_key} if api_key else {}
        client.request(method, f"{path}?{urlencode(query)}", body=body, headers=headers)
        return Viewing(client, client.getresponse())

    def answer(self, path: str, api_key: str = "", *, method: str = "GET", **query: str) -> Answer:
        """Send a request, and read its whole response."""
        with closing(self.open(path, api_key, method=method, **query)) as viewing:
            return Answer(viewing.status, viewing.header("Content-Type"), viewing.response.read())

    def held(self) -> Held:
        """Count what it holds now."""
        root = Path("/proc", str(self.pid))
        return Held(len(self.processes()), len(os.listdir(root / "fd")), len(os.listdir(root / "task")))  # noqa: PTH208

    def processes(self) -> list[int]:
        """List what it has started."""
        return descendant_pids(self.pid)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def is_over(self) -> bool:
        return self._process.poll() is not None


@dataclass
class Viewing:
    """A response that may have no end."""

    client: http.client.HTTPConnection
    response: http.client.HTTPResponse

    @property
    def status(self) -> int:
        return self.response.status

    def header(self, name: str) -> str:
        return self.response.headers.get(name) or ""

    def read(self, size: int) -> bytes:
        """Read so many bytes, or all until the end."""
        return self.response.read(size)

    def close(self) -> None:
        """Go, whatever comes."""
        self.response.close()
        self.client.close()


def wait_until(happens: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happens():
        if time.monotonic() > deadline:
            pytest.fail("it did not happen")
        time.sleep(0.05)
