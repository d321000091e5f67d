"""Uploads by the tus clients of others through a network that cuts them off, and processes that end in the middle."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from django.db import connection
from tusclient.client import TusClient

from embedded.home import REPOSITORY
from embedded.servers import SeaweedFS
from storage.keys import source_key
from storage.protocol import ObjectStore
from tests.api_process import ApiProcess
from tests.faults.proxy import TcpProxy, Watch
from tests.integration.uploads.test_direct_uploads import MIB, PART, a_file
from tests.integration.uploads.test_tus import created, offset_of, patch, row, sending, shown, until
from tests.rows import a_key
from videos.models import Upload
from videos.uploads.tus.route import PATH

SIZE = 2 * PART + 4 * MIB + 321
CUT_AFTER = 7 * MIB
CLIENTS = REPOSITORY / "tests" / "clients"


@pytest.fixture(scope="module")
def processes(
    django_db_setup: None, s3_server: SeaweedFS, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ApiProcess, ApiProcess]]:
    """Two processes of the API, of which tests may end the first."""
    with ExitStack() as ends:
        started = []
        for _ in range(2):
            scratch = tmp_path_factory.mktemp("api")
            process = ApiProcess(_unused_port(), str(connection.settings_dict["NAME"]), scratch)
            ends.callback(process.close)
            started.append(process)
        for process in started:
            process.wait_ready()
        yield started[0], started[1]


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(a_file(SIZE))
    return path


@pytest.fixture
def network(processes: tuple[ApiProcess, ApiProcess]) -> Iterator[TcpProxy]:
    """The way to the second process, which cuts connections."""
    proxy = TcpProxy(processes[1].port)
    proxy.watch(cutting())
    yield proxy
    proxy.close()


def cutting() -> Watch:
    """Cut clients off whenever so many bytes have passed."""
    passed = 0

    def watch(data: bytes) -> bool:
        nonlocal passed
        passed += len(data)
        if passed < CUT_AFTER:
            return False
        passed = 0
        return True

    return watch


def client_of(process: ApiProcess, key: str) -> httpx2.Client:
    headers = {"X-API-Key": key}
    return httpx2.Client(base_url=f"http://127.0.0.1:{process.port}", headers=headers, trust_env=False, timeout=120)


def assert_stored(store: ObjectStore, upload: Upload, file: Path) -> None:
    """The object is the file, bit for bit, and nothing lies beside it."""
    assert upload.state == "ready"
    arrived = hashlib.sha256()
    for block in store.open(source_key(upload.video_id)):
        arrived.update(block)
    assert arrived.hexdigest() == hashlib.sha256(file.read_bytes()).hexdigest()
    assert [found.key for found in store.list("videos/")] == [source_key(upload.video_id)]
    assert not list(store.list_multiparts("videos/"))


def test_tus_js_client_goes_on_after_each_cut(
    store: ObjectStore, transactional_db: None, network: TcpProxy, file: Path
) -> None:
    options = json.dumps({"retryDelays": [0, 200, *[1000] * 60]})
    argv = ["node", "tus.mjs", f"http://127.0.0.1:{network.port}{PATH}", a_key(), str(file), options]
    done = subprocess.run(argv, cwd=CLIENTS, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["retries"] >= SIZE // CUT_AFTER
    upload = row(printed["url"])
    assert (upload.filename, upload.external_id) == ("clip.mp4", "tus-js")
    assert_stored(store, upload, file)


def test_tuspy_goes_on_after_each_cut_and_sends_checksums(
    store: ObjectStore, transactional_db: None, network: TcpProxy, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client = TusClient(f"http://127.0.0.1:{network.port}{PATH}", headers={"X-API-Key": a_key()})
    with file.open("rb") as stream:
        uploader = client.uploader(
            file_stream=stream,
            chunk_size=3 * MIB,
            retries=100,
            retry_delay=0.2,
            upload_checksum=True,
            metadata={"filename": "ü.mp4"},
        )
        uploader.upload()
    upload = row(str(uploader.url))
    assert upload.filename == "ü.mp4"
    assert_stored(store, upload, file)


def test_another_process_goes_on_when_one_is_killed(
    store: ObjectStore, transactional_db: None, processes: tuple[ApiProcess, ApiProcess], file: Path
) -> None:
    data, key = file.read_bytes(), a_key()
    with client_of(processes[0], key) as first, client_of(processes[1], key) as second:
        path = created(first, SIZE)
        with sending(first, path, 0, SIZE, data[: SIZE - MIB]):
            until(lambda: row(path).received_bytes >= 2 * PART)
            processes[0].kill()
        assert offset_of(second, path) == 2 * PART

        def resumed() -> bool:
            """Go on as soon as the lock of the killed process has expired."""
            response = patch(second, path, 2 * PART, data[2 * PART :])
            assert response.status_code in {204, 423}, response.text
            return response.status_code == 204

        until(resumed)
        assert shown(second, path)["state"] == "ready"
    assert_stored(store, row(path), file)


def test_a_process_that_is_stopped_stores_what_has_arrived(
    store: ObjectStore, transactional_db: None, processes: tuple[ApiProcess, ApiProcess], file: Path
) -> None:
    """The last test of this file: the process ends."""
    with client_of(processes[1], a_key()) as client:
        path = created(client, SIZE)
        with sending(client, path, 0, SIZE, file.read_bytes()[: PART + 100_000]):
            until(lambda: row(path).received_bytes >= PART)
            processes[1].close()
    upload = row(path)
    assert PART < upload.received_bytes <= PART + 100_000
    assert upload.locked_until is None
    assert store.head(upload.tail_key).size == upload.tail_bytes == upload.received_bytes - PART
