"""Tickets: Celery messages that wake a worker to claim a step. They carry no work."""

import logging
from collections.abc import Callable, Mapping
from threading import Condition, Thread

from celery import current_app
from kombu import Exchange, Queue

WORK_TASK = "workers.work"
"""Name of the Celery task, which lives in a package above this one."""

log = logging.getLogger(__name__)

Send = Callable[[str], None]


def ticket_send(queue: str) -> None:
    """Wake one worker of a queue. Raises the errors of the broker's client, after its own short timeouts.

    A ticket does not expire: expiry compares clocks, and a worker whose clock is ahead would drop every ticket.
    """
    current_app.send_task(WORK_TASK, args=[queue], queue=queue, retry=False, ignore_result=True)


def node_queue(name: str) -> str:
    """Return the name of the queue that only this node consumes, for its consumer probe."""
    return f"node.{name}"


def node_queue_forget(name: str) -> None:
    """Delete the queue of a node that is gone, with its messages. Raises the errors of the broker's client."""
    with current_app.connection_for_write() as broker:
        own = node_queue(name)
        queue = Queue(own, Exchange(own, "direct"), routing_key=own, channel=broker.default_channel)
        queue.declare()  # a channel deletes only what it knows
        queue.delete()


class TicketSender:
    """Sends tickets from a thread of its own, so that a broker that hangs blocks no caller.

    Only the newest demand counts. Unsent tickets of an earlier one are dropped: the rows are still there.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._changed = Condition()
        self._requested: Mapping[str, int] = {}
        self._broken = False

    def start(self) -> None:
        Thread(target=self._run, name="tickets", daemon=True).start()

    def request(self, tickets: Mapping[str, int]) -> None:
        """Replace the demand: tickets to send per queue."""
        with self._changed:
            self._requested = tickets
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._requested)
                requested, self._requested = self._requested, {}
            self._deliver(requested)

    def _deliver(self, requested: Mapping[str, int]) -> None:
        try:
            for queue, tickets in requested.items():
                for _ in range(tickets):
                    self._send(queue)
        except Exception as error:  # noqa: BLE001 - whatever the client raises: the rows stay, the thread must too
            self._record(broken=True, reason=str(error))
        else:
            self._record(broken=False, reason="")

    def _record(self, *, broken: bool, reason: str) -> None:
        """Log when the broker becomes unavailable and when it is back, not once per ticket."""
        if broken and not self._broken:
            log.warning("broker unavailable: %s", reason, extra={"event": "broker_unavailable"})
        elif self._broken and not broken:
            log.info("broker back", extra={"event": "broker_available"})
        self._broken = broken
