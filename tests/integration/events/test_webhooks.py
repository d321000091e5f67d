"""Webhooks from the event's row to a receiver that answers, hangs, redirects or is gone."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from pytest_django.fixtures import Settings
from standardwebhooks.webhooks import Webhook

from access.models import Owner
from access.services import default_owner
from events.log import video_event_append
from events.models import Delivery, DeliveryAttempt, DeliveryState, EndpointState, WebhookEndpoint
from events.types import EventType
from events.webhooks.deliveries import PER_ENDPOINT, Sending, deliveries_claim
from events.webhooks.fanout import events_fan_out
from events.webhooks.retry import PAUSES
from events.webhooks.sender import WebhookSender, deliver
from events.webhooks.services import endpoint_create, endpoint_rotate_secret, endpoint_update
from events.webhooks.trial import endpoint_test
from jobs.reports.event_documents import event_documents
from observability.metrics import exposition
from outbound.addresses import Reach, networks_read
from outbound.answers import Answer
from outbound.errors import REFUSED
from outbound.lookups import Lookups
from outbound.posting import OutboundClient
from tests.conformance import published
from tests.receiver import OUR_HOSTS, Receiver, a_receiver
from tests.rows import PUBLIC_URL, a_job, a_video, an_owner

LOOPBACK = Reach(networks_read(["127.0.0.0/8"]))
AS_IF_PUBLIC = replace(LOOPBACK, is_public=lambda _: True)
"""The same, whose answers are used like a stranger's."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


@pytest.fixture
def inner_networks(settings: Settings) -> None:
    """Let webhooks go to the machine of the tests, as an operator may."""
    events = replace(settings.TRANSCODER.events, webhook_networks=("127.0.0.0/8",), webhook_seconds=120)
    settings.TRANSCODER = replace(settings.TRANSCODER, events=events)


def a_client(reach: Reach = LOOPBACK, *, seconds: float = 600.0) -> OutboundClient:
    return OutboundClient(reach, seconds=seconds)


def _happens(owner: Owner, type: EventType = EventType.VIDEO_READY, video_id: UUID | None = None) -> UUID:  # noqa: A002
    video = video_id or uuid4()
    video_event_append(owner_id=owner.id, video_id=video, type=type)
    return video


def _claim(limit: int = 10) -> list[Sending]:
    events_fan_out()
    return deliveries_claim(limit=limit, per_owner=limit, lease_seconds=60)


def _send_all(client: OutboundClient | None = None) -> None:
    for sending in _claim():
        deliver(client or a_client(), sending, event_documents)


def _due_again() -> None:
    Delivery.objects.filter(state=DeliveryState.PENDING).update(next_attempt_at=Now())


@pytest.mark.django_db(transaction=True)
def test_a_receiver_gets_what_it_requested_signed(receiver: Receiver) -> None:
    owner = an_owner("o")
    endpoint = endpoint_create(owner=owner, url=receiver.url("/status/204"), types=["video.ready"])
    events_fan_out()
    video = _happens(owner)
    _happens(owner, EventType.VIDEO_UPLOADED)
    _happens(an_owner("another"))
    _send_all()
    ((_, headers, body),) = receiver.requests
    document = Webhook(endpoint.secret).verify(body, headers)
    assert document["type"] == "video.ready"
    assert document["data"]["video_id"] == str(video)
    published().check_event(document)
    assert headers["webhook-id"] == f"msg_{UUID(document['id']).hex}"
    assert Delivery.objects.get().state == DeliveryState.DELIVERED


