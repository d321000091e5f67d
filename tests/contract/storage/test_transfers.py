"""Large files between this machine and a bucket, over a network that fails, corrupts and crawls."""

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from pathlib import Path
from uuid import uuid4

import pytest

from embedded.servers import SeaweedFS
from storage.errors import ObjectNotFound, StorageUnavailable
from storage.s3 import S3Config, S3Store
from tests.faults.proxy import StoreFault, StoreProxy

BYTES = "application/octet-stream"
PART = 5 * 1024 * 1024
SLOW = 10_000
"""Bytes per second: at that speed, one part takes nine minutes."""


@pytest.fixture
def proxy(s3_server: SeaweedFS, s3_store: S3Store) -> Iterator[StoreProxy]:
    """A proxy in front of the store, whose bucket exists."""
    proxy = StoreProxy(int(s3_server.endpoint_url.rpartition(":")[2]))
    yield proxy
    proxy.close()


@pytest.fixture
def store(s3_config: S3Config, proxy: StoreProxy) -> S3Store:
    config = replace(s3_config, endpoint_url=f"http://127.0.0.1:{proxy.port}")
    return S3Store(config, part_bytes=PART, parallel_parts=3, sleep=lambda _seconds: None)


@pytest.fixture
def key(s3_store: S3Store) -> Iterator[str]:
    folder = f"tests/{uuid4()}/"
    yield f"{folder}large"
    assert list(s3_store.list_multiparts(folder)) == [], "every upload was completed or aborted"
    s3_store.delete_prefix(folder)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3 * PART + 1_234))
    return path


def part(path: str) -> int | None:
    """Return the number of the part that a request sends."""
    found = re.search(r"partNumber=(\d+)", path)
    return int(found[1]) if found else None


def test_18_three_of_ten_requests_fail(store: S3Store, proxy: StoreProxy, key: str, file: Path, tmp_path: Path) -> None:
    counter = itertools.count()
    failed: Counter[str] = Counter()

    def judge(_method: str, path: str, _headers: Message) -> StoreFault | None:
        if next(counter) % 10 not in (0, 3, 7) or failed[path] == 2:
            return None
        failed[path] += 1
        return [StoreFault(status=503), StoreFault(reset=True), StoreFault(status=500)][failed.total() % 3]

    proxy.judge = judge
    moved: list[int] = []
    stored = store.put_file(key, file, BYTES, moved.append)
    assert stored.size == sum(moved) == file.stat().st_size
    assert store.fetch(key, tmp_path / "back") == stored
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    assert failed.total() >= 3


def test_a_part_that_fails_often_does_not_cost_the_others(
    store: S3Store, proxy: StoreProxy, key: str, file: Path
) -> None:
    sent: Counter[int] = Counter()

    def judge(_method: str, path: str, _headers: Message) -> StoreFault | None:
        if number := part(path):
            sent[number] += 1
            if number == 2 and sent[number] <= 5:  # as often as the client repeats a request
                return StoreFault(status=500)
        return None

    proxy.judge = judge
    store.put_file(key, file, BYTES)
    proxy.heal()
    assert store.get(key) == file.read_bytes()
    assert sent == {1: 1, 2: 6, 3: 1, 4: 1}


