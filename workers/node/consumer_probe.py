"""Whether this node still takes what is sent to it: a worker can look alive and have stopped consuming.

Every node has a queue of its own besides the one it shares. When it has taken no ticket for a while although it has an
idle slot, it sends itself one, through the broker and down to a child. A broker that is away excuses it.
"""

import mmap
import struct
import time
from collections.abc import Callable

from jobs.dispatching.tickets import TicketSender, ticket_send

_TIME = struct.Struct("d")


class Pulse:
    """When a child of this node last began or ended a ticket, in monotonic seconds; memory that survives fork."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _TIME.size)

    def beat(self) -> None:
        _TIME.pack_into(self._memory, 0, time.monotonic())

    @property
    def last(self) -> float:
        """The moment of the last beat; 0 before the first."""
        (moment,) = _TIME.unpack_from(self._memory)
        return float(moment)


class Hearing:
    """What of the tickets sent to oneself has become of them. `sent` and `failed` come from the thread that sends."""

    def __init__(
        self, pulse: Pulse, *, quiet_seconds: float, deaf_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pulse = pulse
        self._quiet_seconds = quiet_seconds
        self._deaf_seconds = deaf_seconds
        self._clock = clock
        self._asked_at = clock()
        self._unanswered_since: float | None = None

    def ask(self) -> bool:
        """Whether it is time for a ticket to oneself: nothing was heard, or asked, for a while."""
        due = self._clock() - max(self._pulse.last, self._asked_at) >= self._quiet_seconds
        if due:
            self._asked_at = self._clock()
        return due

    def sent(self) -> None:
        """The broker has taken the ticket that was due when `ask` said so."""
        self._unanswered_since = self._unanswered_since or self._asked_at

    def excuse(self) -> None:
        """Nothing can be told now: the broker or the database is away, or every slot is busy."""
        self._unanswered_since = None

    @property
    def deaf(self) -> bool:
        """Whether tickets have been sent for so long, each taken by the broker, and none has arrived."""
        since = self._unanswered_since
        if since is not None and self._pulse.last >= since:
            self._unanswered_since = since = None
        return since is not None and self._clock() - since >= self._deaf_seconds


def ticket_sender(hearing: Hearing) -> TicketSender:
    """Send tickets to oneself from a thread, and tell how that went."""

    def send(queue: str) -> None:
        try:
            ticket_send(queue)
        except Exception:
            hearing.excuse()
            raise
        hearing.sent()

    return TicketSender(send)
