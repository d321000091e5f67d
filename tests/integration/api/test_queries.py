"""Query parameters: what the schema has is accepted, anything else is refused and named."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import pytest
from django.test import Client

from tests.conformance import schema
from tests.integration.api.test_isolation import OPERATIONS, STREAMED, Operation, ask, rows, url
from tests.integration.api.test_negotiation import mine
from tests.rows import a_job, a_key
from videos.uploads.idempotency import PATH as UPLOAD

__all__ = ["mine"]

pytestmark = pytest.mark.django_db

VALUES = {
    "created_after": "2026-01-01T00:00:00Z",
    "created_before": "2026-01-01T00:00:00Z",
    "cursor": b64encode(b"p=2026-01-01+00%3A00%3A00%2B00%3A00").decode(),
    "video_id": "00000000-0000-0000-0000-000000000000",
    "external_id": "x",
    "node": "relay-1",
    "start": str(datetime.now(UTC).date()),
    "end": str(datetime.now(UTC).date()),
}
"""Values of parameters whose schema lists none."""


def fields(response: Any) -> list[str]:  # noqa: ANN401 - Django's or httpx's response
    assert response.status_code == 422, response.content
    return [error["field"] for error in response.json()["errors"]]


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.id not in STREAMED], ids=lambda operation: operation.id
)
def test_an_unknown_parameter_is_refused_by_every_operation(operation: Operation, mine: dict[str, str]) -> None:
    client, before = Client(headers={"X-API-Key": a_key()}), rows()
    response = ask(client, operation, f"{url(operation, mine)}?pretty=1&limits=2")
    assert fields(response) == ["pretty", "limits"]
    assert rows() == {**before, "ApiKey": rows()["ApiKey"]}


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.id not in STREAMED], ids=lambda operation: operation.id
)
def test_every_documented_parameter_is_accepted(operation: Operation, mine: dict[str, str]) -> None:
    documented = schema()["paths"][operation.path][operation.method].get("parameters", [])
    query = {each["name"]: value_of(each) for each in documented if each["in"] == "query"}
    for name, value in query.items():
        response = ask(Client(headers={"X-API-Key": a_key()}), operation, f"{url(operation, mine)}?{name}={value}")
        assert response.status_code in (200, 202), response.content


def value_of(parameter: dict[str, Any]) -> str:
    found = parameter["schema"]
    if "$ref" in found:
        found = schema()["components"]["schemas"][found["$ref"].rpartition("/")[2]]
    values = found.get("enum") or [found.get("minimum", VALUES.get(parameter["name"]))]
    assert values[0] is not None, f"add a value of {parameter['name']} to VALUES"
    return quote(str(values[0]))


def test_a_long_or_repeated_name_is_cut_short() -> None:
    client = Client(headers={"X-API-Key": a_key()})
    found = fields(client.get("/api/v1/system/stats?" + urlencode({f"{number}" * 300: "" for number in range(30)})))
    assert len(found) == 10
    assert max(map(len, found)) == 100


def test_the_format_may_be_json_only() -> None:
    client = Client(headers={"X-API-Key": a_key()})
    assert client.get("/api/v1/jobs?format=json").status_code == 200
    assert fields(client.get("/api/v1/jobs?format=xml")) == ["format"]


def test_a_method_that_is_not_there_is_405_with_any_query() -> None:
    client = Client(headers={"X-API-Key": a_key()})
    assert client.put("/api/v1/jobs?limit=1&x=2").status_code == 405


def test_an_upload_and_a_stream_refuse_unknown_parameters(api: httpx2.Client) -> None:
    assert fields(api.post(f"{UPLOAD}?name=x", files={"video": ("a.mp4", b"never read")})) == ["name"]
    assert fields(api.get("/api/v1/events?since=x")) == ["since"]


@pytest.mark.parametrize(
    "position",
    ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01", "2026-01-01T00:00:00", "2026-W01-1", "x"],
)
@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/videos", "/api/v1/keys", "/api/v1/webhooks"])
def test_a_position_that_no_row_can_have_is_no_cursor(path: str, position: str) -> None:
    client = Client(headers={"X-API-Key": a_key()})
    for extra in ("", "&r=1", "&o=3"):
        cursor = b64encode(f"p={quote(position)}{extra}".encode()).decode()
        assert fields(client.get(f"{path}?cursor={quote(cursor)}")) == ["cursor"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "10000-01-01T00:00:00Z"])
@pytest.mark.parametrize("name", ["created_after", "created_before"])
def test_a_time_outside_of_the_calendar_is_refused(name: str, moment: str) -> None:
    client = Client(headers={"X-API-Key": a_key()})
    assert fields(client.get(f"/api/v1/jobs?{name}={quote(moment)}")) == [name]
    expiring = client.post(
        "/api/v1/keys", {"name": "x", "scopes": ["admin"], "expires_at": moment}, content_type="application/json"
    )
    assert fields(expiring) == ["expires_at"]


def test_an_event_id_that_no_event_can_have_is_refused(api: httpx2.Client) -> None:
    path = f"/api/v1/jobs/{a_job().id}/events"
    for text in ("99999999999999999999-1", "1-99999999999999999999", "x"):
        assert fields(api.get(f"{path}?last_event_id={text}")) == ["last_event_id"]
