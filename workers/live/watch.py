"""The duties of an attempt beside encoding, several times a second: look, judge, report."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from livestreams.services.attempts import Control
from workers.lease.control import StepControl
from workers.live.intake import Intake
from workers.live.presence import Presence, Signs, presence_of
from workers.live.register import Register

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_HEALTH_SECONDS = 2.0
_NEVER = float("-inf")


class Watch:
    """Keeps an attempt's lease, follows its publisher, and writes down how the stream is."""

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        broadcast: Control,
        register: Register,
        control: StepControl,
        intake: Intake,
        *,
        health: Callable[[], Mapping[str, Any]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.broadcast = broadcast
        self._register = register
        self._control = control
        self._intake = intake
        self._health = health
        self._clock = clock
        self._started_at = clock()
        self._looked_at = self._reported_at = _NEVER
        self._lost = False
        self.presence = Presence.THERE
        self.on_over: Callable[[], None] = lambda: None
        """Called once, when the broadcast is over."""

    @property
    def over(self) -> bool:
        """The broadcast is over: nothing comes any more that counts."""
        return self.presence is Presence.OVER

    def silent_seconds(self) -> float:
        """Return the seconds since the last tag, or since the attempt started."""
        return self._clock() - (self._intake.last_at or self._started_at)

    def tick(self) -> None:
        """Do what is due. Raises Stopped when the attempt must end, LeaseLost when somebody else has the broadcast."""
        self._control.moved()
        now = self._clock()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._look()
        if now - self._reported_at >= _HEALTH_SECONDS and not self.over:
            self._reported_at = now
            self._register.health(self._health())

    def _look(self) -> None:
        if self.over:
            return
        self.broadcast = self._register.look() or self.broadcast
        self.presence = presence = presence_of(
            Signs(
                stop_requested=self.broadcast.stop_requested,
                publisher_present=self.broadcast.publisher_present,
                left_seconds=self.broadcast.left_seconds,
                silent_seconds=self.silent_seconds(),
                reconnect_seconds=self.broadcast.reconnect_seconds,
            )
        )
        if presence is Presence.OVER:
            log.info("a broadcast is over", extra={"event": "broadcast_over", "stop": self.broadcast.stop_requested})
            self.on_over()
        elif self._intake.last_at is not None and (presence is not Presence.THERE) != self._lost:
            self._lost = not self._lost
            (self._register.lost if self._lost else self._register.restored)()
