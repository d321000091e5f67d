"""The audio of one stream: decoded, mixed down, resampled, put on our own sample clock and encoded to AAC-LC."""

from __future__ import annotations  # packets are generic in their types only

from collections.abc import Callable
from fractions import Fraction
from typing import cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream

from execution.remuxing.jailed import adts
from execution.remuxing.jailed.clocks import RATE, SampleClock
from execution.remuxing.jailed.mixing import FORMAT, LAYOUT, Mixer
from execution.remuxing.jailed.timeline import TICKS

_SAMPLE = Fraction(1, RATE)
_FRAME = 1024
"""Samples of an AAC frame."""
_MAX_LAG = 5 * TICKS // 2
"""Time that audio may come later than video before silence takes its part: receivers send it a second later at most."""
_MAX_TOLERATED_LAG = 10 * TICKS
_MIN_FILL = RATE // 10
_MAX_SILENCE = 15 * RATE
"""Silence that is inserted at once. More is left out: only an error, or an attack, makes so much."""
_MAX_MISPLACED = 10 * RATE
"""Difference between the time that audio claims and its place in the stream. Times further away are not believed."""
_SILENT_FRAMES = 4
"""Frames of silence that are encoded to get one that no longer depends on the start."""


class AudioTrack:
    """Takes the packets of the source's audio, and writes packets of the encoder."""

    def __init__(
        self, source: AudioStream, output: AudioStream, mux: Callable[[Packet[AudioStream]], None], *, copies: bool
    ) -> None:
        self.copies = copies
        self.clock = SampleClock()
        self.silence = self.skipped = self.decode_errors = 0
        self._decoder: AudioCodecContext = source.codec_context
        self._time_base = source.time_base or Fraction(1, TICKS)
        self._output = output
        self._mux = mux
        self._mixer = Mixer()
        self._fifo = AudioFifo()
        self._last_dts: int | None = None
        self._max_lag = _MAX_LAG
        self._first_video: int | None = None
        self._video = 0
        self._filled = False
        self._silent_frame = b""

    def take(self, packet: Packet[Stream], *, start: int, shift: int) -> None:
        """Take a packet that has this place in the output. `shift` is added to its times to get those of the output.

        Both are in ticks.
        """
        if self.copies:
            data = bytes(packet)
            framed = data if adts.has_header(data) else adts.header(len(data)) + data
            if adts.is_plain(framed):
                self._copy(framed, self._claimed(packet.pts, self._time_base, start, shift))
                return
            self.copies = False  # from here on it is something else
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            self.decode_errors += 1
            return
        for frame in frames:
            self._take_frame(frame, self._claimed(frame.pts, frame.time_base or self._time_base, start, shift))

    def fill(self, time: int) -> None:
        """Insert silence where the audio is missing although the video is at this time of the output already."""
        self._video = time
        if self._first_video is None:
            self._first_video = time
        until = time - self._max_lag
        if self.clock.position is None:
            if until < self._first_video:
                return
            self.clock.start(_samples(self._first_video))
        missing = _samples(until) - (self.clock.position or 0)
        if missing >= _MIN_FILL:
            self._write_silence(missing)
            self._filled = True

    def finish(self) -> None:
        """Write what is left."""
        if self.copies:
            return
        try:
            frames = self._decoder.decode(None)
        except av.FFmpegError:
            frames = []
        for frame in frames:
            self._take_frame(frame, None)
        self._write(self._mixer.finish(), skip=0)
        self._encode(partial=True)
        for packet in self._output.encode(None):
            self._put(packet)

    def _claimed(self, pts: int | None, time_base: Fraction, start: int, shift: int) -> int | None:
        """Return the position that a time stamp of the source claims, or its packet's start if it is far from there."""
        if pts is None:
            return None
        claimed = pts * time_base.numerator * RATE // time_base.denominator + shift * RATE // TICKS
        if abs(claimed - _samples(start)) > _MAX_MISPLACED:
            claimed = _samples(start)
        if self._filled and claimed < (self.clock.position or 0):  # it was on its way: wait longer from now on
            lag = self._video - claimed * TICKS // RATE
            self._max_lag = min(_MAX_TOLERATED_LAG, max(self._max_lag, lag + _MAX_LAG))
        else:
            self._filled = False
        return claimed

    def _take_frame(self, frame: AudioFrame, claimed: int | None) -> None:
        samples = frame.samples * RATE // (frame.sample_rate or RATE)
        alignment = self.clock.align(claimed, samples)
        self.skipped += alignment.skip
        if alignment.silence:
            self._write_silence(alignment.silence)
        frame.pts = None
        try:
            frames = self._mixer.mix(frame)
        except (av.FFmpegError, ValueError):  # channels that nobody can place
            self.decode_errors += 1
            return
        self._write(frames, skip=alignment.skip)
        self._encode()

    def _write(self, frames: list[AudioFrame], *, skip: int) -> None:
        for each in frames:
            frame, skip = _without(each, skip)
            if frame is None:
                continue
            if self.clock.position is None:
                self.clock.start(0)
            frame.pts = None
            frame.time_base = _SAMPLE
            self._fifo.write(frame)
            self.clock.advance(frame.samples)

    def _write_silence(self, samples: int) -> None:
        if samples > _MAX_SILENCE:
            self.clock.advance(samples)
            return
        self.silence += samples
        if self.copies:
            self._copy_silence(samples)
            return
        while samples > 0:
            part = min(samples, RATE)
            frame = _silent(part)
            self._fifo.write(frame)
            self.clock.advance(part)
            self._encode()
            samples -= part

    def _encode(self, *, partial: bool = False) -> None:
        """Encode all whole frames that wait; with `partial` the rest, too."""
        while (head := (self.clock.position or 0) - self._fifo.samples) >= 0:
            frame = self._fifo.read(_FRAME, partial)
            if frame is None:
                return
            frame.pts = head
            frame.time_base = _SAMPLE
            for packet in self._output.encode(frame):
                self._put(packet)

    def _put(self, packet: Packet[AudioStream]) -> None:
        """Mux a packet. The first one of the encoder only starts it: after a copied one there is no room for it."""
        dts = packet.dts
        if dts is None or (self._last_dts is not None and dts <= self._last_dts):
            return
        self._last_dts = dts
        self._mux(packet)

    def _copy(self, framed: bytes, claimed: int | None) -> None:
        alignment = self.clock.align(claimed, _FRAME)
        if alignment.silence:
            self._write_silence(alignment.silence)
        if alignment.skip > _FRAME // 2:
            self.skipped += _FRAME
            return
        if self.clock.position is None:
            self.clock.start(0)
        self._put_copied(framed)

    def _put_copied(self, framed: bytes) -> None:
        packet = cast("Packet[AudioStream]", Packet(framed))
        packet.stream = self._output
        packet.time_base = _SAMPLE
        packet.pts = packet.dts = self.clock.position
        packet.duration = _FRAME
        packet.is_keyframe = True
        self.clock.advance(_FRAME)
        self._put(packet)

    def _copy_silence(self, samples: int) -> None:
        """Write whole frames of silence; what is left is a hole that is shorter than a frame."""
        frame = self._silence()
        for _ in range(samples // _FRAME):
            self._put_copied(frame)
        self.clock.advance(samples % _FRAME)

    def _silence(self) -> bytes:
        if not self._silent_frame:
            encoder = AudioCodecContext.create("aac", "w")
            encoder.sample_rate, encoder.layout, encoder.format = RATE, LAYOUT, FORMAT
            encoded = b""
            for number in range(_SILENT_FRAMES):
                frame = _silent(_FRAME)
                frame.pts = number * _FRAME
                encoded = next((bytes(packet) for packet in encoder.encode(frame)), encoded)
            self._silent_frame = adts.header(len(encoded)) + encoded
        return self._silent_frame


def copies_audio(source: AudioStream) -> bool:
    """Tell whether audio already is what we give: AAC-LC, 48 kHz, stereo. Each packet is checked again."""
    context = source.codec_context
    extradata = context.extradata or b""
    return (
        context.codec.canonical_name == "aac"
        and context.sample_rate == RATE
        and context.channels == 2  # noqa: PLR2004 - stereo
        and (not extradata or extradata in _PLAIN_CONFIGURATIONS)
    )


_PLAIN_CONFIGURATIONS = (b"\x11\x90", b"\x11\x90\x56\xe5\x00")
"""AudioSpecificConfig (ISO/IEC 14496-3) of AAC-LC, 48 kHz, stereo: alone, or saying that there is no SBR."""


def _samples(time: int) -> int:
    return time * RATE // TICKS


def _silent(samples: int) -> AudioFrame:
    frame = AudioFrame(format=FORMAT, layout=LAYOUT, samples=samples)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate = RATE
    frame.time_base = _SAMPLE
    return frame


def _without(frame: AudioFrame, skip: int) -> tuple[AudioFrame | None, int]:
    """Return a frame without its first samples, None if nothing is left, and how many are still to be left out."""
    if not skip:
        return frame, 0
    if skip >= frame.samples:
        return None, skip - frame.samples
    fifo = AudioFifo()
    frame.pts = None
    fifo.write(frame)
    fifo.read(skip)
    return fifo.read(frame.samples - skip), 0
