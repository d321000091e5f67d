from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.servers import SeaweedFS
from storage.local import LocalStore
from storage.s3 import S3Config, S3Store
from tests.rclone import Rclone
from tests.servers import ServersOfThisRun

PART = 5 * 1024 * 1024


@pytest.fixture
def local_store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "store", part_bytes=PART)
    store.prepare()
    return store


@pytest.fixture(scope="session")
def s3_config(s3_server: SeaweedFS) -> S3Config:
    return S3Config(
        bucket="contract",
        region="us-east-1",
        endpoint_url=s3_server.endpoint_url,
        access_key=s3_server.access_key,
        secret_key=s3_server.secret_key,
    )


@pytest.fixture(scope="session")
def s3_store(s3_config: S3Config) -> S3Store:
    store = S3Store(s3_config, part_bytes=PART, parallel_parts=2)
    store.prepare()
    return store


@pytest.fixture(scope="session")
def rclone(servers: ServersOfThisRun) -> Iterator[Rclone]:
    server = Rclone(servers.home)
    yield servers.started(server)
    server.close()


@pytest.fixture(scope="session")
def rclone_config(rclone: Rclone) -> S3Config:
    return S3Config(
        bucket="contract",
        region="us-east-1",
        endpoint_url=rclone.endpoint_url,
        access_key=rclone.access_key,
        secret_key=rclone.secret_key,
    )


@pytest.fixture(scope="session")
def rclone_store(rclone_config: S3Config) -> S3Store:
    store = S3Store(rclone_config, part_bytes=PART, parallel_parts=2)
    store.prepare()
    return store
