"""Records of live sessions: rows, events, the API, the admin and the janitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.test import Client

from access.scopes import Scope
from events.models import Delivery
from events.types import EventType
from events.webhooks.fanout import events_fan_out
from events.webhooks.services import endpoint_create
from jobs.dispatching.janitor_parts import MORE_PARTS
from jobs.reports.event_documents import event_documents
from relay.engines.engine import EngineKind, Fallback
from relay.metrics import METERS, SessionCounts
from relay.models import LiveSession, SessionState
from relay.records.services import (
    session_end,
    session_first_byte,
    session_request_end,
    sessions_expire,
    sessions_lose,
    sessions_report,
    sessions_to_end,
)
from relay.records.upkeep import PARTS
from tests.conformance import published
from tests.integration.administration.conftest import operator
from tests.integration.jobs.conftest import logged_events
from tests.rows import a_key, a_live_session, an_owner

__all__ = ["operator"]

pytestmark = pytest.mark.django_db
LIST = "/api/v1/live/sessions"
SECRETS = ("dracula", "sesame", "t0k3n")


def path_of(session_id: UUID) -> str:
    return f"{LIST}/{session_id}"


def shown(client: Client, session_id: UUID) -> dict[str, Any]:
    response = client.get(path_of(session_id))
    assert response.status_code == 200, response.content
    return dict(response.json())


def ids(client: Client, query: str) -> set[UUID]:
    response = client.get(f"{LIST}?{query}")
    assert response.status_code == 200, response.content
    return {UUID(each["id"]) for each in response.json()["results"]}


def events() -> Sequence[Mapping[str, Any]]:
    """The documents of all events, each of which is as the schema describes it."""
    documents = event_documents(logged_events())
    for document in documents:
        published().check_event(document)
    return documents


def failed(session_id: UUID, code: str = "source_silent") -> None:
    session_end(
        session_id=session_id, state=SessionState.FAILED, code=code, detail="No bytes for 10 s.", counts=SessionCounts()
    )


def test_a_session_from_its_request_to_its_end(client: Client) -> None:
    session_id = a_live_session()
    starting = shown(client, session_id)
    assert (starting["state"], starting["encoder"], starting["first_byte_at"]) == ("starting", "", None)
    assert starting["source_url"] == "http://receiver.example:8001/…/1:0:19.ts"
    assert starting["source_host"] == "receiver.example:8001"
    session_first_byte(session_id=session_id, encoder="h264_nvenc", fallback=None)
    sessions_report({session_id: SessionCounts(viewers=2, bytes_in=5_000_000_000, bytes_out=7, drift_ms=-3)})
    live = shown(client, session_id)
    assert (live["state"], live["encoder"], live["fallback"]) == ("live", "h264_nvenc", None)
    assert (live["viewers"], live["bytes_in"], live["drift_ms"]) == (2, 5_000_000_000, -3)
    last = SessionCounts(viewers=1, bytes_in=6_000_000_000, bytes_out=9)
    session_end(session_id=session_id, state=SessionState.ENDED, code="viewers_gone", counts=last)
    ended = shown(client, session_id)
    assert (ended["state"], ended["end_reason"], ended["error"]) == ("ended", "viewers_gone", None)
    assert (ended["viewers"], ended["bytes_in"]) == (0, 6_000_000_000)
    assert ended["ended_at"] >= ended["first_byte_at"] >= ended["created_at"]


def test_what_ends_a_session_comes_first_and_last() -> None:
    session_id = a_live_session()
    failed(session_id)
    session_first_byte(session_id=session_id, encoder="libx264", fallback=None)
    sessions_report({session_id: SessionCounts(viewers=3, bytes_in=1)})
    session_end(session_id=session_id, state=SessionState.ENDED, code="viewers_gone", counts=SessionCounts())
    row = LiveSession.objects.get(id=session_id)
    assert (row.state, row.end_code, row.viewers, row.first_byte_at) == ("failed", "source_silent", 0, None)
    assert [event["type"] for event in events()] == ["live.session_failed"]


def test_absurd_counts_and_texts_keep_nothing_from_being_recorded() -> None:
    absurd, usual = a_live_session(), a_live_session()
    huge = SessionCounts(viewers=2**40, bytes_in=2**70, restarts=2**31, decode_errors=-1, drift_ms=-(2**40))
    sessions_report({absurd: huge, usual: SessionCounts(bytes_in=7)})
    assert LiveSession.objects.get(id=usual).bytes_in == 7
    row = LiveSession.objects.get(id=absurd)
    assert (row.viewers, row.bytes_in, row.restarts) == (2**31 - 1, 2**63 - 1, 2**31 - 1)
    assert (row.decode_errors, row.drift_ms) == (0, -86_400_000)
    session_end(
        session_id=absurd, state=SessionState.FAILED, code="source_rejected", detail="\0bad \ud800", counts=huge
    )
    row.refresh_from_db()
    assert (row.state, row.end_detail) == ("failed", "bad ?")


def test_a_session_that_is_not_recorded_is_not_counted() -> None:
    before = [family.samples for family in METERS.collect()]
    with pytest.raises(IntegrityError), transaction.atomic():
        a_live_session(node=None)  # type: ignore[arg-type]  # which the column refuses
    assert [family.samples for family in METERS.collect()] == before


def test_events_say_what_happened_and_nothing_secret() -> None:
    session_id = a_live_session(kind=EngineKind.REMUX)
    fallback = Fallback(code="codec_unsupported", text="PyAV cannot decode dts")
    session_first_byte(session_id=session_id, encoder="aac", fallback=fallback)
    session_end(
        session_id=session_id,
        state=SessionState.ENDED,
        code="source_ended",
        counts=SessionCounts(bytes_in=4, bytes_out=2),
    )
    failed(a_live_session())
    started, ended, broken = (event["data"] for event in events())
    assert started["encoder"] == "aac"
    assert started["fallback"] == {"code": "codec_unsupported", "detail": "PyAV cannot decode dts"}
    assert started["links"]["session"].endswith(path_of(session_id))
    assert (ended["reason"], ended["bytes_in"], ended["bytes_out"]) == ("source_ended", 4, 2)
    assert broken["error"] == {"code": "source_silent", "detail": "No bytes for 10 s."}
    assert "video_id" not in started
    assert not [word for word in SECRETS if word in str(events())]


@pytest.mark.django_db(transaction=True)
def test_webhooks_get_the_events_of_their_owner(client: Client) -> None:
    webhook = endpoint_create(
        owner=an_owner("default"), url="https://hooks.example/in", types=[EventType.LIVE_SESSION_FAILED.value]
    )
    events_fan_out()
    failed(a_live_session(an_owner("other")))
    failed(a_live_session())
    events_fan_out()
    assert [delivery.event.type for delivery in Delivery.objects.select_related("event")] == ["live.session_failed"]
    (listed,) = client.get(f"/api/v1/webhooks/{webhook.id}/deliveries").json()["results"]
    assert (listed["event_type"], listed["video_id"]) == ("live.session_failed", None)


def test_lists_are_filtered(client: Client) -> None:
    one, two = a_live_session(node="a"), a_live_session(node="b", kind=EngineKind.REMUX)
    failed(two)
    assert ids(client, "") == {one, two}
    assert ids(client, "state=starting") == ids(client, "engine=transcode") == ids(client, "node=a") == {one}
    assert ids(client, "state=failed&engine=remux&node=b") == {two}
    assert ids(client, "node=c") == set()
    for query, field in (("state=running", "state"), ("engine=copy", "engine"), ("node=%00", "node")):
        response = client.get(f"{LIST}?{query}")
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


def test_a_session_is_ended_by_request(client: Client) -> None:
    session_id, other = a_live_session(node="a"), a_live_session(node="b")
    assert sessions_to_end(node="a") == []
    response = client.delete(path_of(session_id))
    assert (response.status_code, response.json()["end_requested"]) == (202, True)
    requested = LiveSession.objects.get(id=session_id).end_requested_at
    assert client.delete(path_of(session_id)).status_code == 202
    assert LiveSession.objects.get(id=session_id).end_requested_at == requested
    assert sessions_to_end(node="a") == [session_id]
    assert sessions_to_end(node="b") == []
    session_end(session_id=session_id, state=SessionState.ENDED, code="requested", counts=SessionCounts())
    assert sessions_to_end(node="a") == []
    assert client.delete(path_of(session_id)).status_code == 204
    assert client.delete(path_of(uuid4())).status_code == 404
    assert not session_request_end(session_id=session_id)
    assert LiveSession.objects.get(id=other).end_requested_at is None


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        (Scope.LIVE_READ, [200, 200, 403]),
        (Scope.LIVE_WRITE, [403, 403, 202]),
        (Scope.LIVE_WATCH, [403, 403, 403]),
    ],
)
def test_scopes(scope: Scope, statuses: list[int]) -> None:
    client, session_id = Client(headers={"X-API-Key": a_key(None, scope)}), a_live_session()
    responses = (client.get(LIST), client.get(path_of(session_id)), client.delete(path_of(session_id)))
    assert [response.status_code for response in responses] == statuses


def test_the_janitor_fails_the_sessions_of_a_relay_that_is_gone() -> None:
    lost, live, over = a_live_session(), a_live_session(), a_live_session()
    failed(over)
    LiveSession.objects.exclude(id=live).update(seen_at=Now() - timedelta(seconds=61))
    assert sessions_lose(silence_seconds=60) == 1
    assert sessions_lose(silence_seconds=60) == 0
    row = LiveSession.objects.get(id=lost)
    assert (row.state, row.end_code) == ("failed", "node_lost")
    assert events()[-1]["data"]["error"]["code"] == "node_lost"
    assert LiveSession.objects.get(id=live).ended_at is None


def test_the_janitor_deletes_what_ended_a_week_ago() -> None:
    old, recent, live = a_live_session(), a_live_session(), a_live_session()
    for session_id, days in ((old, 8), (recent, 6)):
        failed(session_id)
        LiveSession.objects.filter(id=session_id).update(ended_at=Now() - timedelta(days=days))
    LiveSession.objects.filter(id=live).update(created_at=Now() - timedelta(days=30))
    assert sessions_expire() == 1
    assert set(LiveSession.objects.values_list("id", flat=True)) == {recent, live}


def test_the_janitor_of_the_dispatcher_does_both() -> None:
    assert set(PARTS) <= set(MORE_PARTS)


def test_operators_see_and_end_the_sessions_of_all_owners(operator: Client) -> None:
    session_id = a_live_session(an_owner("acme"))
    session_first_byte(
        session_id=session_id, encoder="libx264", fallback=Fallback(code="hardware_unavailable", text="no device")
    )
    listed = operator.get("/admin/relay/livesession/?state=live").content.decode()
    assert "receiver.example:8001" in listed
    page = f"/admin/relay/livesession/{session_id}/change/"
    content = operator.get(page).content.decode()
    assert all(text in content for text in ("acme", "hardware_unavailable: no device", "libx264"))
    assert not any(text in listed + content for text in SECRETS)
    answer = operator.post(page.replace("/change/", "/operate/end/"), {"confirmed": "yes"}, follow=True)
    assert answer.status_code == 200
    assert sessions_to_end(node="relay-1") == [session_id]
