"""Runs of ffmpeg on a broadcast, one after another, until it is over."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from math import ceil
from typing import Protocol

from execution.ffmpeg import FfmpegRunner, StopSignal
from transcoding.errors import EncoderFailed, TranscodeError
from transcoding.planning.plan import EncodePlan
from videos.runs import RunFacts
from workers.live.encoding import LiveEncoding, OnPart, SegmentSink
from workers.live.feeding import Feeding, RunEnd

log = logging.getLogger(__name__)

_FAILURES = 3
_FAILURES_SECONDS = 60.0
"""Runs of ffmpeg that may fail in this time before the attempt ends: another worker may fare better."""


class SegmentPublisher(SegmentSink, Protocol):
    """Stores segments, and publishes those of which every rendition is there."""

    def poll(self) -> None:
        """Publish what is in the store."""
        ...

    def flush(self) -> None:
        """Wait until everything is in the store, and publish it."""
        ...


Publish = Callable[[Sequence[RunFacts], int], None]
"""Gets runs of segments, and how many segments they are."""
OpenPublisher = Callable[[int, Publish], AbstractContextManager[SegmentPublisher]]
"""Opens a publisher from a segment on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Functions that a session calls, all from the thread that runs it."""

    tick: Callable[[], None]
    """Called several times a second. Raises Stopped when the attempt must end."""
    published: Callable[[Sequence[RunFacts], int], None]
    """Publishes runs, and gets the number of all segments that are published with them."""
    period: Callable[[int, datetime], None]
    """Gets a segment and the time on the wall clock of its first frame, wherever that does not follow from before."""
    part: OnPart


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anchor:
    """The time of the feed's clock, in seconds, at which a segment's first frame is shown."""

    segment: int
    seconds: Fraction


class Session:
    """Runs of ffmpeg one after another, until the feeding is closed.

    A run that fails is followed by another that begins with the first segment which is not published, and is fed again
    what that needs: nothing is lost.
    """

    def __init__(  # noqa: PLR0913 - wired in one place, by name
        self,
        plan: EncodePlan,
        feeding: Feeding,
        *,
        ffmpeg: FfmpegRunner,
        hooks: Hooks,
        open_publisher: OpenPublisher,
        stop: StopSignal,
        first_segment: int,
        threads: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._grid = plan.grid
        self._feeding = feeding
        self._ffmpeg = ffmpeg
        self._hooks = hooks
        self._open_publisher = open_publisher
        self._stop = stop
        self._threads = threads
        self._clock = clock
        self._anchor: _Anchor | None = None
        self._failed_at: deque[float] = deque(maxlen=_FAILURES)
        self.published = first_segment
        """Segments of the broadcast that are published."""
        self.restarts = 0

    def run(self) -> int:
        """Encode until the feeding is closed. Returns the frames of the whole broadcast.

        Raises what ends the attempt: Stopped, or the error of the last of several runs that failed.
        """
        frames = None
        while frames is None:
            start = self._start()
            if start is None:
                return self._grid.first_frame(self.published)
            try:
                frames = self._encode(*start)
            except TranscodeError as error:
                self._count_failure(error)
        return frames

    def _start(self) -> tuple[int, Fraction] | None:
        """Find where in the feeding the next run begins, and wait for that. None: the feeding was closed before.

        Returns the time in milliseconds that is 0 for the run, and the time of its first frame, in seconds.
        """
        replay = self._feeding.replay
        while (first := replay.first()) is None:
            self._hooks.tick()
            if not self._feeding.advance():
                return None
        due = self._time_of(self.published)
        if due is None or first.shown_ms > due * 1000:
            due = Fraction(first.shown_ms, 1000)
            self._anchor = _Anchor(segment=self.published, seconds=due)
            self._hooks.period(self.published, datetime.fromtimestamp(first.wall, UTC))
        return first.time_ms, due - Fraction(first.time_ms, 1000)

    def _time_of(self, segment: int) -> Fraction | None:
        """Return the time of the feed's clock at which a segment begins; None: no run has started."""
        if self._anchor is None:
            return None
        return self._anchor.seconds + self._grid.start(segment) - self._grid.start(self._anchor.segment)

    def _encode(self, base_ms: int, starts_at: Fraction) -> int | None:
        """Run ffmpeg once. Returns the frames of the broadcast if that has ended, None if another run follows."""
        with self._open_publisher(self.published, self._publish) as publisher:
            encoding = LiveEncoding(
                self._plan,
                first_segment=self.published,
                starts_at=starts_at,
                publisher=publisher,
                on_part=self._hooks.part,
                device=None,
                threads=self._threads,
            )

            def poll() -> None:
                self._hooks.tick()
                self._begin_periods()
                publisher.poll()

            encoding.run(
                self._ffmpeg,
                self._feeding.blocks(base_ms=base_ms),
                stop=self._stop,
                on_poll=poll,
                on_stderr_line=_log_line,
            )
            if self._feeding.end is None:
                raise EncoderFailed("ffmpeg ended before its input")
            frames = encoding.end() if self._feeding.end is RunEnd.OVER else None
            self._begin_periods()
            publisher.flush()
        if self._feeding.end is RunEnd.CHANGED:
            self._feeding.replay.clear()
        return frames

    def _publish(self, runs: Sequence[RunFacts], count: int) -> None:
        self._hooks.published(runs, self.published + count)
        self.published += count
        due = self._time_of(self.published)
        if due is not None:
            self._feeding.replay.forget_before(float(due))

    def _begin_periods(self) -> None:
        """Note from which segment on the wall clock goes on in another way than the media."""
        for seam in self._feeding.take_seams():
            if self._anchor is None:
                continue
            seconds, length = Fraction(seam.seconds), self._grid.start(1)
            later = ceil((seconds - self._anchor.seconds) / length)
            boundary = self._anchor.seconds + later * length
            begins = seam.wall + float(boundary - seconds)
            self._hooks.period(self._anchor.segment + later, datetime.fromtimestamp(begins, UTC))

    def _count_failure(self, error: TranscodeError) -> None:
        """Raise the error where runs fail again and again."""
        now = self._clock()
        self.restarts += 1
        log.warning(
            "a run of a stream failed", extra={"event": "live_run_failed", "code": error.code, "detail": str(error)}
        )
        if len(self._failed_at) == _FAILURES and now - self._failed_at[0] < _FAILURES_SECONDS:
            raise error
        self._failed_at.append(now)


def _log_line(line: str) -> None:
    log.debug("ffmpeg: %s", line, extra={"event": "live_ffmpeg"})
