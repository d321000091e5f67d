"""Writes to webhook endpoints."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from access.models import Owner
from api.problems import Problem
from events.models import Delivery, DeliveryState, EndpointState, WebhookEndpoint
from events.webhooks.deliveries import endpoint_lock
from events.webhooks.signing import secret_make

MAX_ENDPOINTS = 50
"""Of one owner: every event is sent to each of them."""
OLD_SECRET_SECONDS = 24 * 3600
"""Seconds that the previous secret still signs, so that receivers can be changed one after another."""

_FORGET_DELIVERIES = """
WITH forgotten AS (DELETE FROM events_delivery WHERE endpoint_id = %(endpoint)s RETURNING id)
DELETE FROM events_deliveryattempt WHERE delivery_id IN (SELECT id FROM forgotten)
"""
"""In the database: a month of deliveries does not fit in memory."""


@transaction.atomic
def endpoint_create(
    *, owner: Owner, url: str, types: Sequence[str] = (), description: str = "", sha256_signature: bool = False
) -> WebhookEndpoint:
    """Begin to deliver an owner's events to an address. Raises Problem when there are too many."""
    Owner.objects.select_for_update(no_key=True).get(id=owner.id)  # two at once would both count the same
    if WebhookEndpoint.objects.filter(owner=owner).count() >= MAX_ENDPOINTS:
        detail = f"There are {MAX_ENDPOINTS} webhook endpoints already, which is the most."
        raise Problem(status=409, code="too_many_endpoints", detail=detail)
    return WebhookEndpoint.objects.create(
        owner=owner,
        url=url,
        types=sorted(set(types)),
        description=description,
        sha256_signature=sha256_signature,
        secret=secret_make(),
    )


@transaction.atomic
def endpoint_update(*, endpoint: WebhookEndpoint, **changes: object) -> None:
    """Change its fields. Enabled again, it gets what was not sent to it meanwhile, each for a day from then on."""
    endpoint_lock(endpoint.id)
    row = WebhookEndpoint.objects.filter(id=endpoint.id)
    disabled = row.filter(state=EndpointState.DISABLED).exists()
    if changes.get("state") == EndpointState.ENABLED:
        changes["disabled_reason"] = ""
    if changes.get("state") == EndpointState.DISABLED and not disabled:
        changes["disabled_reason"] = "disabled by its owner"
    row.update(**changes)
    if changes.get("state") == EndpointState.ENABLED and disabled:
        Delivery.objects.filter(endpoint=endpoint, state=DeliveryState.PENDING).update(tried_since=None)


def endpoint_rotate_secret(*, endpoint: WebhookEndpoint) -> str:
    """Give an endpoint a new secret and return it; the old one signs beside it for a day."""
    secret = secret_make()
    WebhookEndpoint.objects.filter(id=endpoint.id, secret=endpoint.secret).update(
        secret=secret,
        old_secret=endpoint.secret,
        old_secret_expires_at=Now() + timedelta(seconds=OLD_SECRET_SECONDS),
    )
    return secret


@transaction.atomic
def endpoint_delete(*, endpoint: WebhookEndpoint) -> None:
    """Forget an endpoint and everything about its deliveries. While it is locked, no new ones are committed."""
    endpoint_lock(endpoint.id)
    with connection.cursor() as cursor:
        cursor.execute(_FORGET_DELIVERIES, {"endpoint": endpoint.id})
    endpoint.delete()
