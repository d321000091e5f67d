"""A large upload costs the API process neither memory nor disk, and its end in the middle leaves nothing."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from embedded.home import REPOSITORY
from storage.protocol import ObjectStore
from tests.rows import a_key
from videos.uploads.idempotency import PATH

MIB = 1024 * 1024
SIZE = 512 * MIB
MAX_GROWTH = 200 * MIB
"""Parts in flight and their copies: 60 to 115 MiB were measured, depending on how threads and arenas of malloc meet."""
MAX_WRITTEN = 4 * MIB
"""Logs and what Python writes when it starts; a spooled body would be all of SIZE."""

HEAD = (
    b'--b0undary\r\nContent-Disposition: form-data; name="video"; filename="large.mp4"\r\n\r\n'
    + bytes.fromhex("0000001c")
    + b"ftypisom"
)
TAIL = b"\r\n--b0undary--\r\n"


class ApiProcess:
    """The API as it is run in production, in a process of its own."""

    def __init__(self, port: int, database: str, scratch: Path) -> None:
        self.port = port
        url = urlsplit(os.environ["TRANSCODER_DATABASE_URL"])
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "transcoder_site.settings",
            "TRANSCODER_DATABASE_URL": urlunsplit(url._replace(path=f"/{database}")),
            "TMPDIR": str(scratch),
        }
        serve = ["-m", "transcoder_site.server", "--port", str(port)]
        serve += ["--grace-seconds", "1"]
        self._process = subprocess.Popen([sys.executable, *serve], cwd=REPOSITORY, env=environment)

    def connection(self, timeout: float = 120) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with closing(self.connection(10)) as client:
                    client.request("GET", "/api/v1/videos")
                    assert client.getresponse().status == 401
                    return
            except OSError:
                assert self._process.poll() is None, "the API ended"
                time.sleep(0.1)
        pytest.fail("the API did not come up")

    def peak_memory(self) -> int:
        """Read the highest resident size that the process ever had, in bytes."""
        return int(self._figure("status", "VmHWM").split()[0]) * 1024

    def written(self) -> int:
        """Count the bytes passed to write() so far: files and pipes, not sockets."""
        return int(self._figure("io", "wchar"))

    def _figure(self, file: str, name: str) -> str:
        lines = Path(f"/proc/{self._process.pid}/{file}").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)


@pytest.fixture
def process(store: ObjectStore, transactional_db: None, unused_port: int, tmp_path: Path) -> Iterator[ApiProcess]:
    process = ApiProcess(unused_port, str(connection.settings_dict["NAME"]), tmp_path)
    try:
        process.wait_ready()
        yield process
    finally:
        process.close()


def upload(process: ApiProcess, size: int) -> int:
    """Send a video of `size` bytes as fast as the API takes it, and return the status."""
    block = os.urandom(MIB)
    with closing(process.connection(600)) as client:
        client.putrequest("POST", PATH)
        client.putheader("Content-Type", "multipart/form-data; boundary=b0undary")
        client.putheader("X-API-Key", a_key())
        client.putheader("Content-Length", str(len(HEAD) + size + len(TAIL)))
        client.endheaders(HEAD)
        for _ in range(size // MIB):
            client.send(block)
        client.send(TAIL)
        return client.getresponse().status


def test_a_large_upload_takes_constant_memory(process: ApiProcess, store: ObjectStore, tmp_path: Path) -> None:
    assert upload(process, MIB) == 201  # what is loaded on first use counts as the start
    memory, written = process.peak_memory(), process.written()
    assert upload(process, SIZE) == 201
    growth = process.peak_memory() - memory
    assert growth < MAX_GROWTH, f"grew by {growth / MIB:.0f} MiB"
    assert process.written() - written < MAX_WRITTEN
    assert list(tmp_path.iterdir()) == []
    assert max(stored.size for stored in store.list("videos/")) > SIZE
    store.delete_prefix("videos/")


def test_a_server_that_is_stopped_in_the_middle_leaves_nothing(process: ApiProcess, store: ObjectStore) -> None:
    with closing(process.connection()) as client:
        client.putrequest("POST", PATH)
        client.putheader("Content-Type", "multipart/form-data; boundary=b0undary")
        client.putheader("X-API-Key", a_key())
        client.putheader("Content-Length", str(SIZE))
        client.endheaders(HEAD)
        client.send(os.urandom(25 * MIB))
        wait_for(lambda: list(store.list_multiparts("videos/")))
        process.close()
    assert list(store.list_multiparts("videos/")) == []
    assert list(store.list("videos/")) == []


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)
