"""The remux of one stream: video packets as they are, audio as AAC-LC, in MPEG-TS."""

from __future__ import annotations  # packets are generic in their types only

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from execution.remuxing.jailed.audio import AudioTrack, copies_audio
from execution.remuxing.jailed.clocks import RATE
from execution.remuxing.jailed.messages import NOT_MEDIA, NOTHING, UNSUPPORTED, Start, Started, Statistics
from execution.remuxing.jailed.mixing import LAYOUT
from execution.remuxing.jailed.pipes import OutputFile, SourceFile, StreamOver
from execution.remuxing.jailed.timeline import TICKS, Timeline, lasting

VIDEO_CODECS = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video"})
AUDIO_CODECS = frozenset({"aac", "aac_latm", "ac3", "eac3", "mp1", "mp2", "mp3"})
_PROBES = ((1_000_000, 500_000), (4_000_000, 2_000_000))
"""Bytes and microseconds that are looked at before the streams are known. The second ones only if needed."""
_LISTING_CONTAINERS = frozenset({"mpegts", "mp4"})
"""Those that list their streams in front of them."""
_INPUT_OPTIONS = {
    "mpegts": {"fflags": "+genpts+discardcorrupt", "merge_pmt_versions": "1", "scan_all_pmts": "0"},
    "flv": {"fflags": "+genpts"},
    "mp4": {"fflags": "+genpts"},
}
_OUTPUT_OPTIONS = {
    "flush_packets": "1",
    "pat_period": "0.1",
    "pes_payload_size": "0",  # a packet of audio does not wait for others
    "max_delay": "500000",  # the clock runs a second ahead, since video is sent ahead of audio; nothing waits for it
    "max_interleave_delta": "1",  # nor does a packet wait for one of the other stream
}
_READ_BYTES = 1 << 16
_TICK = Fraction(1, TICKS)
_MAX_DELAY = 10 * TICKS
"""Time from a frame's place in the stream to when it is shown; one further away is an error."""
_MAX_ERRORS_IN_A_ROW = 1000


