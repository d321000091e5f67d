"""Test deliveries: one document posted while the client waits, whose outcome is the response."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from django.utils import timezone

from api.database import release_connection
from api.problems import Problem, unavailable
from events.models import WebhookEndpoint
from events.types import TEST_TYPE
from events.webhooks.posting import Receiver, post
from outbound.answers import Answer
from outbound.posting import OutboundClient

MAX_TESTS = 8
"""Of one process at a time: each holds a thread of the API for as long as its receiver takes."""


class TestSlots:
    """The tests that run in this process: one of an owner at a time, so that none of them takes every slot."""

    __test__ = False  # pytest collects what is named like this

    def __init__(self, limit: int = MAX_TESTS) -> None:
        self._limit = limit
        self._owners: set[UUID] = set()
        self._lock = threading.Lock()

    @contextmanager
    def slot(self, owner_id: UUID) -> Iterator[None]:
        """Take a slot. Raises Problem: 429 the owner has one, 503 there is none."""
        with self._lock:
            if owner_id in self._owners:
                detail = "Another test of yours waits for its receiver."
                raise Problem(
                    status=429, code="test_running", detail=detail, retryable=True, headers={"Retry-After": "5"}
                )
            if len(self._owners) >= self._limit:
                raise unavailable("too_many_tests", "Too many webhook tests are running.")
            self._owners.add(owner_id)
        try:
            yield
        finally:
            with self._lock:
                self._owners.discard(owner_id)


slots = TestSlots()
"""Those of this process."""


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """A test and what the receiver answered."""

    __test__ = False

    webhook_id: str
    answer: Answer


def endpoint_test(*, endpoint: WebhookEndpoint, client: OutboundClient) -> TestOutcome:
    """Post a document of the type `webhook.test` to an endpoint, once, whatever its state. Raises Problem."""
    with slots.slot(endpoint.owner_id):
        release_connection()  # a receiver may take its time, and connections are few
        message = uuid4()
        document = {
            "id": str(message),
            "type": TEST_TYPE,
            "timestamp": datetime.now(UTC).isoformat(),
            "data": {"webhook_id": str(endpoint.id)},
        }
        message_id = f"msg_{message.hex}"
        answer = post(
            client.of(endpoint.owner_id),
            _receiver(endpoint),
            document,
            message_id=message_id,
            timestamp=int(time.time()),
        )
        return TestOutcome(message_id, answer)


def _receiver(endpoint: WebhookEndpoint) -> Receiver:
    expires_at = endpoint.old_secret_expires_at
    old = (endpoint.old_secret,) if expires_at and expires_at > timezone.now() else ()
    return Receiver(url=endpoint.url, secrets=(endpoint.secret, *old), sha256_signature=endpoint.sha256_signature)
