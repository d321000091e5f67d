"""Sending deliveries from threads of a long-lived process (the dispatcher's)."""

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from django.db import connection

from events.log import EventDocuments, log_rebase
from events.webhooks.deliveries import Sending, deliveries_claim, delivery_record
from events.webhooks.fanout import BATCH, events_fan_out
from events.webhooks.posting import post
from outbound.answers import Answer
from outbound.posting import OutboundClient

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
_LEASE_SECONDS_BEYOND = 30.0
"""Seconds that a claim outlasts the longest request: time to record the result."""


class WebhookSender:
    """Makes deliveries of events and sends what is due. Any number of processes may: rows say who has what."""

    def __init__(self, client: OutboundClient, documents: EventDocuments, *, threads: int, seconds: float) -> None:
        self._client = client
        self._documents = documents
        self._threads = threads
        self._per_owner = max(1, threads // 2)  # one whose endpoints all hang must not keep the others' senders
        self._lease_seconds = seconds + _LEASE_SECONDS_BEYOND
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="webhook")
        self._under_way: set[Future[None]] = set()
        self._thread = threading.Thread(target=self._keep_looking, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to look for what is due."""
        self._thread.start()

    def close(self) -> None:
        """Take nothing new. What is on its way is finished, or sent again by another process."""
        self._over.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _keep_looking(self) -> None:
        rebased = False
        while not self._over.wait(LOOK_SECONDS):
            try:
                if not rebased:
                    log_rebase()
                    rebased = True
                while not self._over.is_set() and self.look():
                    pass
            except Exception:
                log.exception("webhooks failed", extra={"event": "webhooks_failed"})
            connection.close()

    def look(self) -> bool:
        """Do once what there is to do. True: there may be more at once."""
        more = events_fan_out() == BATCH
        self._under_way = {future for future in self._under_way if not future.done()}
        idle = self._threads - len(self._under_way)
        self._under_way |= {self._pool.submit(self._send, sending) for sending in self._claim(idle)}
        return more

    def _claim(self, idle: int) -> list[Sending]:
        if not idle:
            return []
        return deliveries_claim(limit=idle, per_owner=self._per_owner, lease_seconds=self._lease_seconds)

    def _send(self, sending: Sending) -> None:
        try:
            deliver(self._client, sending, self._documents)
        except Exception:
            log.exception("delivery failed", extra={"event": "delivery_failed", "delivery": str(sending.delivery_id)})
        finally:
            connection.close()


def deliver(client: OutboundClient, sending: Sending, documents: EventDocuments) -> None:
    """Send one delivery once and keep what came of it."""
    try:
        (document,) = documents([sending.event])
        theirs = client.of(sending.event.owner_id)
        answer = post(theirs, sending.receiver, document, message_id=sending.message_id, timestamp=sending.timestamp)
    except Exception:  # a bug of ours must not have it sent again for ever
        log.exception("request broke", extra={"event": "delivery_broke", "delivery": str(sending.delivery_id)})
        answer = Answer(error="it could not be sent")
    delivery_record(sending=sending, answer=answer)
