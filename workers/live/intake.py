"""Tags that have arrived and are not encoded yet: bounded, since an encoder may be slower than its publisher."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from transcoding.flv.meter import Health, Meter
from transcoding.flv.tags import FlvTag
from transcoding.rtmp.client import PublishEnded, PublishStarted

Item = FlvTag | PublishStarted | PublishEnded

_MAX_BYTES = 64 << 20
_MAX_SECONDS = 8.0
"""Age of the oldest tag at which tags are dropped: players have fallen behind by as much."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One thing that came from the ingest server, with the time of the clock at which it did."""

    item: Item
    at: float


class Intake:
    """A queue between the thread that reads a stream and the one that feeds ffmpeg.

    When ffmpeg does not keep up, all frames that wait are dropped, and those that follow up to the next key frame:
    players skip a part of the video instead of falling behind more and more. Headers are never dropped.
    """

    def __init__(
        self,
        *,
        max_bytes: int = _MAX_BYTES,
        max_seconds: float = _MAX_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._clock = clock
        self._arrivals: deque[Arrival] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._meter = Meter()
        self._skipping = False
        self._last_at: float | None = None
        self.dropped_frames = 0
        """Frames that were dropped so far."""
        self.dropped_at: float | None = None
        """The last time at which frames were dropped."""

    @property
    def last_at(self) -> float | None:
        """Time at which the last tag arrived; None: none has."""
        return self._last_at

    def put(self, item: Item) -> None:
        """Add what has just arrived. Never waits."""
        now = self._clock()
        with self._changed:
            if isinstance(item, FlvTag):
                self._last_at = now
                self._meter.push(item, now)
                if self._too_much(now):
                    self._drop(now)
                if self._skipped(item):
                    return
                self._bytes += len(item.data)
            elif isinstance(item, PublishStarted):
                self._meter.restart()
            self._arrivals.append(Arrival(item, now))
            self._changed.notify()

    def get(self, seconds: float) -> Arrival | None:
        """Take the oldest arrival, and wait for one for so many seconds at most; None: none came."""
        with self._changed:
            if not self._arrivals:
                self._changed.wait(seconds)
            if not self._arrivals:
                return None
            arrival = self._arrivals.popleft()
            if isinstance(arrival.item, FlvTag):
                self._bytes -= len(arrival.item.data)
            return arrival

    def dropped_within(self, seconds: float) -> bool:
        """Tell whether frames were dropped of late: the encoder is too slow."""
        return self.dropped_at is not None and self._clock() - self.dropped_at < seconds

    def behind_seconds(self) -> float:
        """Return for how long the oldest arrival has been waiting."""
        with self._changed:
            return self._clock() - self._arrivals[0].at if self._arrivals else 0.0

    def health(self) -> Health:
        """Return the figures of what has arrived of late."""
        with self._changed:
            return self._meter.health(self._clock())

    def _too_much(self, now: float) -> bool:
        return bool(self._arrivals) and (
            self._bytes > self._max_bytes or now - self._arrivals[0].at > self._max_seconds
        )

    def _drop(self, now: float) -> None:
        rest: deque[Arrival] = deque()
        for arrival in self._arrivals:
            if isinstance(arrival.item, FlvTag) and not arrival.item.is_header:
                self._drop_one(arrival.item)
            else:
                rest.append(arrival)
        self._arrivals = rest
        self._bytes = sum(len(each.item.data) for each in rest if isinstance(each.item, FlvTag))
        self._skipping = True
        self.dropped_at = now

    def _skipped(self, tag: FlvTag) -> bool:
        """Tell whether a tag is dropped since what it depends on was, or belongs to the same time."""
        if self._skipping and tag.is_keyframe:
            self._skipping = False
        if not self._skipping or tag.is_header:
            return False
        self._drop_one(tag)
        return True

    def _drop_one(self, tag: FlvTag) -> None:
        self.dropped_frames += tag.is_video
