"""The time that an audio track fills, from its packets as ffprobe lists them."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from types import MappingProxyType
from typing import Self

from transcoding.probing.streams import AudioStream
from transcoding.probing.timing import Packet, parse_packets
from transcoding.timeline import AudioSpan

_USUAL_DELAYS = MappingProxyType(
    {"aac": 2112, "mp3": 1681, "mp2": 481, "ac3": 256, "eac3": 256, "opus": 312, "wmav1": 2048, "wmav2": 2048}
)
"""Samples of priming that players hear where no container says so: those of Apple's AAC, of LAME with the decoder's 528
and one, and of ffmpeg's encoders."""


_PLAIN_COMMAS = 5
"""Commas in the line of a packet that nothing is cut off."""


class AudioMeter:
    """Measures a track while its packets pass by. Packets that an edit list hides do not count."""

    def __init__(self, *, codec: str, sample_rate: int, time_base: Fraction) -> None:
        self._usual_ticks = round(Fraction(_USUAL_DELAYS.get(codec, 0), sample_rate) / time_base)
        self._unprimed: int | None = None
        self._sample_rate = sample_rate
        self._time_base = time_base
        self._first: int | None = None
        self._last = 0
        self._ticks = 0
        self._longest = 0
        self._before: Packet | None = None
        self._primed = False
        self._cut = (0, 0)
        self.count = 0

    @classmethod
    def of(cls, track: AudioStream) -> Self:
        """Return the meter for a track. Where its time base is not known, a sample is a tick, as usual in MP4."""
        time_base = track.time_base or Fraction(1, track.sample_rate)
        return cls(codec=track.codec, sample_rate=track.sample_rate, time_base=time_base)

    def packets(self, lines: Iterable[str]) -> Iterator[Packet]:
        """Read the lines of `packets_command` with `cuts`, and pass the packets on."""
        for packet in parse_packets(self._noting_cuts(lines)):
            if packet.discard:
                self._primed = True
            else:
                self._take(packet)
            self.count += 1
            yield packet

    @property
    def span(self) -> AudioSpan | None:
        """The time of the packets so far. None: there were none."""
        if self._first is None:
            return None
        unprimed = self._last if self._unprimed is None else self._unprimed
        return AudioSpan(
            start=self._first * self._time_base,
            end=self._last * self._time_base,
            filled=self._ticks * self._time_base,
            delay=Fraction(0) if self._primed else (unprimed - self._first) * self._time_base,
        )

    def _noting_cuts(self, lines: Iterable[str]) -> Iterator[str]:
        """Note for each line how many samples are cut off the packet: few have any."""
        for line in lines:
            self._cut = _cut(line) if line.count(",") > _PLAIN_COMMAS else (0, 0)
            yield line

    def _take(self, packet: Packet) -> None:
        skipped, padded = self._cut
        length = packet.duration or self._distance(packet)
        start, end = packet.pts, packet.pts + length
        if skipped or padded:
            self._primed |= skipped > 0
            start += self._ticks_of(skipped)
            if length + self._ticks_of(padded) > self._longest:  # Ogg takes the padding off the length, too
                end -= self._ticks_of(padded)
        if self._first is None or start < self._first:
            self._first = start
        self._last = max(self._last, end) if self._ticks else end
        if self._unprimed is None and self._ticks + length >= self._usual_ticks:
            self._unprimed = packet.pts + self._usual_ticks - self._ticks
        self._ticks += length
        self._longest = max(self._longest, length)
        self._before = packet

    def _distance(self, packet: Packet) -> int:
        """Return the ticks since the packet before, a second at most: CAF gives packets no lengths."""
        return max(0, min(packet.pts - self._before.pts, int(1 / self._time_base))) if self._before else 0

    def _ticks_of(self, samples: int) -> int:
        return round(Fraction(samples, self._sample_rate) / self._time_base)


def _cut(line: str) -> tuple[int, int]:
    """Read how many samples are cut off from the beginning and the end of a packet."""
    skipped, padded, *_ = (*line.split(",")[_PLAIN_COMMAS:], "", "")
    return int(skipped) if skipped.isdigit() else 0, int(padded) if padded.isdigit() else 0
