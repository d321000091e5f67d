"""Limits and orderly ends where several processes write at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection, connections

from events.log import events_expire, video_event_append
from events.models import Delivery, DeliveryAttempt, DeliveryState, Event, WebhookEndpoint
from events.types import EventType
from events.webhooks import deliveries as deliveries_module
from events.webhooks.deliveries import deliveries_claim, delivery_record
from events.webhooks.fanout import events_fan_out
from events.webhooks.services import MAX_ENDPOINTS, endpoint_create, endpoint_delete
from outbound.answers import Answer
from tests.rows import an_owner

ADDRESS = "https://receiver.example/"


def _beside(act: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def _has_delivery() -> WebhookEndpoint:
    owner = an_owner(f"o-{uuid4()}")
    endpoint = endpoint_create(owner=owner, url=ADDRESS)
    events_fan_out()  # begins with what happens from here on
    video_event_append(owner_id=owner.id, video_id=uuid4(), type=EventType.VIDEO_READY)
    events_fan_out()
    return endpoint


@pytest.mark.django_db(transaction=True)
def test_endpoints_made_at_the_same_time_are_counted_too() -> None:
    owner = an_owner("o")
    WebhookEndpoint.objects.bulk_create(
        WebhookEndpoint(owner=owner, url=ADDRESS, secret="whsec_") for _ in range(MAX_ENDPOINTS - 1)
    )
    together = threading.Barrier(6)

    def create() -> None:
        connection.ensure_connection()
        together.wait()
        try:
            endpoint_create(owner=owner, url=ADDRESS)
        except Exception as problem:  # noqa: BLE001 - the count shows it
            refused.append(problem)

    refused: list[Exception] = []
    for thread in [_beside(create) for _ in range(6)]:
        thread.join()
    assert WebhookEndpoint.objects.filter(owner=owner).count() == MAX_ENDPOINTS
    assert [str(getattr(problem, "code", problem)) for problem in refused] == ["too_many_endpoints"] * 5


@pytest.mark.django_db(transaction=True)
def test_what_is_delivered_while_another_looks_is_not_claimed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim is held up between its look at what is due and its locks."""
    _has_delivery()
    [sending] = deliveries_claim(limit=1, per_owner=1, lease_seconds=0)
    held_up = deliveries_module._CLAIM.replace(
        "), chosen AS (",
        "), pause AS MATERIALIZED (SELECT count(*), pg_advisory_xact_lock(4711) FROM due), chosen AS (",
    ).replace("JOIN due ON due.id = delivery.id", "JOIN due ON due.id = delivery.id CROSS JOIN pause")
    monkeypatch.setattr(deliveries_module, "_CLAIM", held_up)
    claimed: list[object] = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(4711)")
        claiming = _beside(lambda: claimed.extend(deliveries_claim(limit=5, per_owner=5, lease_seconds=60)))
        try:
            _until_one_waits()
            delivery_record(sending=sending, answer=Answer(status=200))
        finally:
            cursor.execute("SELECT pg_advisory_unlock(4711)")
            claiming.join()
    assert (Delivery.objects.get().state, claimed) == (DeliveryState.DELIVERED, [])


def _until_one_waits() -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                " WHERE NOT granted AND datname = current_database()"
            )
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


@pytest.mark.django_db(transaction=True)
def test_an_endpoint_ends_although_events_go_on_and_deliveries_are_recorded() -> None:
    owner, over = an_owner("o"), threading.Event()
    problems: list[Exception] = []

    def happens() -> None:
        while not over.is_set():
            video_event_append(owner_id=owner.id, video_id=uuid4(), type=EventType.VIDEO_READY)
            try:
                events_fan_out()
            except Exception as error:  # noqa: BLE001 - an endpoint went meanwhile; it is done again
                assert "foreign key" in str(error)  # noqa: PT017
            for sending in deliveries_claim(limit=5, per_owner=5, lease_seconds=60):
                try:
                    delivery_record(sending=sending, answer=Answer(status=200))
                except Exception as error:  # noqa: BLE001
                    problems.append(error)

    writing = _beside(happens)
    try:
        for _ in range(30):
            endpoint = endpoint_create(owner=owner, url=ADDRESS)
            time.sleep(0.02)
            endpoint_delete(endpoint=endpoint)
    finally:
        over.set()
        writing.join()
    assert problems == []
    assert not Delivery.objects.exists()
    assert not DeliveryAttempt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_old_events_go_with_their_deliveries_so_many_at_a_time() -> None:
    for _ in range(3):
        _has_delivery()
    for sending in deliveries_claim(limit=3, per_owner=3, lease_seconds=60):
        delivery_record(sending=sending, answer=Answer(status=500))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_event SET created_at = created_at - interval '31 days'")
    _has_delivery()
    assert [events_expire(older_than_days=30, at_a_time=2) for _ in range(3)] == [2, 1, 0]
    assert (Event.objects.count(), Delivery.objects.count(), DeliveryAttempt.objects.count()) == (1, 1, 0)
