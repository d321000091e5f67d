import base64
import hashlib
import json
from datetime import UTC, datetime

import pytest

from api.problems import Problem
from videos.uploads.tus.protocol import (
    BODY_TYPE,
    BodyDigest,
    Checksum,
    body_offset,
    check_version,
    declared_size,
    http_date,
    later_size,
    metadata_header,
    options,
    upload_fields,
)


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def pair(name: str, value: str | bytes) -> str:
    return f"{name} {b64(value)}"


def refused(function: object, headers: dict[str, str]) -> Problem:
    with pytest.raises(Problem) as caught:
        function(headers)  # type: ignore[operator]
    return caught.value


@pytest.mark.parametrize("version", [None, "", "0.2.2", "1.0.1", "1.0"])
def test_another_version_is_refused_with_ours(version: str | None) -> None:
    problem = refused(check_version, {} if version is None else {"tus-resumable": version})
    assert (problem.status, problem.headers) == (412, {"Tus-Version": "1.0.0"})


def test_our_version_is_accepted() -> None:
    check_version({"tus-resumable": "1.0.0"})


def test_a_size_is_declared_or_deferred() -> None:
    assert declared_size({"upload-length": "0"}) == 0
    assert declared_size({"upload-length": "5368709120"}) == 5 << 30
    assert declared_size({"upload-defer-length": "1"}) is None
    assert later_size({}) is None
    assert later_size({"upload-length": "7"}) == 7


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({}, "Upload-Length"),
        ({"upload-length": "-1"}, "Upload-Length"),
        ({"upload-length": "1e3"}, "Upload-Length"),
        ({"upload-length": "٣"}, "Upload-Length"),
        ({"upload-length": "9" * 19}, "Upload-Length"),
        ({"upload-length": ""}, "Upload-Length"),
        ({"upload-defer-length": "0"}, "Upload-Defer-Length"),
        ({"upload-defer-length": "1", "upload-length": "5"}, "Upload-Defer-Length"),
    ],
)
def test_other_sizes_are_refused_by_name(headers: dict[str, str], field: str) -> None:
    problem = refused(declared_size, headers)
    assert (problem.status, problem.code, problem.errors[0].field) == (400, "invalid_header", field)


def test_a_body_names_its_offset() -> None:
    assert body_offset({"content-type": BODY_TYPE, "upload-offset": "123"}) == 123
    assert refused(body_offset, {"content-type": BODY_TYPE}).errors[0].field == "Upload-Offset"
    assert refused(body_offset, {"content-type": BODY_TYPE, "upload-offset": "+1"}).status == 400
    assert refused(body_offset, {"content-type": "video/mp4", "upload-offset": "0"}).status == 415
    assert refused(body_offset, {"upload-offset": "0"}).status == 415


def test_metadata_become_fields() -> None:
    first = f"{pair('filename', 'día.mp4')}, {pair('external_id', '7')}"
    header = f"{first},{pair('metadata', json.dumps({'a': [1]}))},{pair('loudness', 'true')}"
    assert upload_fields({"upload-metadata": header}) == {
        "filename": "día.mp4",
        "external_id": "7",
        "metadata": {"a": [1]},
        "loudness": True,
    }
    assert upload_fields({}) == upload_fields({"upload-metadata": ""}) == {}
    assert upload_fields({"upload-metadata": "filename"}) == {"filename": ""}


def test_what_clients_send_by_themselves_is_ignored() -> None:
    header = ",".join(f"{name} {b64('x')}" for name in ("relativePath", "name", "type", "filetype"))
    assert upload_fields({"upload-metadata": header}) == {}


@pytest.mark.parametrize(
    ("header", "status", "field"),
    [
        ("filename ***", 400, "Upload-Metadata"),
        ("filename abc", 400, "Upload-Metadata"),
        (f"filename {b64('a')},filename {b64('b')}", 400, "Upload-Metadata"),
        (pair("filename", b"\xff\xfe"), 422, "filename"),
        (pair("metadata", "{"), 422, "metadata"),
        (pair("transcode", "[" * 100_000), 422, "transcode"),
    ],
)
def test_wrong_metadata_are_refused_by_name(header: str, status: int, field: str) -> None:
    problem = refused(upload_fields, {"upload-metadata": header})
    assert (problem.status, problem.errors[0].field) == (status, field)


def test_metadata_come_back_as_they_were_sent() -> None:
    fields = {"filename": "día, 2.mp4", "external_id": "", "metadata": {"a": "ü"}, "transcode": None}
    assert upload_fields({"upload-metadata": metadata_header(fields)}) == {
        "filename": "día, 2.mp4",
        "metadata": {"a": "ü"},
    }


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_a_checksum_is_that_of_the_body(algorithm: str) -> None:
    text = f"{algorithm} {b64(hashlib.new(algorithm, b'hello').digest())}"
    digest = BodyDigest(Checksum.from_header({"upload-checksum": text}))
    digest.update(b"hel")
    digest.update(memoryview(b"lo"))
    digest.check()
    digest.update(b"!")
    with pytest.raises(Problem) as caught:
        digest.check()
    assert (caught.value.status, caught.value.code) == (460, "body_checksum_mismatch")


def test_without_a_checksum_every_body_is_right() -> None:
    digest = BodyDigest(Checksum.from_header({}))
    digest.update(b"x")
    digest.check()


@pytest.mark.parametrize("text", ["", "sha1", "crc32 AAAAAA==", "sha1 ???", f"sha1 {b64('short')}", f"SHA1 {b64('x')}"])
def test_another_checksum_is_refused(text: str) -> None:
    problem = refused(Checksum.from_header, {"upload-checksum": text})
    assert (problem.status, problem.errors[0].field) == (400, "Upload-Checksum")


def test_a_problem_of_the_protocol_has_a_document() -> None:
    digest = BodyDigest(Checksum.from_header({"upload-checksum": f"md5 {b64(bytes(16))}"}))
    with pytest.raises(Problem) as caught:
        digest.check()
    assert caught.value.document("/x")["title"] == "Checksum Mismatch"


def test_options_say_what_is_there() -> None:
    assert options(100)["Tus-Max-Size"] == "100"
    assert "checksum" in options(100)["Tus-Extension"].split(",")


def test_the_expiry_is_a_date_of_http() -> None:
    assert http_date(datetime(2026, 12, 1, 9, 5, 3, tzinfo=UTC)) == "Tue, 01 Dec 2026 09:05:03 GMT"
