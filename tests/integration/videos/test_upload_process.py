"""A large upload costs the API process neither memory nor disk, and its end in the middle leaves nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection

from storage.protocol import ObjectStore
from tests.api_process import ApiProcess
from tests.rows import a_key
from videos.uploads.idempotency import PATH

MIB = 1024 * 1024
SIZE = 320 * MIB
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
