"""Distance of audio from video in a stream of ours, by the time stamps of frames that lie beside each other."""

from collections import deque

_WRAP = 1 << 33
_TICKS_PER_MS = 90
FRAMES = 100
"""Frames of video of which the mean is taken: a packet with several frames of audio has one time stamp."""


class Drift:
    """Distance of audio behind video, beyond that at the beginning. Times are in ticks of 1/90000 s.

    An engine that loses audio, or gives its time stamps a pace of their own, shows here. What an encoder does to the
    frames themselves does not.
    """

    def __init__(self) -> None:
        self._audio: int | None = None
        self._distances: deque[int] = deque(maxlen=FRAMES)
        self._sum = 0
        self._first: int | None = None

    @property
    def ms(self) -> int | None:
        """Milliseconds, as the mean over the last `FRAMES` frames; None: there were not that many yet."""
        if self._first is None:
            return None
        return round((self._sum - self._first) / FRAMES / _TICKS_PER_MS)

    def audio(self, time: int) -> None:
        """Take a packet of audio."""
        self._audio = time

    def video(self, time: int) -> None:
        """Take a frame of video."""
        if self._audio is None:
            return
        if len(self._distances) == FRAMES:
            self._sum -= self._distances[0]
        behind = (time - self._audio + _WRAP // 2) % _WRAP - _WRAP // 2
        self._distances.append(behind)
        self._sum += behind
        if self._first is None and len(self._distances) == FRAMES:
            self._first = self._sum
