"""The output's times: those of the source, shifted by one offset that all streams share.

Times are in ticks of 1/90,000 s. A source may jump: its receiver changes the channel, or its file starts again. Each
jump brings a new offset. Streams cross a jump one after the other, since video is sent ahead of audio: each keeps its
offset until it jumps itself, and then takes the one that is there already.
"""

from collections import deque
from dataclasses import dataclass

TICKS = 90_000
"""Ticks in a second."""
WRAP = 1 << 33
"""Ticks after which the clock of MPEG-TS starts again."""
START = 10 * TICKS
"""Output time of the first packet: streams that start later may have earlier times."""
MAX_GAP = 5 * TICKS // 2
"""Gap that is kept. It is measured from the end of whichever stream is furthest."""
MAX_OVERLAP = TICKS // 2
"""Step back of a stream that is no jump."""
_RECENT_OFFSETS = 8


def lasting(duration: int) -> int:
    """Return the duration of a packet, as far as it can be true: it moves what comes after it."""
    return min(max(duration, 0), MAX_GAP)


@dataclass
class _Track:
    """One stream: its offset, how many there were before, and the time in the output at which its last packet ends."""

    offset: int
    number: int
    end: int


class Timeline:
    """Maps times of the source to those of the output."""

    def __init__(self) -> None:
        self._offsets: deque[int] = deque(maxlen=_RECENT_OFFSETS)
        self._newest = 0
        """Number of the last offset, counted from 1."""
        self._tracks: dict[str, _Track] = {}
        self.rebases = 0
        """Jumps of the source so far. A clock that wrapped is none."""

    def at(self, stream: str, time: int, duration: int) -> int:
        """Return the time in the output at which a packet of a stream starts."""
        if not self._offsets:
            self._add(START - time)
        track = self._tracks.get(stream)
        if track is None:
            track = self._tracks[stream] = self._new_track(time)
        elif not self._takes_known(track, time):
            self._take_new(track, time)
        start = time + track.offset
        track.end = max(track.end, start + lasting(duration))
        return start

    def _new_track(self, time: int) -> _Track:
        """Return the track of a stream that starts. Its first time belongs to the newest offset, if that fits."""
        track = _Track(self._offsets[-1], self._newest, end=0)
        if self._tracks and not self._furthest() - START <= time + track.offset <= self._furthest() + MAX_GAP:
            self._take_new(track, time)
        return track

    def _takes_known(self, track: _Track, time: int) -> bool:
        """Let a stream keep its offset, or take one that came since: whichever leaves the smaller gap."""
        newer = list(self._offsets)[-(self._newest - track.number) :] if self._newest > track.number else []
        known = [track.offset, *newer]
        fitting = [offset for offset in known if self._continues(track, time + offset)]
        if not fitting:
            return False
        best = min(fitting, key=lambda offset: abs(time + offset - track.end))
        if best != track.offset:
            track.offset, track.number = best, self._newest
        return True

    def _take_new(self, track: _Track, time: int) -> None:
        """Give a stream a new offset: that of a clock that wrapped, or one that lets it go on without a gap."""
        newest = self._offsets[-1]
        for offset in (newest + WRAP, newest - WRAP):
            if self._continues(track, time + offset):
                self._add(offset)
                break
        else:
            self.rebases += 1
            self._add(self._furthest() - time)
        track.offset, track.number = self._offsets[-1], self._newest

    def _continues(self, track: _Track, start: int) -> bool:
        return track.end - MAX_OVERLAP <= start <= self._furthest() + MAX_GAP

    def _add(self, offset: int) -> None:
        self._offsets.append(offset)
        self._newest += 1

    def _furthest(self) -> int:
        return max(track.end for track in self._tracks.values())
