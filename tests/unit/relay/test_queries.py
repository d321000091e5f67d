"""Queries of streams: what is accepted, and what is refused by name."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from api.problems import Problem
from relay.engines.engine import EngineKind
from relay.http.queries import pushed_request, remux_request, transcode_request, without_key
from relay.sources.opening import MAX_URL_CHARACTERS
from transcoding.planning.live import LiveProfile

OWNER = UUID(int=1)
URL = "http://receiver.example:8001/1:0:19:283D:3FB:1:C00000:0:0:0:"


def scope(query: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "query_string": query.encode(), "headers": list(headers)}


def refused(query: str, request: Any = transcode_request) -> list[str]:  # noqa: ANN401 - one of three functions
    with pytest.raises(Problem) as found:
        request(scope(query), OWNER)
    assert found.value.status == 422
    return [error.field for error in found.value.errors]


def test_all_that_a_transcode_may_name_is_read() -> None:
    query = f"source_url={quote(URL)}&profile=720p&codec=hevc&video_bitrate=3000k&audio_bitrate=128000"
    request = transcode_request(scope(query), OWNER)
    assert request.codec == request.engine_request("mpegts").codec == "hevc"
    assert (request.kind, request.source_url, request.profile) == (EngineKind.TRANSCODE, URL, LiveProfile.P720)
    assert (request.video_bitrate, request.audio_bitrate) == (3_000_000, 128_000)


def test_without_more_it_is_the_original_profile() -> None:
    request = transcode_request(scope(f"source_url={URL}"), OWNER)
    assert (request.profile, request.video_bitrate, request.audio_bitrate) == (LiveProfile.ORIGINAL, None, None)
    assert request.codec == "h264"


@pytest.mark.parametrize(
    "query",
    [
        "", "source_url=", "source_url=receiver.example", "source_url=ftp://receiver.example/a",
        "source_url=file:///etc/passwd", "source_url=concat:http://a.example/|http://b.example/",
        "source_url=http://a.example/%0d%0aX:", f"source_url={URL}&source_url={URL}",
        f"source_url=http://a.example/{'a' * MAX_URL_CHARACTERS}", "source_url=http://a.example:0/",
        "source_url=http://a.example:99999/", "source_url=http:///a",
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused(query: str) -> None:
    assert refused(query) == ["source_url"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("profile", "240p"), ("profile", ""), ("profile", "ORIGINAL"),
        ("video_bitrate", "0"), ("video_bitrate", "99"), ("video_bitrate", "99999999999999999999"),
        ("video_bitrate", "-3000k"), ("video_bitrate", "3e6"), ("video_bitrate", "\u0663000k"), ("video_bitrate", ""),
        ("audio_bitrate", "31k"), ("audio_bitrate", "321k"), ("audio_bitrate", "a"),
        ("codec", "av1"), ("codec", "H264"), ("codec", ""), ("pretty", "1"),
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused_by_name(field: str, value: str) -> None:
    assert refused(f"source_url={URL}&{field}={quote(value)}") == [field]


def test_all_mistakes_are_named() -> None:
    assert set(refused("source_url=a&profile=x&video_bitrate=1")) == {"source_url", "profile", "video_bitrate"}


def test_a_remux_has_a_bit_rate_of_audio_and_no_profile() -> None:
    request = remux_request(scope(f"source_url={URL}&audio_bitrate=96k"), OWNER)
    assert (request.kind, request.audio_bitrate) == (EngineKind.REMUX, 96_000)
    assert refused(f"source_url={URL}&profile=720p", remux_request) == ["profile"]
    assert refused(f"source_url={URL}&codec=hevc", remux_request) == ["codec"]


def test_a_body_has_no_url() -> None:
    assert refused(f"source_url={URL}", pushed_request) == ["source_url"]
    assert not pushed_request(scope("profile=480p"), OWNER).source_url


def test_a_key_of_the_query_becomes_a_header() -> None:
    changed = without_key(scope(f"key=vod_secret&source_url={URL}"))
    assert (b"x-api-key", b"vod_secret") in changed["headers"]
    assert b"secret" not in changed["query_string"]
    assert transcode_request(changed, OWNER).source_url == URL


@pytest.mark.parametrize("name", [b"authorization", b"x-api-key"])
def test_a_key_of_a_header_counts_first(name: bytes) -> None:
    changed = without_key(scope("key=other", (name, b"mine")))
    assert changed["headers"] == [(name, b"mine")]
    assert changed["query_string"] == b""


def test_two_keys_are_refused() -> None:
    with pytest.raises(Problem) as found:
        without_key(scope("key=a&key=b"))
    assert [error.field for error in found.value.errors] == ["key"]
