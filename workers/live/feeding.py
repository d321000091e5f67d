"""The input of ffmpeg: arrivals on one clock, from a key frame on, run after run."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from execution.pipes import Feed as Input
from transcoding.flv.feed import Feed
from transcoding.flv.tags import FlvTag
from transcoding.rtmp.client import PublishStarted
from workers.live.intake import Arrival, Intake
from workers.live.replay import Block, Replay

_WAIT_SECONDS = 0.1
_NOTHING = Block(data=b"", time_ms=0, shown_ms=0, keyframe=False, wall=0.0)


class RunEnd(Enum):
    """Reason for which the input of a run ends."""

    OVER = auto()
    """The broadcast has ended."""
    CHANGED = auto()
    """The publisher sends something else from here on: another size, another codec."""
    AUDIO = auto()
    """Audio starts that is coded in another way than the silence before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """A moment from which on wall clock and media agree in another way than before: its publisher has come back."""

    seconds: float
    """Time at which its first frame is shown, of the feed's clock."""
    wall: float
    """Unix time at which that frame arrived."""


class Feeding:
    """The input of all runs of one attempt. Runs follow each other: `blocks` is read by one thread at a time."""

    def __init__(self, feed: Feed, intake: Intake) -> None:
        self._feed = feed
        self._intake = intake
        self._waiting: deque[Arrival] = deque()
        self._codec = ""
        self._over = threading.Event()
        self._broken = False
        self.replay = Replay()
        self.end: RunEnd | None = None
        """The reason for which the last run's input ended; None: it has not."""
        self._seams: deque[Seam] = deque()
        self._dropped = 0

    def put_back(self, arrivals: list[Arrival]) -> None:
        """Have these fed before all others."""
        self._waiting.extendleft(reversed(arrivals))
        for arrival in arrivals:
            if isinstance(arrival.item, FlvTag):
                self._feed.learn(arrival.item)

    def take_seams(self) -> Iterator[Seam]:
        """Give the seams that were not given yet."""
        while self._seams:
            yield self._seams.popleft()

    def close(self) -> None:
        """End the input of the run, and of all others."""
        self._over.set()

    def advance(self) -> bool:
        """Feed one arrival into the replay, and wait for it for a moment. False: the feeding is closed."""
        self._next()
        return not self._over.is_set()

    def blocks(self, *, base_ms: int) -> Input:
        """Yield the input of a run whose time begins at `base_ms`: what is in the replay, and what arrives."""
        self.end = None
        yield self._feed.preamble()
        yield from self.replay.blocks(base_ms=base_ms)
        while (block := self._next()) is not None:
            yield block.at(base_ms) if block.data else b""

    def _next(self) -> Block | None:
        """Take the next arrival. An empty block: there was none. None: the input of this run has ended."""
        if self._over.is_set():
            self.end = RunEnd.OVER
            return None
        arrival = self._waiting.popleft() if self._waiting else self._intake.get(_WAIT_SECONDS)
        if arrival is None:
            return _NOTHING
        if self._intake.dropped_frames != self._dropped:
            self._dropped, self._broken = self._intake.dropped_frames, True
        if not isinstance(arrival.item, FlvTag):
            self._broken = self._broken or isinstance(arrival.item, PublishStarted)
            return _NOTHING
        if self._changes(arrival.item):
            self._waiting.appendleft(arrival)
            self.end = RunEnd.CHANGED
            return None
        return self._push(arrival.item, arrival.at)

    def _changes(self, tag: FlvTag) -> bool:
        """Tell whether video is coded in another way from this tag on."""
        if not tag.is_video or not tag.codec:
            return False
        before, self._codec = self._codec, tag.codec
        return before not in {"", tag.codec}

    def _push(self, tag: FlvTag, at: float) -> Block | None:
        """Put a tag on the feed's clock, and keep what comes out for runs that begin later. None: this run ends."""
        data = self._feed.push(tag, at)
        if self._feed.audio_changed:
            self.end = RunEnd.AUDIO
        if not data:
            return None if self.end else _NOTHING
        block = Block(
            data=data,
            time_ms=self._feed.time_ms,
            shown_ms=self._feed.presentation_ms,
            keyframe=tag.is_keyframe,
            wall=time.time() - (time.monotonic() - at),
        )
        if self._broken and block.keyframe:
            self._broken = False
            self._seams.append(Seam(seconds=block.shown_ms / 1000, wall=block.wall))
        if self.end is RunEnd.AUDIO:
            self.replay.silence()
        self.replay.add(block)
        return None if self.end else block
