"""Tickets: Celery messages that say "there may be something to do" and carry no work."""

import logging
from collections.abc import Callable, Mapping
from threading import Condition, Thread

from celery import current_app
from kombu import Exchange, Queue

WORK_TASK = "workers.work"
"""Sent by name: whoever carries tickets out is above this package."""

log = logging.getLogger(__name__)

Send = Callable[[str], None]


def ticket_send(queue: str) -> None:
    """Wake one worker of a queue. Raises what the broker's client raises, after its own short timeouts.

    A ticket does not expire: the moment would be of our clock, and a worker whose clock is ahead would drop them all.
    """
    current_app.send_task(WORK_TASK, args=[queue], queue=queue, retry=False, ignore_result=True)


def node_queue(name: str) -> str:
    """A queue that one node alone takes tickets from, so that it can find out whether it still takes any."""
    return f"node.{name}"


def node_queue_forget(name: str) -> None:
    """Remove what a node that is gone did not take. Raises what the broker's client raises."""
    with current_app.connection_for_write() as broker:
        own = node_queue(name)
        queue = Queue(own, Exchange(own, "direct"), routing_key=own, channel=broker.default_channel)
        queue.declare()  # a channel deletes only what it knows
        queue.delete()


class TicketSender:
    """Sends tickets from a thread of its own, so that a broker that hangs holds up nobody.

    Only the newest demand counts: what was not sent before it is forgotten, since the rows are still there.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._changed = Condition()
        self._requested: Mapping[str, int] = {}
        self._broken = False

    def start(self) -> None:
        Thread(target=self._run, name="tickets", daemon=True).start()

    def request(self, tickets: Mapping[str, int]) -> None:
        """Ask for this many tickets per queue."""
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
        """Log when the broker goes and when it is back, not once per ticket."""
        if broken and not self._broken:
            log.warning("broker away: %s", reason, extra={"event": "broker_unavailable"})
        elif self._broken and not broken:
            log.info("broker back", extra={"event": "broker_available"})
        self._broken = broken
