"""Request ids and the access log: in responses, problems and log lines, and nothing secret in any."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import httpx2
import pytest

from access.services import default_owner
from observability.logs import JsonFormatter
from observability.version import VERSION
from storage.protocol import ObjectStore
from tests.rows import a_job, a_key
from videos.models import Video
from videos.playback.tokens import token_make
from videos.uploads.idempotency import PATH as UPLOAD

FILE = bytes.fromhex("0000001c") + b"ftypisom" + bytes(100)
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log() -> Iterator[StringIO]:
    """The log so far, as it is written."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def lines(log: StringIO) -> Lines:
    """The access log so far."""

    def read() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in log.getvalue().splitlines()]
        return [line for line in found if line.get("event") == "http_request"]

    return read


def test_a_request_is_one_line_with_what_it_cost_and_whose_it_was(api: httpx2.Client, lines: Lines) -> None:
    response = api.get(f"/api/v1/jobs/{a_job().id}", headers={"X-Request-ID": "client-7.a_B"})
    assert response.headers["x-request-id"] == "client-7.a_B"
    assert response.headers["vodmill-version"] == VERSION
    (line,) = lines()
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/v1/jobs/<uuid:job_id>", 200)
    assert (line["owner_id"], line["bytes"]) == (str(default_owner().id), len(response.content))
    assert 0 < line["duration_seconds"] < 120


@pytest.mark.parametrize("sent", ["", "a b", 'a"b', "a\tb", "ü", "x" * 129, "a;b"])
def test_an_id_of_other_characters_is_replaced(api: httpx2.Client, sent: str) -> None:
    response = api.get("/api/v1/jobs", headers={b"X-Request-ID": sent.encode()})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


def test_a_problem_has_the_id(api: httpx2.Client, lines: Lines) -> None:
    paths = ["/api/v1/nothing", "/api/v1/jobs?limit=0", "/api/v1/events?x=1"]
    for response in [*(api.get(path) for path in paths), api.post(UPLOAD, content=b"x"), api.put(UPLOAD)]:
        assert response.status_code >= 400
        assert response.json()["request_id"] == response.headers["x-request-id"]
    assert len({line["request_id"] for line in lines()}) == 5


def test_the_id_is_on_lines_that_are_logged_meanwhile(api: httpx2.Client, log: StringIO) -> None:
    request_id = api.get("/api/v1/nothing").headers["x-request-id"]
    (line,) = [line for line in log.getvalue().splitlines() if "Not Found: /api/v1/nothing" in line]
    assert json.loads(line)["request_id"] == request_id


def test_uploads_streams_and_playback_are_logged_by_route(
    api: httpx2.Client, lines: Lines, log: StringIO, store: ObjectStore
) -> None:
    assert api.post(UPLOAD, files={"video": ("a.mp4", FILE)}).status_code == 201
    with api.stream("GET", "/api/v1/events") as stream:
        assert next(stream.iter_lines()).startswith("retry:")
    token = token_make(Video.objects.get().id, expires_at=2**33)
    assert (
        api.get(f"/play/{token}/1/master.m3u8?token={token}", headers={"Referer": f"/play/{token}"}).status_code == 404
    )
    api.get("/api/v1/jobs", headers={"X-API-Key": "vm_000000000000_" + "0" * 64})
    assert api.get("/healthz").status_code == 200
    found = lines()
    routes = {line["route"] for line in found}
    assert routes == {UPLOAD, "/api/v1/events", "/play/<str:token>/<int:generation>/master.m3u8", "/api/v1/jobs"}
    owners = {line["route"]: line["owner_id"] for line in found}
    assert owners[UPLOAD] == owners["/api/v1/events"] == str(default_owner().id)
    assert owners["/api/v1/jobs"] is None
    assert token not in log.getvalue()


def test_the_version_and_the_owner_of_a_key_are_shown(api: httpx2.Client) -> None:
    shown = api.get("/api/v1", headers={"X-API-Key": a_key(None)}).json()
    assert (shown["version"], shown["owner"], shown["scopes"]) == (VERSION, "default", ["admin"])
    assert shown["schema_url"] == f"{api.base_url}/api/schema"
    assert api.get("/api/v1", headers={"X-API-Key": "no"}).status_code == 401