class RemuxFailed(Exception):
    """The stream cannot be remuxed, or no more."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Streams:
    video: VideoStream | None
    audio: AudioStream | None

    def __iter__(self) -> Iterator[Stream]:
        return (stream for stream in (self.video, self.audio) if stream is not None)


class Remux:
    """One stream. `run` does it all, in one thread; `statistics` may be read in others."""

    def __init__(
        self, start: Start, source: SourceFile, output: OutputFile, *, on_started: Callable[[Started], None]
    ) -> None:
        self._start = start
        self._source = source
        self._output = output
        self._on_started = on_started
        self._timeline = Timeline()
        self._audio: AudioTrack | None = None
        self._read_errors = 0
        self._last_video = -1
        self._expected: dict[str, int] = {}
        """Times of the source, in ticks, at which packets without a time are: the ends of the last ones."""

    def statistics(self) -> Statistics:
        """Return the counters."""
        audio = self._audio
        return Statistics(
            stream=self._start.stream,
            bytes_in=self._source.bytes_read,
            bytes_out=self._output.bytes_written,
            rebases=self._timeline.rebases,
            drift_ms=1000 * audio.clock.drift / RATE if audio else 0.0,
            silence_ms=1000 * audio.silence // RATE if audio else 0,
            skipped_ms=1000 * audio.skipped // RATE if audio else 0,
            decode_errors=self._read_errors + (audio.decode_errors if audio else 0),
        )

    def run(self) -> None:
        """Remux until the source ends. Raises RemuxFailed, and StreamOver when there is nobody to do it for."""
        container, streams = self._opened()
        with container:
            self._source.release()
            output = av.open(self._output, mode="w", format="mpegts", container_options=_OUTPUT_OPTIONS)
            try:
                self._remux(container, streams, output)
            finally:
                with suppress(av.FFmpegError, StreamOver, OSError):  # the trailer, to a reader that may be gone
                    output.close()

    def _opened(self) -> tuple[InputContainer, _Streams]:
        """Open the source, looking at more of it if its streams are not known otherwise."""
        for last, (size, duration) in zip((False, True), _PROBES, strict=True):
            try:
                container = av.open(
                    self._source,
                    mode="r",
                    format=self._start.container,
                    buffer_size=_READ_BYTES,
                    container_options={
                        **_INPUT_OPTIONS[self._start.container],
                        "probesize": str(size),
                        "analyzeduration": str(duration),
                    },
                )
            except av.FFmpegError as error:
                self._raise_for(error)
            streams = _chosen(container)
            if last or _known(streams, self._start.container):
                break
            container.close()
            self._source.rewind()
        if not any(streams):
            container.close()
            code = NOT_MEDIA if self._source.bytes_read else NOTHING
            raise RemuxFailed(code, "the source has neither video nor audio")
        for stream, codecs in ((streams.video, VIDEO_CODECS), (streams.audio, AUDIO_CODECS)):
            name = _codec(stream)
            if name and name not in codecs:
                container.close()
                raise RemuxFailed(UNSUPPORTED, f"the codec {name} cannot be remuxed")
        return container, streams

    def _raise_for(self, error: av.FFmpegError) -> None:
        if not self._source.bytes_read:
            raise RemuxFailed(NOTHING, "the source ended before its first byte") from error
        raise RemuxFailed(NOT_MEDIA, f"the source is no {self._start.container}") from error

    def _remux(self, container: InputContainer, streams: _Streams, output: OutputContainer) -> None:
        for stream in container.streams:
            if stream not in tuple(streams):
                stream.discard = Discard.all
        video = output.add_stream_from_template(streams.video, opaque=True) if streams.video else None
        if streams.audio:
            encoder = output.add_stream("aac", rate=RATE, layout=LAYOUT, bit_rate=self._start.audio_bitrate)
            copies = self._start.copies_audio and copies_audio(streams.audio)
            self._audio = AudioTrack(streams.audio, encoder, output.mux_one, copies=copies)
        self._on_started(
            Started(
                stream=self._start.stream,
                video=_codec(streams.video),
                audio=_codec(streams.audio),
                copies_audio=self._audio is not None and self._audio.copies,
            )
        )
        for packet in self._packets(container, streams):
            time = self._time(packet)
            if time is None:
                continue
            unit = packet.time_base
            duration = lasting(_ticks(packet.duration or 0, unit))
            start = self._timeline.at(packet.stream.type, time, duration)
            self._expected[packet.stream.type] = time + duration
            if packet.stream is streams.audio:
                if self._audio:
                    self._audio.take(packet, start=start, shift=start - time)
            elif video:
                delay = 0 if packet.pts is None else _ticks(packet.pts, unit) - time
                self._copy(packet, video, output, start=start, delay=delay if abs(delay) <= _MAX_DELAY else 0)
        if self._audio:
            self._audio.finish()

    def _time(self, packet: Packet[Stream]) -> int | None:
        """Return the time of a packet in ticks of the source; None: it is none, or there was no time before it."""
        if packet.dts is not None:
            return _ticks(packet.dts, packet.time_base)
        return self._expected.get(packet.stream.type) if packet.size else None

    def _copy(
        self, packet: Packet[Stream], stream: VideoStream, output: OutputContainer, *, start: int, delay: int
    ) -> None:
        """Mux a packet of video at a time. Muxers accept rising times only. `delay`: to when it is shown."""
        dts = max(start, self._last_video + 1)
        self._last_video = dts
        packet.stream = stream
        packet.time_base = _TICK
        packet.dts, packet.pts = dts, max(dts, start + delay)
        output.mux_one(packet)  # which changes its times
        if self._audio:
            self._audio.fill(dts)

    def _packets(self, container: InputContainer, streams: _Streams) -> Iterator[Packet[Stream]]:
        """Yield the packets. What cannot be read is skipped."""
        errors = 0
        while errors < _MAX_ERRORS_IN_A_ROW:
            try:
                for packet in container.demux(*streams):
                    errors = 0
                    self._source.count_packet()
                    yield packet
            except av.FFmpegError:
                errors += 1
                self._read_errors += 1
                if self._source.ended:
                    return
            else:
                return
        raise RemuxFailed(NOT_MEDIA, "the source can no longer be read")


def _chosen(container: InputContainer) -> _Streams:
    """Choose the best video, and the best audio of the same programme."""
    video = container.streams.best("video")
    audio = container.streams.best("audio", related=video)
    return _Streams(
        video if isinstance(video, VideoStream) else None, audio if isinstance(audio, AudioStream) else None
    )


def _known(streams: _Streams, container: str) -> bool:
    """Tell whether no further look is needed. Video is copied, whatever is known about it."""
    if streams.audio is None:
        return streams.video is not None and container in _LISTING_CONTAINERS
    return streams.audio.codec_context.sample_rate > 0


def _codec(stream: Stream | None) -> str:
    if stream is None:
        return ""
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"


def _ticks(value: int, time_base: Fraction) -> int:
    return value * time_base.numerator * TICKS // time_base.denominator
