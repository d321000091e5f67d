"""Probe whether this node consumes the messages sent to it: a worker can look alive and have stopped consuming.

Every node has a queue of its own besides the shared one. When it has taken no ticket for a while although it has an
idle slot, it sends itself one, through the broker to a child. Nothing counts while the broker is unavailable.
"""

import mmap
import struct
import time
from collections.abc import Callable

from jobs.dispatching.tickets import TicketSender, ticket_send

_TIME = struct.Struct("d")


class LastActivity:
    """Time at which a child of this node last started or ended a ticket, in memory that survives fork."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _TIME.size)

    def record(self) -> None:
        """Set the time to now."""
        _TIME.pack_into(self._memory, 0, time.monotonic())

    @property
    def at(self) -> float:
        """Monotonic seconds; 0 before the first ticket."""
        (moment,) = _TIME.unpack_from(self._memory)
        return float(moment)


class ConsumerProbe:
    """Decides when the node sends itself a ticket, and when too many of them were not consumed.

    `sent` and `reset` are called by the thread that sends, the rest by the node's keeper.
    """

    def __init__(
        self,
        last_activity: LastActivity,
        *,
        idle_seconds: float,
        timeout_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._last_activity = last_activity
        self._idle_seconds = idle_seconds
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._probed_at = clock()
        self._unanswered_since: float | None = None

    def is_due(self) -> bool:
        """Tell whether to send a ticket now: there was neither a ticket nor a probe for `idle_seconds`."""
        due = self._clock() - max(self._last_activity.at, self._probed_at) >= self._idle_seconds
        if due:
            self._probed_at = self._clock()
        return due

    def sent(self) -> None:
        """Record that the broker has accepted the ticket that was due."""
        self._unanswered_since = self._unanswered_since or self._probed_at

    def reset(self) -> None:
        """Forget unanswered tickets: the broker or the database is unavailable, or every slot is busy."""
        self._unanswered_since = None

    @property
    def not_consuming(self) -> bool:
        """Tell whether the broker accepted tickets for `timeout_seconds` and none of them was consumed."""
        since = self._unanswered_since
        if since is not None and self._last_activity.at >= since:
            self._unanswered_since = since = None
        return since is not None and self._clock() - since >= self._timeout_seconds


def probe_sender(probe: ConsumerProbe) -> TicketSender:
    """Return a sender of tickets that tells the probe what the broker did with them."""

    def send(queue: str) -> None:
        try:
            ticket_send(queue)
        except Exception:
            probe.reset()
            raise
        probe.sent()

    return TicketSender(send)
