"""Events of destinations that broadcasts are sent on to, from what workers report."""

from __future__ import annotations

import pytest

from events.models import Event
from jobs.reports.event_documents import event_documents
from livestreams.services import attempts
from tests.conformance import published
from tests.integration.jobs.conftest import logged_events
from tests.live_rows import a_live_node, a_stream, live

pytestmark = pytest.mark.django_db


def reported(state: str, error: str = "") -> dict[str, object]:
    return {"push": {"one": {"state": state, "error": error}}}


def test_a_destination_that_fails_for_a_while_is_said_once() -> None:
    a_live_node()
    claim = live(a_stream())
    for health in (
        reported("waiting"),
        reported("connecting"),
        reported("sending"),
        reported("sending"),
        reported("failed", "NetStream.Publish.BadName"),
        reported("failed", "no connection"),
        reported("sending"),
        {},
    ):
        attempts.health_record(claim=claim, health=health)
    pushed = Event.objects.filter(type__startswith="livestream.push_").order_by("id")
    assert [(each.type, each.data.get("error")) for each in pushed] == [
        ("livestream.push_started", None),
        ("livestream.push_failed", "NetStream.Publish.BadName"),
        ("livestream.push_started", None),
    ]
    assert {each.data["push_id"] for each in pushed} == {"one"}
    for document in event_documents(logged_events()):
        published().check_event(document)