@pytest.mark.django_db(transaction=True)
def test_a_job_is_reported_from_its_queue_to_its_end(receiver: Receiver) -> None:
    video = a_video(an_owner("o"))
    endpoint_create(owner=video.owner, url=receiver.url("/status/200"))
    events_fan_out()
    job = a_job(video)
    _send_all()
    events = [json.loads(body) for body in receiver.bodies("/status/200")]
    for event in events:
        published().check_event(event)
    assert sorted((event["data"]["seq"], event["type"]) for event in events) == [(1, "job.queued"), (2, "job.planned")]
    assert {event["data"]["job_id"] for event in events} == {str(job.id)}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_is_not_accepted_is_tried_again_under_the_same_id(receiver: Receiver, status: int) -> None:
    owner = an_owner("o")
    endpoint_create(owner=owner, url=receiver.url(f"/status/{status}"))
    events_fan_out()
    _happens(owner)
    for _ in range(3):
        _send_all()
        _due_again()
    assert len({headers["webhook-id"] for _, headers, _ in receiver.requests}) == 1
    assert {path for path, _, _ in receiver.requests} == {f"/status/{status}"}  # a redirect is not followed
    assert list(DeliveryAttempt.objects.order_by("id").values_list("number", "status")) == [
        (1, status), (2, status), (3, status),
    ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_pauses_grow() -> None:
    owner = an_owner("o")
    endpoint_create(owner=owner, url="http://127.0.0.1:9/refused")
    events_fan_out()
    _happens(owner)
    _send_all()
    waits = Delivery.objects.annotate(wait=F("next_attempt_at") - Now()).get().wait
    assert timedelta(0) < waits <= timedelta(seconds=PAUSES[0])
    Delivery.objects.update(attempts=4, next_attempt_at=Now())
    _send_all()
    waits = Delivery.objects.annotate(wait=F("next_attempt_at") - Now()).get().wait
    assert timedelta(seconds=0.7 * PAUSES[4]) < waits <= timedelta(seconds=PAUSES[4])


@pytest.mark.django_db(transaction=True)
def test_who_says_gone_is_disabled_at_once(receiver: Receiver) -> None:
    owner = an_owner("o")
    endpoint = endpoint_create(owner=owner, url=receiver.url("/status/410"))
    events_fan_out()
    _happens(owner)
    _send_all()
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.disabled_reason) == (EndpointState.DISABLED, "the receiver answered 410 Gone")
    assert Delivery.objects.get().state == DeliveryState.FAILED
    _happens(owner)
    assert _claim() == []


@pytest.mark.django_db(transaction=True)
def test_a_day_of_failures_disables_and_enabling_again_brings_what_waited(receiver: Receiver) -> None:
    owner = an_owner("o")
    endpoint = endpoint_create(owner=owner, url=receiver.url("/status/500"))
    events_fan_out()
    _happens(owner)
    second = _happens(owner, EventType.VIDEO_UPLOADED)
    events_fan_out()
    Delivery.objects.filter(event__type="video.ready").update(attempts=len(PAUSES))
    Delivery.objects.filter(event__type="video.uploaded").update(next_attempt_at=Now() + timedelta(hours=1))
    _send_all()
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.disabled_reason) == (EndpointState.DISABLED, "nothing was accepted for a day")
    endpoint_update(endpoint=endpoint, url=receiver.url("/status/200"), state=EndpointState.ENABLED)
    _due_again()
    _send_all()
    (body,) = receiver.bodies("/status/200")
    assert json.loads(body)["data"]["video_id"] == str(second)


@pytest.mark.django_db(transaction=True)
def test_one_lost_delivery_among_good_ones_disables_nothing(receiver: Receiver) -> None:
    owner = an_owner("o")
    endpoint = endpoint_create(owner=owner, url=receiver.url("/status/500"))
    events_fan_out()
    _happens(owner)
    events_fan_out()
    Delivery.objects.update(attempts=len(PAUSES))
    WebhookEndpoint.objects.update(delivered_at=Now() + timedelta(seconds=1))
    _send_all()
    endpoint.refresh_from_db()
    assert endpoint.state == EndpointState.ENABLED
    assert Delivery.objects.get().state == DeliveryState.FAILED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "seconds"), [("/hangs", 1.5), ("/drips", 1.5), ("/endless", 600)])