def test_19_a_part_that_crawls_is_sent_again_by_another_connection(
    store: S3Store, proxy: StoreProxy, key: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.pace.CRAWL_SECONDS", 0.5)
    monkeypatch.setattr("storage.s3_reading.BLOCK_BYTES", SLOW)
    crawling, resetting, back = iter(range(1)), iter(range(2)), iter(range(2))

    def judge(method: str, path: str, _headers: Message) -> StoreFault | None:
        if part(path) == 2 and next(crawling, None) is not None:
            return StoreFault(bytes_per_second=SLOW)
        if part(path) and next(resetting, None) is not None:
            return StoreFault(reset=True)
        if method == "GET" and next(back, None) is not None:
            return StoreFault(bytes_per_second=SLOW)
        return None

    proxy.judge = judge
    stored = store.put_file(key, file, BYTES)
    back_again = file.with_name("back")
    assert store.fetch(key, back_again) == stored
    assert back_again.read_bytes() == file.read_bytes()
    assert [next(faults, None) for faults in (crawling, resetting, back)] == [None] * 3


@pytest.mark.parametrize("size", [1_000, PART + 1])
def test_bytes_that_change_on_the_way_are_sent_again(
    store: S3Store, proxy: StoreProxy, key: str, tmp_path: Path, size: int
) -> None:
    (tmp_path / "file").write_bytes(os.urandom(size))
    corrupted = iter(range(1))
    proxy.judge = lambda method, _path, _headers: (
        StoreFault(corrupt=True) if method == "PUT" and next(corrupted, None) is not None else None
    )
    store.put_file(key, tmp_path / "file", BYTES)
    proxy.heal()
    assert next(corrupted, None) is None
    assert store.get(key) == (tmp_path / "file").read_bytes()


def test_bytes_that_always_change_on_the_way_are_no_object(
    store: S3Store, proxy: StoreProxy, key: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(os.urandom(PART + 1))
    proxy.judge = lambda method, _path, _headers: StoreFault(corrupt=True) if method == "PUT" else None
    with pytest.raises(StorageUnavailable, match="bytes change on the way"):
        store.put_file(key, tmp_path / "file", BYTES)
    proxy.heal()
    with pytest.raises(ObjectNotFound):
        store.head(key)


@pytest.mark.parametrize("size", [1_000, PART + 1])
def test_fetched_bytes_that_changed_on_the_way_are_fetched_again(
    store: S3Store, proxy: StoreProxy, key: str, tmp_path: Path, size: int
) -> None:
    (tmp_path / "file").write_bytes(os.urandom(size))
    store.put_file(key, tmp_path / "file", BYTES)
    corrupted = iter(range(1))
    proxy.judge = lambda method, _path, _headers: (
        StoreFault(corrupt_answer=1) if method == "GET" and next(corrupted, None) is not None else None
    )
    store.fetch(key, tmp_path / "back")
    assert next(corrupted, None) is None
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()


def test_fetched_bytes_that_always_change_are_no_file(
    store: S3Store, proxy: StoreProxy, key: str, tmp_path: Path
) -> None:
    store.put(key, b"12", BYTES)
    answers = itertools.count()
    proxy.judge = lambda method, _path, _headers: (
        StoreFault(corrupt_answer=1 + next(answers) % 2) if method == "GET" else None
    )
    with pytest.raises(StorageUnavailable, match="bytes change on the way"):
        store.fetch(key, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_an_etag_that_is_no_checksum_is_not_compared_twice(
    store: S3Store, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As of objects that the store encrypts with keys of its own (SSE-KMS)."""
    store.put(key, b"hello", BYTES)
    monkeypatch.setattr("storage.s3_reading.contradicts", lambda _etag, _digests: True)
    moved: list[int] = []
    for _ in range(2):
        store.fetch(key, tmp_path / "back", moved.append)
    assert (tmp_path / "back").read_bytes() == b"hello"
    assert len(moved) == 3
    assert caplog.text.count("its etag is not that of its bytes") == 1


def test_a_large_object_is_copied_in_ranges(
    s3_store: S3Store, key: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.s3_copying.COPY_PART_BYTES", PART)
    s3_store.put_file(key, file, "video/mp4")
    copied = s3_store.copy(key, f"{key}-copy")
    assert copied.etag.endswith("-4")
    assert s3_store.get(f"{key}-copy") == file.read_bytes()
    assert s3_store.describe(f"{key}-copy")[1] == "video/mp4"


def test_a_store_that_copies_no_ranges_copies_the_whole(
    store: S3Store, proxy: StoreProxy, key: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.s3_copying.COPY_PART_BYTES", PART)
    proxy.judge = lambda _method, path, headers: (
        StoreFault(status=501, code="NotImplemented") if part(path) and "x-amz-copy-source" in headers else None
    )
    store.put_file(key, file, BYTES)
    assert store.copy(key, f"{key}-copy").size == file.stat().st_size
    assert store.get(f"{key}-copy") == file.read_bytes()
