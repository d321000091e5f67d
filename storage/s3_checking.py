"""Checks of an S3 server beside those of every store: the clock, URLs, browsers, rules of the bucket."""

import contextlib
import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from storage.checking import CONTENT, TYPE, Check, Finding, Findings, Level, StoreChecks, failed, ok, warning
from storage.errors import ObjectChanged, StorageError
from storage.s3 import S3Store
from storage.s3_client import s3_client
from storage.s3_errors import refuses_operation, s3_errors

_ORIGIN = "https://storage-check.example"
_SECONDS = 20
_WARNED_SKEW = 30
_REFUSED_SKEW = 15 * 60
"""S3 refuses signatures that are older, or newer."""
_MIB = 1024 * 1024
_PROXY = "set TRANSCODER_PLAYBACK_DELIVERY=proxy, with which all bytes go through the API"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Message
    body: bytes


class S3Checks(StoreChecks):
    """Checks of a bucket. `redirects`: players are sent to its URLs."""

    store: S3Store

    def __init__(self, store: S3Store, *, redirects: bool, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__(store)
        self._redirects = redirects
        self._clock = clock or (lambda: datetime.now(UTC))
        config = store.config
        self._bucket = config.bucket
        self._client = s3_client(config, config.endpoint_url)

    def checks(self) -> Iterator[Check]:
        needed = Level.FAILED if self._redirects else Level.WARNING
        yield Check("reaching the store", self._reach, "check TRANSCODER_S3_ENDPOINT_URL", first=True)
        yield from super().checks()
        yield Check("a conditional read", self._if_match, "changed sources are noticed later", Level.WARNING)
        yield Check("a wrong checksum", self._checksum, "bytes that change on the way are stored", Level.WARNING)
        yield Check("a part that is there", self._list_parts, "interrupted uploads start again", Level.WARNING)
        yield Check(
            "a copy of a range", self._copy_range, "large objects are copied in one request, up to 5 GiB", Level.WARNING
        )
        yield Check("reading a presigned URL", self._presigned_get, f"players cannot be redirected: {_PROXY}", needed)
        yield Check("sending a part to a presigned URL", self._presigned_put, f"uploads need the API: {_PROXY}", needed)
        yield Check("the rules for browsers", self._cors, "`manage.py store_prepare` sets CORS rules", Level.WARNING)
        yield Check("a conditional write", self._if_none_match, "nothing here needs it", Level.WARNING)
        yield Check("the lifecycle rules", self._lifecycle, "the janitor alone aborts abandoned uploads", Level.WARNING)
        yield Check("versions", self._versions, "see whether deleted objects stay as versions", Level.WARNING)
        yield Check("the speed", self._speed, "it is not known", Level.WARNING)

    def _reach(self) -> Findings:
        """By a request without credentials, whose answer has a date whatever it says."""
        url = self.store.config.endpoint_url or self._client.meta.endpoint_url
        answer = yield from self._fetch(_request(url), failed, f"{url} cannot be reached")
        if answer is None:
            return
        yield ok(f"{url} answers")
        with contextlib.suppress(TypeError, ValueError):
            skew = (self._clock() - parsedate_to_datetime(answer.headers["Date"])).total_seconds()
            if abs(skew) >= _WARNED_SKEW:
                kind = failed if abs(skew) >= _REFUSED_SKEW else warning
                yield kind(
                    f"the clocks of this machine and of the store differ by {abs(skew):.0f} s, and the store refuses"
                    f" requests from {_REFUSED_SKEW} s on: synchronise both (NTP)"
                )
            else:
                yield ok("the clocks agree")

    def _if_match(self) -> Findings:
        try:
            with s3_errors(self.small):
                response = self._client.get_object(Bucket=self._bucket, Key=self.small, IfMatch='"0"')
        except ObjectChanged:
            yield ok("a changed object is noticed by the store (If-Match)")
            return
        response["Body"].close()
        yield ok("the store ignores If-Match, so etags are compared here")

    def _checksum(self) -> Findings:
        try:
            with s3_errors(self.small):
                self._signed_put(f"{self.small}-wrong", b"received", b"sent")
        except StorageError:
            yield ok("bytes that changed on the way are refused (Content-MD5)")
            return
        yield warning("the store takes bytes that do not have their Content-MD5: use https, which notices changes too")

    def _signed_put(self, key: str, data: bytes, digested: bytes) -> None:
        """Send other bytes than those of the checksum."""

        def swap(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
            request.body = data.ljust(len(digested))[: len(digested)]

        name = "before-send.s3.PutObject"
        self._client.meta.events.register_first(name, swap)
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=digested)
        finally:
            self._client.meta.events.unregister(name, swap)

    def _list_parts(self) -> Findings:
        upload_id = self.store.create_multipart(self.large, TYPE)
        self.store.put_part(self.large, upload_id, 1, b"part")
        sizes = [part.size for part in self.store.list_parts(self.large, upload_id)]
        self.store.abort_multipart(self.large, upload_id)
        yield (
            ok("the parts of an upload are listed")
            if sizes == [4]
            else warning(f"the store lists parts of {sizes} bytes instead of one of 4: interrupted uploads start again")
        )

    def _copy_range(self) -> Findings:
        upload_id = self.store.create_multipart(f"{self.large}-copy", TYPE)
        try:
            with s3_errors(self.large):
                response = self._client.upload_part_copy(
                    Bucket=self._bucket,
                    Key=f"{self.large}-copy",
                    UploadId=upload_id,
                    PartNumber=1,
                    CopySource={"Bucket": self._bucket, "Key": self.large},
                    CopySourceRange="bytes=0-9",
                )
        finally:
            self.store.abort_multipart(f"{self.large}-copy", upload_id)
        yield (
            ok("large objects are copied in ranges")
            if response["CopyPartResult"].get("ETag")
            else warning("the store cannot copy ranges: large objects are copied in one request, up to 5 GiB")
        )

    def _presigned_get(self) -> Findings:
        url = self.store.url(self.small, 300) or ""
        kind = failed if self._redirects else warning
        answer = yield from self._fetch(
            _request(url),
            kind,
            f"{_host(url)} cannot be reached from here: see TRANSCODER_S3_PUBLIC_ENDPOINT_URL",
        )
        if answer is None:
            return
        if answer.body != CONTENT:
            yield kind(f"a presigned URL of {_host(url)} gets status {answer.status}: {_PROXY}")
            return
        yield ok("presigned URLs are read")
        bare = yield from self._fetch(_request(url.partition("?")[0]), warning, "the URL without signature fails")
        if bare and bare.body == CONTENT:
            yield warning("the bucket is public: whoever knows the URL of an object can read it, without a token")

    def _presigned_put(self) -> Findings:
        upload_id = self.store.create_multipart(self.large, TYPE)
        url = self.store.part_urls(self.large, upload_id, {1: 4}, 300)[1]
        headers = {"Content-Length": "4", "Origin": _ORIGIN}
        failure = f"{_host(url)} takes no part"
        try:
            answer = yield from self._fetch(_request(url, b"part", headers), warning, failure)
            preflight = yield from self._fetch(_preflight(url, "PUT"), warning, failure)
        finally:
            self.store.abort_multipart(self.large, upload_id)
        if answer is None or preflight is None:
            return
        good = answer.status == http.HTTPStatus.OK and "ETag" in answer.headers
        kind = failed if self._redirects else warning
        yield (
            ok("clients can send parts to presigned URLs")
            if good
            else kind(f"a part sent to a presigned URL gets status {answer.status}: {_PROXY}")
        )
        if good:
            yield _browsers_may_send(answer, preflight)

    def _cors(self) -> Findings:
        url = self.store.url(self.small, 300) or ""
        kind = warning
        for origin in ("null", _ORIGIN):
            request = _request(url, headers={"Origin": origin})
            answer = yield from self._fetch(request, kind, f"{_host(url)} cannot be reached from here")
            if answer is None:
                return
            if not _allows(answer, origin):
                yield kind(
                    "pages of other origins cannot play redirected URLs: `manage.py store_prepare` sets the CORS rules"
                    f" of the bucket where the key may; else set them at the store, or {_PROXY}"
                )
                return
        yield ok("pages of any origin can play redirected URLs (CORS)")

    def _if_none_match(self) -> Findings:
        try:
            with s3_errors(self.small):
                self._client.put_object(Bucket=self._bucket, Key=self.small, Body=CONTENT, IfNoneMatch="*")
        except ObjectChanged:
            yield ok("conditional writes work (If-None-Match)")
            return
        yield ok("the store ignores If-None-Match; keys are never used twice, so nothing needs it")

    def _lifecycle(self) -> Findings:
        try:
            with s3_errors(self._bucket):
                response = self._client.get_bucket_lifecycle_configuration(Bucket=self._bucket)
        except StorageError as error:
            if "NoSuchLifecycleConfiguration" not in str(error) and not refuses_operation(error):
                raise
            response = {}  # type: ignore[typeddict-item]
        aborts = any("AbortIncompleteMultipartUpload" in rule for rule in response.get("Rules", ()))
        yield (
            ok("a lifecycle rule aborts abandoned uploads")
            if aborts
            else warning("no lifecycle rule aborts abandoned uploads: the janitor does, as long as a dispatcher runs")
        )

    def _versions(self) -> Findings:
        with s3_errors(self._bucket):
            status = self._client.get_bucket_versioning(Bucket=self._bucket).get("Status", "")
        yield (
            ok("the bucket has no versions")
            if status != "Enabled"
            else warning(
                "the bucket has versions, so deleted objects stay and cost money: add a lifecycle rule that expires"
                " noncurrent versions"
            )
        )

    def _speed(self) -> Findings:
        size = self.store.head(self.large).size
        started = time.perf_counter()
        self.store.head(self.large)
        answered = time.perf_counter()
        data = self.store.get(self.large)
        read = time.perf_counter()
        self.store.put(f"{self.large}-speed", data, TYPE)
        written = time.perf_counter()
        down, up = size / _MIB / (read - answered), size / _MIB / (written - read)
        yield ok(
            f"one connection reads {down:.0f} MiB/s and writes {up:.0f} MiB/s, and an answer takes"
            f" {(answered - started) * 1000:.0f} ms; files use TRANSCODER_PARALLEL_PARTS connections"
        )

    def _fetch(self, request: Request, kind: Callable[[str], Any], problem: str) -> Any:  # noqa: ANN401 - a generator
        """Send a request and return its answer, whatever its status. Yields a finding and returns None without one."""
        try:
            with urlopen(request, timeout=_SECONDS) as response:  # noqa: S310 - see `_request`
                return _Answer(response.status, response.headers, response.read(_MIB))
        except HTTPError as error:
            with error:
                return _Answer(error.code, error.headers, error.read(_MIB))
        except (OSError, http.client.HTTPException) as error:
            yield kind(f"{problem} ({getattr(error, 'reason', error)})")
        return None


def _browsers_may_send(sent: _Answer, preflight: _Answer) -> Finding:
    """Say whether pages of other origins can send parts: by the responses to a part and to a browser's question."""
    named = preflight.headers.get("Access-Control-Allow-Methods", "").upper()
    allowed = _allows(sent, _ORIGIN) and _allows(preflight, _ORIGIN) and ("PUT" in named or "*" in named)
    exposed = sent.headers.get("Access-Control-Expose-Headers", "").lower()
    if allowed and ("etag" in exposed or "*" in exposed):
        return ok("pages of any origin can send parts and read their ETag (CORS)")
    missing = "read the ETag of the parts that they send" if allowed else "send parts to presigned URLs"
    return warning(
        f"pages of other origins cannot {missing}, so uploads from browsers fail: `manage.py store_prepare` sets the"
        f" CORS rules of the bucket where the key may; else allow PUT and expose ETag at the store, or {_PROXY}"
    )


def _allows(answer: _Answer, origin: str) -> bool:
    return answer.headers.get("Access-Control-Allow-Origin") in ("*", origin)


def _preflight(url: str, method: str) -> Request:
    """Build the question that a browser sends before a request of a page of another origin."""
    headers = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type"}
    return Request(url, headers={"Origin": _ORIGIN, **headers}, method="OPTIONS")  # noqa: S310 - see `_request`


def _request(url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> Request:
    """Build a GET, or a PUT of bytes. The URL is one of the operator's own store."""
    return Request(url, data, dict(headers or {}), method="GET" if data is None else "PUT")  # noqa: S310


def _host(url: str) -> str:
    return urlsplit(url).netloc
