"""Behaviour of the S3 store beyond the contract: presigned URLs, retries, translation of boto3's errors."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import botocore.exceptions
import httpx2
import pytest
from boto3.session import Session
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from storage.errors import (
    ObjectChanged,
    ObjectNotFound,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    UploadNotFound,
)
from storage.s3 import S3Config, S3Store
from storage.s3_errors import ERRORS_BY_CODE, s3_errors

BYTES = "application/octet-stream"
PART = 5 * 1024 * 1024


@pytest.fixture
def key(s3_store: S3Store) -> Iterator[str]:
    key = f"tests/{uuid4()}/segment.m4s"
    s3_store.put(key, b"0123456789", BYTES)
    yield key
    s3_store.delete([key])


def presigned(store: S3Store, key: str, content_type: str | None = None) -> str:
    url = store.url(key, 60, content_type, "max-age=60")
    assert url is not None
    return url


def test_a_presigned_url_needs_no_credentials(s3_store: S3Store, key: str) -> None:
    response = httpx2.get(presigned(s3_store, key, "video/iso.segment"))
    assert (response.status_code, response.content) == (200, b"0123456789")
    assert response.headers["content-type"] == "video/iso.segment"
    assert response.headers["cache-control"] == "max-age=60"


def test_a_presigned_url_supports_ranges(s3_store: S3Store, key: str) -> None:
    response = httpx2.get(presigned(s3_store, key), headers={"Range": "bytes=2-4"})
    assert (response.status_code, response.content) == (206, b"234")


def test_a_part_of_exactly_the_signed_length_needs_no_credentials(s3_store: S3Store) -> None:
    key = f"tests/{uuid4()}/source"
    upload_id = s3_store.create_multipart(key, BYTES)
    url = s3_store.part_urls(key, upload_id, {3: 5}, 60)[3]
    sent = [httpx2.put(url, content=data).status_code for data in (b"1234", b"123456", b"12345")]
    assert sent == [403, 403, 200]
    assert httpx2.put(url.replace("partNumber=3", "partNumber=1"), content=b"12345").status_code == 403
    assert [(part.number, part.size) for part in s3_store.list_parts(key, upload_id)] == [(3, 5)]
    s3_store.abort_multipart(key, upload_id)
    assert httpx2.put(url, content=b"12345").status_code == 404


def test_more_parts_than_a_page_has_are_listed(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    key = f"tests/{uuid4()}/source"
    upload_id = s3_store.create_multipart(key, BYTES)
    for number in range(1, 6):
        s3_store.put_part(key, upload_id, number, b"x")
    pages = s3_store._client.get_paginator("list_parts")
    paginate = pages.paginate
    monkeypatch.setattr(pages, "paginate", lambda **more: paginate(**more, PaginationConfig={"PageSize": 2}))
    monkeypatch.setattr(s3_store._client, "get_paginator", lambda _name: pages)
    assert [part.number for part in s3_store.list_parts(key, upload_id)] == [1, 2, 3, 4, 5]


def test_the_store_aborts_abandoned_uploads_unless_the_bucket_has_rules_of_its_own(s3_config: S3Config) -> None:
    store = S3Store(replace(s3_config, bucket="lifecycle"), part_bytes=PART, parallel_parts=2)
    store.prepare()
    (rule,) = store._client.get_bucket_lifecycle_configuration(Bucket="lifecycle")["Rules"]
    days = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
    assert (rule["Filter"], days) == ({"Prefix": "videos/"}, 30)
    own: Any = {"Rules": [{"ID": "own", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 9}}]}
    store._client.put_bucket_lifecycle_configuration(Bucket="lifecycle", LifecycleConfiguration=own)
    store.prepare()
    (left,) = store._client.get_bucket_lifecycle_configuration(Bucket="lifecycle")["Rules"]
    assert left["ID"] == "own"


def test_the_bucket_is_private(s3_store: S3Store, key: str) -> None:
    assert httpx2.get(presigned(s3_store, key).partition("?")[0]).status_code == 403


def test_a_presigned_url_grants_one_object(s3_store: S3Store, key: str) -> None:
    assert httpx2.get(presigned(s3_store, key).replace("segment.m4s", "other.m4s")).status_code == 403


def test_a_presigned_url_expires(s3_store: S3Store, key: str) -> None:
    assert httpx2.get(presigned(s3_store, key).replace("X-Amz-Expires=60", "X-Amz-Expires=600")).status_code == 403


@pytest.mark.parametrize("origin", ["null", "https://player.example"])
def test_pages_of_any_origin_may_play(s3_store: S3Store, key: str, origin: str) -> None:
    response = httpx2.get(presigned(s3_store, key), headers={"Origin": origin})
    assert response.headers["access-control-allow-origin"] in ("*", origin)


@pytest.mark.parametrize(("method", "header"), [("GET", "range"), ("PUT", "content-type")])
def test_preflights_for_ranges_and_for_parts_of_uploads_are_allowed(
    s3_store: S3Store, key: str, method: str, header: str
) -> None:
    headers = {"Origin": "null", "Access-Control-Request-Method": method, "Access-Control-Request-Headers": header}
    response = httpx2.options(presigned(s3_store, key), headers=headers)
    assert response.status_code == 200
    assert "access-control-allow-origin" in response.headers


def test_presigned_urls_have_the_public_endpoint(s3_config: S3Config) -> None:
    public = S3Config(
        bucket="b", region="us-east-1", endpoint_url="http://10.0.0.1:1", public_endpoint_url="https://media.example",
        access_key="a", secret_key="s",
    )  # fmt: skip
    url = S3Store(public, part_bytes=PART, parallel_parts=1).url("k", 60)
    assert str(url).startswith("https://media.example/b/k?")


def test_wrong_credentials_are_not_retryable(s3_config: S3Config) -> None:
    stranger = S3Config(
        bucket=s3_config.bucket, region="us-east-1", endpoint_url=s3_config.endpoint_url,
        access_key=s3_config.access_key, secret_key="wrong",
    )  # fmt: skip
    with pytest.raises(StorageRefused) as caught:
        S3Store(stranger, part_bytes=PART, parallel_parts=1).put("a", b"", BYTES)
    assert not caught.value.retryable


def test_a_missing_bucket_is_not_a_missing_object(s3_config: S3Config) -> None:
    elsewhere = S3Config(
        bucket="missing", region="us-east-1", endpoint_url=s3_config.endpoint_url,
        access_key=s3_config.access_key, secret_key=s3_config.secret_key,
    )  # fmt: skip
    with pytest.raises(StorageRefused):
        S3Store(elsewhere, part_bytes=PART, parallel_parts=1).get("a")


def test_the_repr_hides_secrets(s3_config: S3Config) -> None:
    assert s3_config.secret_key not in repr(s3_config)


# --- a scripted server that misbehaves -------------------------------------------------------------------------------

Respond = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def scripted_store(*responses: Respond) -> Iterator[S3Store]:
    """Yield a store at a server that answers each request with the next of `responses`."""
    script = iter(responses)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def response(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            next(script)(self)

        do_GET = do_PUT = do_HEAD = do_POST = response  # noqa: N815 - http.server's names

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        config = S3Config(
            bucket="b", region="us-east-1", endpoint_url=f"http://127.0.0.1:{server.server_port}",
            access_key="a", secret_key="s",
        )  # fmt: skip
        try:
            yield S3Store(config, part_bytes=PART, parallel_parts=1, sleep=no_pause)
        finally:
            server.shutdown()
            thread.join()


def status(code: int, error: str = "") -> Respond:
    def response(request: BaseHTTPRequestHandler) -> None:
        body = f"<Error><Code>{error}</Code></Error>".encode() if error else b""
        request.send_response(code)
        request.send_header("ETag", '"e1"')
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return response


def body(data: bytes, *, announced: int, etag: str = "e1", expect_range: str | None = None) -> Respond:
    """Respond with `data` under a Content-Length of `announced` bytes, and close the connection."""

    def response(request: BaseHTTPRequestHandler) -> None:
        assert request.headers.get("Range") == expect_range
        request.send_response(206 if expect_range else 200)
        request.send_header("ETag", f'"{etag}"')
        request.send_header("Content-Length", str(announced))
        request.end_headers()
        request.wfile.write(data)
        request.close_connection = True

    return response


def no_pause(_seconds: float) -> None:
    pass


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only of the client: other threads of this process sleep as they like."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=no_pause))


pytestmark = pytest.mark.usefixtures("_no_pauses")


def test_a_busy_store_is_retried() -> None:
    busy = status(503, "SlowDown")
    with scripted_store(busy, status(500, "InternalError"), status(200)) as store:
        assert store.put("a", b"x", BYTES).etag == "e1"


def test_retries_of_a_busy_store_are_limited() -> None:
    with scripted_store(*[status(503, "SlowDown")] * 9) as store, pytest.raises(StorageUnavailable) as caught:
        store.put("a", b"x", BYTES)
    assert caught.value.retryable


def test_an_unreachable_store_is_unavailable() -> None:
    config = S3Config(bucket="b", region="us-east-1", endpoint_url="http://127.0.0.1:9", access_key="a", secret_key="s")
    with pytest.raises(StorageUnavailable):
        S3Store(config, part_bytes=PART, parallel_parts=1).get("a")


def test_a_broken_download_is_resumed() -> None:
    first = body(b"0123", announced=10)
    rest = body(b"456789", announced=6, expect_range="bytes=4-9")
    with scripted_store(first, rest) as store:
        assert store.get("a") == b"0123456789"


def test_a_broken_download_is_not_resumed_with_other_bytes() -> None:
    first = body(b"0123", announced=10)
    other = body(b"456789", announced=6, etag="e2", expect_range="bytes=4-9")
    with scripted_store(first, other) as store, pytest.raises(ObjectChanged):
        store.get("a")


def test_resumes_without_progress_are_limited() -> None:
    responses = [body(b"01", announced=10)] + [body(b"", announced=8, expect_range="bytes=2-9")] * 9
    with scripted_store(*responses) as store, pytest.raises(StorageUnavailable):
        store.get("a")


def test_complete_succeeds_when_an_earlier_response_was_lost(tmp_path: Path) -> None:
    with scripted_store(status(404, "NoSuchUpload"), status(200)) as store:
        assert store.complete_multipart("a", "u", ["e"]).etag == "e1"
    lost = (status(404, "NoSuchUpload"), status(404), status(404, "NoSuchKey"))
    with scripted_store(*lost) as store, pytest.raises(UploadNotFound):
        store.complete_multipart("a", "u", ["e"])


# --- deleting ---------------------------------------------------------------------------------------------------------


def answer(text: str) -> Respond:
    def response(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text.encode())

    return response


def not_deleted(**codes: str) -> Respond:
    errors = "".join(f"<Error><Key>{key}</Key><Code>{code}</Code></Error>" for key, code in codes.items())
    return answer(f"<DeleteResult>{errors}</DeleteResult>")


def test_the_keys_that_were_not_deleted_are_named() -> None:
    with scripted_store(not_deleted(b="InternalError", d="AccessDenied", e="NoSuchKey")) as store:
        with pytest.raises(StorageRefused, match=r"2 objects stayed: b, d; .*AccessDenied") as caught:
            store.delete(["a", "b", "c", "d", "e"])
        assert caught.value.keys == ["b", "d"]
        assert not caught.value.retryable


def test_later_batches_are_deleted_although_a_key_of_an_earlier_one_was_not() -> None:
    keys = [f"k{number}" for number in range(1_001)]
    with scripted_store(not_deleted(k3="InternalError"), not_deleted()) as store:
        with pytest.raises(StorageUnavailable, match="k3") as caught:
            store.delete(keys)
        assert caught.value.keys == ("k3",)


def test_a_store_that_fails_names_all_keys_that_may_have_stayed() -> None:
    responses = [not_deleted(a="InternalError"), *[status(503, "SlowDown")] * 5]
    with scripted_store(*responses) as store:
        keys = ["a", *(f"k{number}" for number in range(1_000))]
        with pytest.raises(StorageUnavailable, match=r"2 objects stayed: a, k999; ") as caught:
            store.delete(keys)
        assert caught.value.keys == ["a", "k999"]


# --- the translation table --------------------------------------------------------------------------------------------


def a_client_error(code: str, http_status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": http_status}}, "GetObject")  # type: ignore[typeddict-item]


def every_client_exception() -> list[type[BotoCoreError]]:
    found = vars(botocore.exceptions).values()
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, BotoCoreError)]


def an(kind: type[BotoCoreError]) -> BotoCoreError:
    error = kind.__new__(kind)
    error.args = ("what happened",)
    return error


@pytest.mark.parametrize("kind", every_client_exception(), ids=lambda kind: kind.__name__)
def test_all_exceptions_of_the_client_are_translated(kind: type[BotoCoreError]) -> None:
    with pytest.raises(StorageError) as caught, s3_errors("a"):
        raise an(kind)
    assert caught.value.retryable is issubclass(kind, RETRYABLE)


RETRYABLE = (HTTPClientError, botocore.exceptions.ConnectionError, botocore.exceptions.IncompleteReadError)


@pytest.mark.parametrize(
    ("code", "http_status", "error"),
    [
        ("NoSuchKey", 404, ObjectNotFound),
        ("NoSuchBucket", 404, StorageRefused),
        ("AccessDenied", 403, StorageRefused),
        ("InvalidAccessKeyId", 403, StorageRefused),
        ("SignatureDoesNotMatch", 403, StorageRefused),
        ("RequestTimeTooSkewed", 403, StorageRefused),
        ("EntityTooSmall", 400, StorageRefused),
        ("SlowDown", 503, StorageUnavailable),
        ("InternalError", 500, StorageUnavailable),
        ("TooManyRequests", 429, StorageUnavailable),
        ("NotImplemented", 501, StorageRefused),
        ("RequestTimeout", 400, StorageUnavailable),
        ("", 502, StorageUnavailable),
        ("PreconditionFailed", 412, ObjectChanged),
    ],
)
def test_error_codes_are_translated(code: str, http_status: int, error: type[StorageError]) -> None:
    with pytest.raises(error), s3_errors("a"):
        raise a_client_error(code, http_status)


OPERATIONS = [
    "PutObject", "GetObject", "HeadObject", "DeleteObjects", "ListObjectsV2", "CreateMultipartUpload", "UploadPart",
    "CompleteMultipartUpload", "AbortMultipartUpload", "ListMultipartUploads", "ListParts", "CopyObject",
    "UploadPartCopy",
]  # fmt: skip
NOT_RETRYABLE = {
    "NoSuchBucket", "InvalidObjectState", "EncryptionTypeMismatch", "InvalidRequest", "InvalidWriteOffset",
    "TooManyParts", "ObjectNotInActiveTierError",
}  # fmt: skip


def test_all_declared_errors_of_our_operations_are_covered() -> None:
    service = Session().client("s3", region_name="us-east-1").meta.service_model
    declared = {shape.name for name in OPERATIONS for shape in service.operation_model(name).error_shapes}
    assert declared
    assert declared <= ERRORS_BY_CODE.keys() | NOT_RETRYABLE
