"""The health of a stream as its tags arrive."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from transcoding.flv.clock import JUMP_MS
from transcoding.flv.tags import FlvTag, TagKind

WINDOW_SECONDS = 5.0
_BUCKET_SECONDS = 0.25
_SMOOTHING = 1 / 64
"""Weight of a tag in the means of delays: a second or two count."""
_GAP_FRAMES = 1.7
"""Distance of two frames, in usual distances, from which on one is missing."""
_HALF, _WHOLE = 1 << 31, 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Figures of the last five seconds, and counts from the beginning on. None: not known yet."""

    bitrate: int
    """Bits per second that arrive, video and audio."""
    frame_rate: float
    """Frames of video per second of arrival."""
    dropped_frames: int
    """Frames that the publisher left out: gaps in the times of its video."""
    drift_ms: int | None
    """Time that audio arrives later than the video of the same time; negative: earlier."""
    silent_seconds: float | None
    """Time since the last tag."""
    keyframe_seconds: float | None
    """Distance of the last two key frames."""


@dataclass(slots=True)
class _Bucket:
    at: float
    size: int = 0
    frames: int = 0


class Meter:
    """Counts tags. Its memory does not grow."""

    def __init__(self) -> None:
        self._buckets: deque[_Bucket] = deque()
        self._started: float | None = None
        self._last: float | None = None
        self._delays: dict[TagKind, float] = {}
        self._base: int | None = None
        self._video: int | None = None
        self._distance = 0.0
        self._keyframe: int | None = None
        self._keyframe_seconds: float | None = None
        self._dropped = 0

    def restart(self) -> None:
        """Forget times: the publisher was replaced by another one, or by itself."""
        self._delays = {}
        self._base = self._video = self._keyframe = None
        self._distance = 0.0

    def push(self, tag: FlvTag, arrived: float) -> None:
        """Count a tag that arrived at a time of the monotonic clock, in seconds."""
        self._started = arrived if self._started is None else self._started
        self._last = arrived
        if not self._buckets or arrived - self._buckets[-1].at >= _BUCKET_SECONDS:
            self._buckets.append(_Bucket(arrived))
            self._expire(arrived)
        bucket = self._buckets[-1]
        bucket.size += len(tag.data)
        if not tag.is_frame:
            return
        self._delay(tag, arrived)
        if tag.is_video:
            bucket.frames += 1
            self._frame(tag)

    def health(self, now: float) -> Health:
        """Return the figures at a time of the monotonic clock."""
        self._expire(now)
        seconds = min(WINDOW_SECONDS, max(_BUCKET_SECONDS, now - (self._started or now)))
        delays = self._delays
        both = len(delays) == len((TagKind.VIDEO, TagKind.AUDIO))
        return Health(
            bitrate=round(8 * sum(bucket.size for bucket in self._buckets) / seconds),
            frame_rate=round(sum(bucket.frames for bucket in self._buckets) / seconds, 2),
            dropped_frames=self._dropped,
            drift_ms=round(delays[TagKind.AUDIO] - delays[TagKind.VIDEO]) if both else None,
            silent_seconds=None if self._last is None else round(max(0.0, now - self._last), 2),
            keyframe_seconds=self._keyframe_seconds,
        )

    def _expire(self, now: float) -> None:
        while self._buckets and now - self._buckets[0].at >= WINDOW_SECONDS:
            self._buckets.popleft()

    def _delay(self, tag: FlvTag, arrived: float) -> None:
        """Follow the mean distance of arrival and media time, of video and audio each."""
        if self._base is None:
            self._base = tag.timestamp_ms
        delay = arrived * 1000 - _difference(tag.timestamp_ms, self._base)
        mean = self._delays.get(tag.kind)
        if mean is None or abs(delay - mean) > WINDOW_SECONDS * 1000:  # the first one, or a jump
            mean = delay
        self._delays[tag.kind] = mean + (delay - mean) * _SMOOTHING

    def _frame(self, tag: FlvTag) -> None:
        time = tag.timestamp_ms
        if tag.is_keyframe:
            if self._keyframe is not None and 0 < _difference(time, self._keyframe) < _HALF:
                self._keyframe_seconds = _difference(time, self._keyframe) / 1000
            self._keyframe = time
        distance = _difference(time, self._video) if self._video is not None else 0
        self._video = time
        if not 0 < distance <= JUMP_MS * WINDOW_SECONDS:
            return  # the first one, or a jump
        if self._distance and distance > _GAP_FRAMES * self._distance:
            self._dropped += round(distance / self._distance) - 1
            return
        self._distance = self._distance + (distance - self._distance) / 8 if self._distance else float(distance)


def _difference(time: int, before: int) -> int:
    return (time - before + _HALF) % _WHOLE - _HALF
