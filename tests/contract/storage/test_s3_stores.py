"""S3-compatible stores that lack what AWS has: the real store behind a proxy that refuses as they do."""

import base64
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import Message
from uuid import uuid4

import pytest

from embedded.servers import SeaweedFS
from storage.errors import ObjectNotFound, StorageError, StorageRefused
from storage.s3 import S3Config, S3Store
from tests.faults.proxy import StoreFault, StoreProxy

BYTES = "application/octet-stream"
PART = 5 * 1024 * 1024


@pytest.fixture
def proxy(s3_server: SeaweedFS, s3_store: S3Store) -> Iterator[StoreProxy]:
    """A proxy in front of the store, whose bucket exists."""
    proxy = StoreProxy(int(s3_server.endpoint_url.rpartition(":")[2]))
    yield proxy
    proxy.close()


@pytest.fixture
def store(s3_config: S3Config, proxy: StoreProxy) -> S3Store:
    return a_store(replace(s3_config, endpoint_url=f"http://127.0.0.1:{proxy.port}"))


@pytest.fixture
def folder(s3_store: S3Store) -> Iterator[str]:
    folder = f"tests/{uuid4()}/"
    yield folder
    s3_store.delete_prefix(folder)


def a_store(config: S3Config) -> S3Store:
    return S3Store(config, part_bytes=PART, parallel_parts=2)


# --- checksums --------------------------------------------------------------------------------------------------------


def knows_md5_only(method: str, path: str, headers: Message) -> StoreFault | None:
    """MinIO before 2025, Ceph and others: the newer checksums are unknown to them, and deleting wants an MD5."""
    if any(name.lower().startswith(("x-amz-checksum-", "x-amz-sdk-checksum-")) for name in headers):
        return StoreFault(status=400, code="InvalidArgument")
    if ((method, "delete" in path) == ("POST", True) or "cors" in path) and "Content-MD5" not in headers:
        return StoreFault(status=400, code="MissingContentMD5")
    return None


def test_a_store_that_knows_md5_only_can_do_everything(store: S3Store, proxy: StoreProxy, folder: str) -> None:
    proxy.judge = knows_md5_only
    store.prepare()
    for name in "abc":
        store.put(folder + name, b"x", BYTES)
    upload = store.create_multipart(f"{folder}large", BYTES)
    store.complete_multipart(f"{folder}large", upload, [store.put_part(f"{folder}large", upload, 1, b"part")])
    assert store.get(f"{folder}large") == b"part"
    assert store.delete_prefix(folder) == 4
    assert list(store.list(folder)) == []


def test_the_md5_is_that_of_the_body(store: S3Store, proxy: StoreProxy, folder: str) -> None:
    seen: list[tuple[str, int]] = []

    def watch(method: str, _path: str, headers: Message) -> StoreFault | None:
        if method == "POST":
            seen.append((headers["Content-MD5"], int(headers["Content-Length"])))
        return None

    proxy.judge = watch
    store.delete([f"{folder}a"])
    body = (
        '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Object><Key>{folder}a</Key></Object><Quiet>true</Quiet></Delete>"
    ).encode()
    ((md5, length),) = seen
    assert (md5, length) == (base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(), len(body))


# --- deleting without DeleteObjects -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(501, "NotImplemented"), (405, "MethodNotAllowed"), (400, "BadDigest")])
def test_without_delete_objects_they_are_deleted_one_by_one(
    store: S3Store, proxy: StoreProxy, folder: str, status: int, code: str
) -> None:
    refused: list[str] = []

    def judge(method: str, path: str, _headers: Message) -> StoreFault | None:
        if method == "POST" and "delete" in path:
            refused.append(path)
            return StoreFault(status=status, code=code)
        return None

    proxy.judge = judge
    for number in range(5):
        store.put(f"{folder}gone/{number}", b"x", BYTES)
    store.put(f"{folder}stays", b"x", BYTES)
    assert store.delete_prefix(f"{folder}gone/") == 5
    store.delete([f"{folder}never-was"])
    assert [stored.key for stored in store.list(folder)] == [f"{folder}stays"]
    assert len(refused) == 1, "it is not tried again"


@pytest.mark.parametrize(
    ("status", "code"), [(400, "ExpiredToken"), (403, "RequestTimeTooSkewed"), (403, "AccessDenied")]
)
def test_a_refusal_that_passes_costs_one_batch_only(
    store: S3Store, proxy: StoreProxy, folder: str, status: int, code: str
) -> None:
    requests: list[str] = []

    def judge(method: str, _path: str, _headers: Message) -> StoreFault | None:
        requests.append(method)
        return StoreFault(status=status, code=code) if method == "POST" and requests.count("POST") == 1 else None

    for name in "abcd":
        store.put(folder + name, b"x", BYTES)
    proxy.judge = judge
    store.delete([f"{folder}a", f"{folder}b"])
    assert requests == ["POST", "DELETE", "DELETE"]
    store.delete([f"{folder}c", f"{folder}d"])
    assert requests[3:] == ["POST"]
    assert list(store.list(folder)) == []