def test_slow_and_endless_answers_are_cut_off(receiver: Receiver, path: str, seconds: float) -> None:
    owner = an_owner("o")
    endpoint_create(owner=owner, url=receiver.url(path))
    events_fan_out()
    _happens(owner)
    _send_all(a_client(AS_IF_PUBLIC, seconds=seconds))  # who waits for more than it needs never comes back
    attempt = DeliveryAttempt.objects.get()
    accepted = path == "/endless"
    assert (attempt.status == 200) == accepted
    assert attempt.error == ("" if accepted else "no answer within 1.5 s")
    assert len(attempt.response) == (4096 if accepted else 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("host", OUR_HOSTS)
def test_our_own_network_is_never_asked(receiver: Receiver, host: str) -> None:
    answer = OutboundClient(Reach(), seconds=60).post(f"https://{host}:{receiver.port}/status/200", b"{}", {})
    assert (answer.status, answer.error) == (None, REFUSED)
    assert receiver.connections == 0


def _post(client: OutboundClient, url: str) -> Answer:
    return client.post(url, b"{}", {"Content-Length": "2"})


def test_the_answer_of_a_public_address_is_shown(receiver: Receiver) -> None:
    client = a_client(AS_IF_PUBLIC)
    assert _post(client, receiver.url("/status/500")).response == "ok"
    assert "secret banner" in _post(client, receiver.url("/other-protocol")).error


def test_of_addresses_in_networks_of_the_operators_only_the_status_is_shown(receiver: Receiver) -> None:
    answered = _post(a_client(), receiver.url("/status/500"))
    assert (answered.status, answered.error, answered.response) == (500, "", "")
    spoke_something_else = _post(a_client(), receiver.url("/other-protocol"))
    assert (spoke_something_else.status, spoke_something_else.error) == (None, "RemoteProtocolError")
    assert _post(a_client(), "http://127.0.0.1:9/").error == "ConnectError"


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_hangs_leaves_senders_for_others(receiver: Receiver) -> None:
    hanging, quick = an_owner("hanging"), an_owner("quick")
    endpoint_create(owner=hanging, url=receiver.url("/hangs"))
    endpoint_create(owner=quick, url=receiver.url("/status/200"))
    events_fan_out()
    for _ in range(20):
        _happens(hanging)
    _happens(quick)
    sender = WebhookSender(a_client(), event_documents, threads=PER_ENDPOINT + 1, seconds=600)
    for _ in range(3):
        sender.look()
    _wait_for(lambda: bool(receiver.bodies("/status/200")))
    assert len(receiver.bodies("/hangs")) <= PER_ENDPOINT
    receiver.over.set()
    _wait_for(lambda: not Delivery.objects.filter(state=DeliveryState.SENDING).exists())
    sender.close()


@pytest.mark.django_db(transaction=True)
def test_an_owner_whose_endpoints_all_hang_leaves_senders_for_others(receiver: Receiver) -> None:
    hanging, quick = an_owner("hanging"), an_owner("quick")
    for _ in range(4):
        endpoint_create(owner=hanging, url=receiver.url("/hangs"))
    endpoint_create(owner=quick, url=receiver.url("/status/200"))
    events_fan_out()
    for _ in range(3):
        _happens(hanging)
    sender = WebhookSender(a_client(), event_documents, threads=4, seconds=600)
    for _ in range(2):
        sender.look()
    _wait_for(lambda: len(receiver.bodies("/hangs")) == 2)
    for _ in range(10):
        _happens(quick)
    _wait_for(lambda: sender.look() or len(receiver.bodies("/status/200")) == 10)
    assert len(receiver.bodies("/hangs")) == 2
    receiver.over.set()
    _wait_for(lambda: not Delivery.objects.filter(state=DeliveryState.SENDING).exists())
    sender.close()


@pytest.mark.django_db(transaction=True)
def test_who_has_fewest_on_their_way_comes_first() -> None:
    many, few = an_owner("many"), an_owner("few")
    for owner in (many, many, many, few):
        endpoint_create(owner=owner, url="https://receiver.example/")
    events_fan_out()
    _happens(many)
    _happens(few)
    events_fan_out()
    first = deliveries_claim(limit=2, per_owner=2, lease_seconds=60)
    second = deliveries_claim(limit=2, per_owner=2, lease_seconds=60)
    assert {sending.event.owner_id for sending in first} == {many.id, few.id}
    assert [sending.event.owner_id for sending in second] == [many.id]
    assert deliveries_claim(limit=2, per_owner=2, lease_seconds=60) == []


@pytest.mark.django_db(transaction=True)
def test_a_sender_that_died_is_followed_by_another_and_overruled(receiver: Receiver) -> None:
    owner = an_owner("o")
    endpoint_create(owner=owner, url=receiver.url("/status/200"))
    events_fan_out()
    _happens(owner)
    (died,) = _claim()
    assert _claim() == []
    Delivery.objects.update(next_attempt_at=Now())
    (follower,) = _claim()
    assert follower.attempt == died.attempt + 1
    deliver(a_client(), follower, event_documents)
    deliver(a_client(), died, event_documents)  # it was not dead after all: what it says no longer counts
    assert list(DeliveryAttempt.objects.values_list("number", flat=True)) == [2]
    assert Delivery.objects.get().state == DeliveryState.DELIVERED


class _Broken(OutboundClient):
    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        raise RuntimeError(f"{url}: {len(body)} {len(headers)}")


@pytest.mark.django_db(transaction=True)
def test_a_request_that_breaks_counts_as_an_attempt() -> None:
    owner = an_owner("o")
    endpoint_create(owner=owner, url="https://receiver.example/")
    events_fan_out()
    _happens(owner)
    _send_all(_Broken(LOOPBACK, seconds=1))
    assert DeliveryAttempt.objects.get().error == "it could not be sent"
    assert Delivery.objects.get().state == DeliveryState.PENDING


@pytest.mark.django_db(transaction=True)
def test_both_secrets_sign_until_the_old_one_expires(receiver: Receiver) -> None:
    owner = an_owner("o")
    endpoint = endpoint_create(owner=owner, url=receiver.url("/status/200"))
    events_fan_out()
    new = endpoint_rotate_secret(endpoint=endpoint)
    _happens(owner)
    _send_all()
    WebhookEndpoint.objects.update(old_secret_expires_at=Now())
    _happens(owner)
    _send_all()
    (_, first, first_body), (_, second, second_body) = receiver.requests
    for secret in (endpoint.secret, new):
        Webhook(secret).verify(first_body, first)
    Webhook(new).verify(second_body, second)
    assert len(second["webhook-signature"].split()) == 1


def _sha256(secret: str, body: bytes) -> str:
    """Compute the header as receivers of the older form do."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.django_db(transaction=True)
def test_the_older_signature_is_sent_to_those_who_chose_it(receiver: Receiver) -> None:
    owner = an_owner("o")
    chose = endpoint_create(owner=owner, url=receiver.url("/chose/200"), sha256_signature=True)
    endpoint_create(owner=owner, url=receiver.url("/status/200"))
    events_fan_out()
    _happens(owner)
    _send_all()
    headers = {path: (headers, body) for path, headers, body in receiver.requests}
    signed, body = headers["/chose/200"]
    assert signed["x-webhook-signature"] == _sha256(chose.secret, body)
    Webhook(chose.secret).verify(body, signed)
    assert "x-webhook-signature" not in headers["/status/200"][0]


@pytest.mark.django_db(transaction=True)
def test_failures_are_logged_and_counted(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    owner = an_owner("o")
    endpoint = endpoint_create(owner=owner, url=receiver.url("/hook-of-a-secret/500"))
    events_fan_out()
    _happens(owner)
    before = _counted()
    _send_all()
    Delivery.objects.update(attempts=len(PAUSES), next_attempt_at=Now())
    _send_all()
    after = _counted()
    assert {outcome: after[outcome] - before[outcome] for outcome in after} == {
        "delivered": 0, "retried": 1, "failed": 1,
    }  # fmt: skip
    tried, given_up = (record for record in caplog.records if record.name == "events.webhooks.deliveries")
    assert (tried.levelname, given_up.levelname) == ("WARNING", "ERROR")
    assert vars(given_up)["endpoint"] == str(endpoint.id)
    assert vars(given_up)["status"] == 500
    assert "hook-of-a-secret" not in repr(vars(given_up)), "a URL can be a secret"


def _counted() -> dict[str, float]:
    text = exposition().decode()
    return {
        outcome: float(re.findall(rf'\nvodmill_webhook_deliveries_total{{outcome="{outcome}"}} (.*)\n', text)[0])
        for outcome in ("delivered", "retried", "failed")
    }


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_requests_time_is_not_tried_after_the_day(receiver: Receiver) -> None:
    owner = an_owner("o")
    endpoint_create(owner=owner, url=receiver.url("/later/503"))
    events_fan_out()
    _happens(owner)
    _send_all()
    waits = Delivery.objects.annotate(wait=F("next_attempt_at") - Now()).get().wait
    assert waits > timedelta(hours=7.9)
    Delivery.objects.update(next_attempt_at=Now(), tried_since=Now() - timedelta(hours=23.5))
    _send_all()
    waits = Delivery.objects.annotate(wait=F("next_attempt_at") - Now()).get().wait
    assert waits < timedelta(hours=0.5)
    Delivery.objects.update(next_attempt_at=Now(), tried_since=Now() - timedelta(hours=24))
    _send_all()
    assert Delivery.objects.get().state == DeliveryState.FAILED
    assert DeliveryAttempt.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_what_waited_at_a_disabled_endpoint_has_a_day_from_then_on(receiver: Receiver) -> None:
    owner = an_owner("o")
    endpoint = endpoint_create(owner=owner, url=receiver.url("/status/500"))
    events_fan_out()
    _happens(owner)
    _send_all()
    endpoint_update(endpoint=endpoint, state=EndpointState.DISABLED)
    Delivery.objects.update(next_attempt_at=Now(), tried_since=Now() - timedelta(days=3))
    endpoint_update(endpoint=endpoint, state=EndpointState.ENABLED)
    _send_all()
    assert Delivery.objects.get().state == DeliveryState.PENDING


def _connections() -> int:
    """The connections to the database of the tests, this one included."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        (count,) = cursor.fetchone()
    return int(count)


def _wait_for(true: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


@pytest.mark.django_db(transaction=True)
class TestApi:
    def test_an_endpoint_lives_and_ends(self, client: Client) -> None:
        created = client.post(
            "/api/v1/webhooks",
            {"url": PUBLIC_URL, "types": ["job.completed"]},
            content_type="application/json",
        )
        assert created.status_code == 201
        assert created.json()["secret"].startswith("whsec_")
        address = created.headers["Location"]
        assert "secret" not in client.get(address).json()
        assert client.get("/api/v1/webhooks").json()["results"][0]["url"] == PUBLIC_URL
        changed = client.patch(address, {"state": "disabled"}, content_type="application/json").json()
        assert (changed["state"], changed["disabled_reason"]) == ("disabled", "disabled by its owner")
        rotated = client.post(f"{address}/rotate-secret").json()
        assert rotated["secret"] != created.json()["secret"]
        assert client.delete(address).status_code == 204
        assert client.get(address).status_code == 404

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "url"),
            ({"url": "ftp://a.example/"}, "url"),
            ({"url": PUBLIC_URL.replace("https", "http")}, "url"),
            ({"url": PUBLIC_URL.replace("[", "user:pass@[")}, "url"),
            ({"url": "https://[2000::1]:99999/"}, "url"),
            ({"url": "https:///x"}, "url"),
            ({"url": f"{PUBLIC_URL} b"}, "url"),
            ({"url": PUBLIC_URL, "types": ["job.exploded"]}, "types"),
            ({"url": PUBLIC_URL, "type": ["job.failed"]}, "type"),
            ({"url": PUBLIC_URL + "a" * 2000}, "url"),
            ({"url": PUBLIC_URL, "sha256_signature": "yes"}, "sha256_signature"),
            ({"url": PUBLIC_URL, "events": ["job.completed"]}, "events"),
        ],
    )
    def test_a_bad_endpoint_is_refused_by_field(self, client: Client, body: dict[str, Any], field: str) -> None:
        answer = client.post("/api/v1/webhooks", body, content_type="application/json")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"].split(".")[0] == field

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1", "127.1", "0x7f.1", "2130706433", "localhost", "10.0.0.8", "169.254.169.254", "[::1]",
            "[::ffff:7f00:1]", "[64:ff9b::a00:1]", "nobody-has-this-name.invalid",
        ],
    )  # fmt: skip
    def test_an_inner_address_is_refused_at_once(self, client: Client, host: str) -> None:
        """In the words for a name that does not exist: neither says anything about our network."""
        body = {"url": f"https://{host}/hook"}
        created = client.post("/api/v1/webhooks", body, content_type="application/json")
        assert created.status_code == 422
        said = "url: its host does not exist, or is not on the public internet"
        assert created.json()["detail"] == said
        endpoint = endpoint_create(owner=default_owner(), url=PUBLIC_URL)
        changed = client.patch(f"/api/v1/webhooks/{endpoint.id}", body, content_type="application/json")
        assert (changed.status_code, changed.json()["detail"]) == (422, said)

    def test_a_network_of_the_operators_is_accepted(self, client: Client, inner_networks: None) -> None:
        body = {"url": "http://127.0.0.1:8080/hook"}
        assert client.post("/api/v1/webhooks", body, content_type="application/json").status_code == 201
        elsewhere = {"url": "http://10.0.0.8/hook"}
        assert client.post("/api/v1/webhooks", elsewhere, content_type="application/json").status_code == 422

    @pytest.mark.parametrize("status", [204, 302, 500])
    def test_a_test_is_sent_and_its_outcome_is_the_response(
        self, client: Client, receiver: Receiver, inner_networks: None, status: int
    ) -> None:
        endpoint = endpoint_create(owner=default_owner(), url=receiver.url(f"/status/{status}"), sha256_signature=True)
        response = client.post(f"/api/v1/webhooks/{endpoint.id}/test")
        assert response.status_code == 200
        outcome = response.json()
        assert (outcome["accepted"], outcome["status"], outcome["error"]) == (status == 204, status, "")
        ((_, headers, body),) = receiver.requests
        document = Webhook(endpoint.secret).verify(body, headers)
        published().check_event(document)
        assert document["type"] == "webhook.test"
        assert document["data"] == {"webhook_id": str(endpoint.id)}
        assert headers["webhook-id"] == outcome["webhook_id"]
        assert headers["x-webhook-signature"] == _sha256(endpoint.secret, body)
        assert not Delivery.objects.exists()

    def test_a_test_without_an_answer_says_why(self, client: Client, inner_networks: None) -> None:
        nobody = endpoint_create(owner=default_owner(), url="http://127.0.0.1:9/")
        inner = endpoint_create(owner=default_owner(), url="https://10.0.0.8/")
        for endpoint, error in ((nobody, "ConnectError"), (inner, REFUSED)):
            outcome = client.post(f"/api/v1/webhooks/{endpoint.id}/test").json()
            assert (outcome["accepted"], outcome["status"], outcome["error"]) == (False, None, error)

    def test_a_test_waits_without_a_connection(self, client: Client, receiver: Receiver, inner_networks: None) -> None:
        """Also with a key: a repeated test posts once more instead of keeping a transaction open."""
        hanging = endpoint_create(owner=default_owner(), url=receiver.url("/hangs"))
        outcome: list[Any] = []
        before = _connections()

        def test() -> None:
            outcome.append(client.post(f"/api/v1/webhooks/{hanging.id}/test", headers={"Idempotency-Key": "a test"}))
            connections.close_all()

        waiting = threading.Thread(target=test)
        waiting.start()
        _wait_for(lambda: bool(receiver.bodies("/hangs")))
        _wait_for(lambda: _connections() == before)  # a server process ends a moment after its connection
        receiver.over.set()
        waiting.join()
        assert outcome[0].status_code == 200
        assert (
            client.post(f"/api/v1/webhooks/{hanging.id}/test", headers={"Idempotency-Key": "a test"}).status_code == 200
        )
        assert len(receiver.requests) == 2

    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "a webhook"}])
    def test_a_host_is_looked_up_without_a_connection(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
    ) -> None:
        open_then = []

        def find(*_: object, **__: object) -> list[str]:
            open_then.append(connections["default"].connection)
            return ["2000::1"]

        monkeypatch.setattr(Lookups, "find", find)
        body = {"url": PUBLIC_URL}
        created = client.post("/api/v1/webhooks", body, content_type="application/json", headers=headers)
        assert created.status_code == 201
        changed = client.patch(created.headers["Location"], body, content_type="application/json")
        assert changed.status_code == 200
        assert open_then == [None, None]

    def test_an_owner_has_one_test_at_a_time(self, client: Client, receiver: Receiver, inner_networks: None) -> None:
        hanging = endpoint_create(owner=default_owner(), url=receiver.url("/hangs"))
        outcome: list[Any] = []

        def test() -> None:
            outcome.append(client.post(f"/api/v1/webhooks/{hanging.id}/test").json())
            connections.close_all()

        waiting = threading.Thread(target=test)
        waiting.start()
        _wait_for(lambda: bool(receiver.bodies("/hangs")))
        refused = client.post(f"/api/v1/webhooks/{hanging.id}/test")
        assert (refused.status_code, refused.json()["code"]) == (429, "test_running")
        other = endpoint_create(owner=an_owner("other"), url=receiver.url("/status/200"))
        assert endpoint_test(endpoint=other, client=a_client()).answer.accepted
        receiver.over.set()
        waiting.join()
        assert outcome[0]["accepted"] is False
        assert client.post(f"/api/v1/webhooks/{other.id}/test").status_code == 404

    def test_deliveries_are_shown_and_repeated(self, client: Client, receiver: Receiver) -> None:
        owner = default_owner()
        endpoint = endpoint_create(owner=owner, url=receiver.url("/status/200"))
        events_fan_out()
        _happens(owner)
        _send_all()
        address = f"/api/v1/webhooks/{endpoint.id}/deliveries"
        (shown,) = client.get(address).json()["results"]
        assert (shown["state"], shown["event_type"], shown["next_attempt_at"]) == ("delivered", "video.ready", None)
        assert [(attempt["status"], attempt["response"]) for attempt in shown["attempts"]] == [(200, "")]
        assert client.get(f"{address}?state=failed").json()["results"] == []
        assert client.get(f"{address}?state=delivered&order=created_at").json()["results"] == [shown]
        assert client.post(f"{address}/{shown['id']}/redeliver").status_code == 202
        _send_all()
        first, second = (headers["webhook-id"] for _, headers, _ in receiver.requests)
        assert first == second == shown["webhook_id"]
