"""Decode times of tags on a clock of our own, which no publisher can make jump."""

from __future__ import annotations

from dataclasses import dataclass

from transcoding.flv.tags import FlvTag, TagKind

JUMP_MS = 1000
"""Distance from what came last at which a time is taken for a jump."""
LAG_MS = 3000
"""Distance at which a stream that follows the other one is taken for one with another clock."""
BACK_MS = 100
"""Steps back that are evened out."""
_STEPS_MS = {TagKind.VIDEO: 33, TagKind.AUDIO: 23}
_HALF, _WHOLE = 1 << 31, 1 << 32


@dataclass(slots=True)
class _Track:
    """Video or audio. `offset`: what is added to its timestamps."""

    offset: int
    step: int
    last: int | None = None


class Clock:
    """Times from the first key frame on, in milliseconds. Video and audio keep their distance.

    A time that does not follow what came last gets a new offset, by which it follows at once. The other track adopts it
    when its own times jump, too: what was in step stays so. Tags of before the jump that come late keep their old one.
    """

    def __init__(self, first: FlvTag) -> None:
        self._newest = -first.timestamp_ms
        self._tracks: dict[TagKind, _Track] = {}
        self._head = 0
        self.jumps = 0
        """Jumps so far."""

    @property
    def head_ms(self) -> int:
        """Newest time of any tag."""
        return self._head

    def time_of(self, tag: FlvTag) -> int:
        """Return the time of a tag; of audio from before the first key frame a negative one."""
        track = self._tracks.get(tag.kind)
        if track is None:
            track = self._tracks[tag.kind] = _Track(self._newest, _STEPS_MS[tag.kind])
        time = self._fitting(track, tag.timestamp_ms)
        if track.last is None:
            if time < 0:
                return time
        else:
            time = max(time, track.last + (tag.kind == TagKind.VIDEO))
            if 0 < time - track.last <= JUMP_MS:
                track.step = time - track.last
        track.last = time
        self._head = max(self._head, time)
        return time

    def _fitting(self, track: _Track, timestamp: int) -> int:
        for offset in (track.offset, self._newest):
            time = self._unwrapped(timestamp + offset)
            if self._follows(track, time):
                track.offset = offset
                return time
        self.jumps += 1
        time = self._head + track.step
        track.offset = self._newest = time - timestamp
        return time

    def _unwrapped(self, time: int) -> int:
        """Return the time that is nearest to what came last, of those that have the same 32 bits."""
        return self._head + (time - self._head + _HALF) % _WHOLE - _HALF

    def _follows(self, track: _Track, time: int) -> bool:
        lowest = self._head - JUMP_MS if track.last is None else max(track.last - BACK_MS, self._head - LAG_MS)
        return lowest <= time <= self._head + JUMP_MS
