"""The facts of a stream that has just started, by which it is planned."""

import time
from collections.abc import Callable

from transcoding.flv.facts import IncomingFacts, incoming_facts
from transcoding.flv.tags import FlvTag
from workers.live.intake import Arrival, Intake

_WAIT_SECONDS = 0.1
_AUDIO_SECONDS = 0.5
"""Time for which a stream may keep back its audio, and still have its channels in the plan."""
_MAX_ARRIVALS = 20_000


class Incoming:
    """Collects what arrives until it says enough."""

    def __init__(self, intake: Intake, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._intake = intake
        self._clock = clock
        self._video_at: float | None = None
        self.arrivals: list[Arrival] = []
        """All that has arrived meanwhile, to be fed later."""

    def look(self) -> IncomingFacts | None:
        """Take what arrives within a moment. None: that is not enough yet."""
        if arrival := self._intake.get(_WAIT_SECONDS):
            self.arrivals.append(arrival)
            del self.arrivals[:-_MAX_ARRIVALS]
        facts = incoming_facts(each.item for each in self.arrivals if isinstance(each.item, FlvTag))
        if facts is None:
            return None
        if self._video_at is None:
            self._video_at = self._clock()
        waited = self._clock() - self._video_at >= _AUDIO_SECONDS
        return facts if facts.audio_sample_rate or waited else None