def test_a_key_that_may_not_delete_is_refused(
    store: S3Store, proxy: StoreProxy, folder: str, s3_store: S3Store
) -> None:
    def judge(method: str, path: str, _headers: Message) -> StoreFault | None:
        deletes = method == "DELETE" or (method == "POST" and "delete" in path)
        return StoreFault(status=403, code="AccessDenied") if deletes else None

    proxy.judge = judge
    store.put(f"{folder}a", b"x", BYTES)
    with pytest.raises(StorageRefused, match="AccessDenied: the access key lacks a right"):
        store.delete([f"{folder}a"])
    assert s3_store.get(f"{folder}a") == b"x"
    proxy.heal()
    store.delete([f"{folder}a"])
    assert list(store.list(folder)) == []


# --- settings of the bucket -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [(403, "AccessDenied"), (501, "NotImplemented"), (405, "MethodNotAllowed")])
def test_a_bucket_whose_settings_may_not_be_changed_is_used(
    store: S3Store, proxy: StoreProxy, folder: str, caplog: pytest.LogCaptureFixture, refusal: tuple[int, str]
) -> None:
    status, code = refusal

    def judge(method: str, path: str, _headers: Message) -> StoreFault | None:
        is_of_an_object = folder in path
        return StoreFault(status=status, code=code) if method in ("PUT", "HEAD") and not is_of_an_object else None

    proxy.judge = judge
    with caplog.at_level(logging.WARNING, "storage"):
        store.prepare()
    assert f"CORS rules of the bucket not set ({code})" in caplog.text
    store.put(f"{folder}a", b"x", BYTES)
    assert store.get(f"{folder}a") == b"x"


def test_a_store_that_is_down_is_not_taken_for_one_that_refuses(store: S3Store, proxy: StoreProxy) -> None:
    proxy.judge = lambda method, _path, _headers: StoreFault(status=503) if method == "PUT" else None
    with pytest.raises(StorageError) as caught:
        store.prepare()
    assert caught.value.retryable


# --- causes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ({"secret_key": "wrong"}, "SignatureDoesNotMatch: .*TRANSCODER_S3_SECRET_KEY"),
        ({"access_key": "nobody"}, "InvalidAccessKeyId: .*TRANSCODER_S3_ACCESS_KEY"),
    ],
)
def test_wrong_credentials_say_what_to_do(s3_config: S3Config, wrong: dict[str, str], cause: str) -> None:
    refused = a_store(replace(s3_config, **wrong))
    for request in (
        lambda: refused.get("a"),
        lambda: refused.put("a", b"", BYTES),
        lambda: refused.head("a"),
        lambda: list(refused.list("a")),
        lambda: refused.create_multipart("a", BYTES),
        lambda: refused.delete(["a"]),
    ):
        with pytest.raises(StorageRefused, match=cause):
            request()


def test_a_missing_bucket_is_named(s3_config: S3Config) -> None:
    nowhere = a_store(replace(s3_config, bucket="never-made"))
    for request in (lambda: nowhere.get("a"), lambda: nowhere.head("a"), lambda: list(nowhere.list("a"))):
        with pytest.raises(StorageRefused, match=r"NoSuchBucket: .*TRANSCODER_S3_BUCKET"):
            request()


def test_wrong_credentials_are_found_when_the_bucket_is_prepared(s3_config: S3Config) -> None:
    with pytest.raises(StorageRefused, match="SignatureDoesNotMatch"):
        a_store(replace(s3_config, secret_key="wrong")).prepare()


def test_a_wrong_clock_is_named(s3_config: S3Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def an_hour_ahead(*, remove_tzinfo: bool = True) -> datetime:
        now = datetime.now(UTC) + timedelta(hours=1)
        return now.replace(tzinfo=None) if remove_tzinfo else now

    monkeypatch.setattr("botocore.auth.get_current_datetime", an_hour_ahead)
    with pytest.raises(StorageRefused, match="RequestTimeTooSkewed: the clock of this machine"):
        a_store(s3_config).get("a")


def test_a_missing_object_is_not_a_missing_bucket(store: S3Store, folder: str) -> None:
    with pytest.raises(ObjectNotFound):
        store.head(f"{folder}nope")
