"""Claiming due deliveries, and keeping what came of them. Any number of processes may do it at once."""

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from urllib.parse import urlsplit
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from events.log import COLUMNS, LoggedEvent, event_read
from events.models import Delivery, DeliveryAttempt, DeliveryState, EndpointState, WebhookEndpoint
from events.webhooks.posting import Receiver
from events.webhooks.retry import Delivered, GiveUp, TryAgain, judge
from observability import metrics
from outbound.answers import Answer

log = logging.getLogger(__name__)

PER_ENDPOINT = 3
"""Deliveries on their way to one endpoint at a time: one that hangs must not keep the others' senders."""

_CLAIM = f"""
WITH busy AS (
    SELECT endpoint_id, owner_id, count(*) AS sending
    FROM events_delivery delivery JOIN events_webhookendpoint endpoint ON endpoint.id = endpoint_id
    WHERE delivery.state = 'sending' AND next_attempt_at > now() GROUP BY endpoint_id, owner_id
), of_endpoint AS (
    SELECT delivery.id, endpoint.owner_id, next_attempt_at,
           row_number() OVER (PARTITION BY delivery.endpoint_id ORDER BY next_attempt_at, delivery.event_id)
           + coalesce(busy.sending, 0) AS place
    FROM events_delivery delivery JOIN events_webhookendpoint endpoint ON endpoint.id = delivery.endpoint_id
    LEFT JOIN busy ON busy.endpoint_id = delivery.endpoint_id
    WHERE delivery.state IN ('pending', 'sending') AND next_attempt_at <= now() AND endpoint.state = 'enabled'
), due AS (
    SELECT id, next_attempt_at,
           row_number() OVER (PARTITION BY owner_id ORDER BY next_attempt_at, id)
           + coalesce((SELECT sum(sending) FROM busy WHERE busy.owner_id = of_endpoint.owner_id), 0) AS place
    FROM of_endpoint WHERE place <= %(per_endpoint)s
), chosen AS (
    SELECT delivery.id FROM events_delivery delivery JOIN due ON due.id = delivery.id
    WHERE due.place <= %(per_owner)s AND delivery.next_attempt_at <= now()
      AND delivery.state IN ('pending', 'sending')
    ORDER BY due.place, due.next_attempt_at LIMIT %(limit)s FOR UPDATE OF delivery SKIP LOCKED
), taken AS (
    UPDATE events_delivery delivery
    SET state = 'sending', attempts = attempts + 1, next_attempt_at = now() + %(lease)s * interval '1 second',
        tried_since = coalesce(tried_since, now())
    FROM chosen WHERE delivery.id = chosen.id
    RETURNING delivery.id, endpoint_id, event_id, attempts, extract(epoch FROM now() - tried_since)::float8 AS tried
)
SELECT taken.id, taken.endpoint_id, taken.attempts, taken.tried, endpoint.url, endpoint.sha256_signature,
       endpoint.secret,
       CASE WHEN endpoint.old_secret_expires_at > now() THEN endpoint.old_secret END,
       extract(epoch FROM clock_timestamp())::bigint, {", ".join(f"event.{column}" for column in COLUMNS.split(", "))}
FROM taken JOIN events_webhookendpoint endpoint ON endpoint.id = taken.endpoint_id
JOIN events_event event ON event.id = taken.event_id
"""  # noqa: S608 - put together from constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A delivery to be sent now, and all that it takes. `attempt` fences what is written about it.

    `tried_seconds`: since its first attempt.
    """

    delivery_id: UUID
    endpoint_id: UUID
    attempt: int
    tried_seconds: float
    receiver: Receiver
    timestamp: int
    event: LoggedEvent

    @property
    def message_id(self) -> str:
        """The same for every attempt, so that receivers can tell what they have seen."""
        return f"msg_{self.event.uid.hex}"


def deliveries_claim(*, limit: int, per_owner: int, lease_seconds: float) -> list[Sending]:
    """Take due deliveries; who does not say within the lease what came of one leaves it to others.

    `per_owner`: how many of one owner may be on their way, all endpoints and all processes together. Who has fewer on
    their way comes first.
    """
    caps = {"limit": limit, "per_endpoint": PER_ENDPOINT, "per_owner": per_owner}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"lease": lease_seconds, **caps})
        return [
            Sending(
                delivery_id=delivery,
                endpoint_id=endpoint,
                attempt=attempt,
                tried_seconds=tried,
                receiver=Receiver(
                    url=url, secrets=(secret, old) if old else (secret,), sha256_signature=sha256_signature
                ),
                timestamp=timestamp,
                event=event_read(event),
            )
            for delivery, endpoint, attempt, tried, url, sha256_signature, secret, old, timestamp, *event in (
                cursor.fetchall()
            )
        ]


class DeliveryOutcome(StrEnum):
    """The outcome of an attempt, as metrics count it."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    FAILED = "failed"


@transaction.atomic
def delivery_record(*, sending: Sending, answer: Answer) -> None:
    """Keep what came of an attempt and decide what follows; nothing if somebody else has taken it since."""
    endpoint_lock(sending.endpoint_id)
    held = Delivery.objects.filter(id=sending.delivery_id, state=DeliveryState.SENDING, attempts=sending.attempt)
    delivery = held.select_for_update().first()
    if delivery is None:
        return
    _log(sending, answer)
    jitter = random.random()  # noqa: S311 - spreads retries, guards nothing
    match judge(answer, attempts=sending.attempt, tried_seconds=sending.tried_seconds, jitter=jitter):
        case Delivered():
            held.update(state=DeliveryState.DELIVERED, finished_at=Now())
            WebhookEndpoint.objects.filter(id=sending.endpoint_id).update(delivered_at=Now())
            outcome = DeliveryOutcome.DELIVERED
        case TryAgain(seconds):
            held.update(state=DeliveryState.PENDING, next_attempt_at=Now() + timedelta(seconds=seconds))
            outcome = DeliveryOutcome.RETRIED
        case GiveUp(gone):
            held.update(state=DeliveryState.FAILED, finished_at=Now())
            _disable(sending.endpoint_id, delivery.created_at, gone=gone)
            outcome = DeliveryOutcome.FAILED
    transaction.on_commit(partial(_report, sending, answer, outcome))


def _report(sending: Sending, answer: Answer, outcome: DeliveryOutcome) -> None:
    """Count an attempt, and log one that failed. Of the URL only the host: the rest may be the receiver's secret."""
    metrics.WEBHOOK_ATTEMPTS.add(outcome=outcome.value)
    if outcome is DeliveryOutcome.DELIVERED:
        return
    log.log(
        logging.ERROR if outcome is DeliveryOutcome.FAILED else logging.WARNING,
        "webhook given up" if outcome is DeliveryOutcome.FAILED else "webhook not accepted",
        extra={
            "event": f"webhook_{outcome.value}",
            "delivery": str(sending.delivery_id),
            "endpoint": str(sending.endpoint_id),
            "host": urlsplit(sending.receiver.url).hostname,
            "type": sending.event.type,
            "attempt": sending.attempt,
            "status": answer.status,
            "error": answer.error,
        },
    )


def endpoint_lock(endpoint_id: UUID) -> None:
    """Lock an endpoint, always before its deliveries, until the transaction ends."""
    WebhookEndpoint.objects.select_for_update().filter(id=endpoint_id).first()


def _log(sending: Sending, answer: Answer) -> None:
    DeliveryAttempt.objects.create(
        delivery_id=sending.delivery_id,
        number=sending.attempt,
        status=answer.status,
        error=answer.error,
        response=answer.response,
        milliseconds=answer.milliseconds,
    )


def _disable(endpoint_id: UUID, failing_since: datetime, *, gone: bool) -> None:
    """Stop asking somebody who is gone, or who has accepted nothing for as long as one delivery was tried."""
    reason = "the receiver answered 410 Gone" if gone else "nothing was accepted for a day"
    silent = Q() if gone else Q(delivered_at__isnull=True) | Q(delivered_at__lt=failing_since)
    WebhookEndpoint.objects.filter(silent, id=endpoint_id, state=EndpointState.ENABLED).update(
        state=EndpointState.DISABLED, disabled_reason=reason
    )


def delivery_repeat(*, delivery: Delivery) -> None:
    """Send once more what was delivered or given up, under the same id and with all its attempts ahead of it."""
    ended = Delivery.objects.filter(id=delivery.id, state__in=[DeliveryState.DELIVERED, DeliveryState.FAILED])
    ended.update(state=DeliveryState.PENDING, next_attempt_at=Now(), finished_at=None, attempts=0, tried_since=None)
