"""Live streams for tests, as MPEG-TS in memory, and measures of what came out of them.

The video flashes and the audio beeps at every full second but the first. Damage is done to finished packets: what a
receiver, a network or a change of programmes does to them, without encoding again.
"""

import io
import math
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import av
import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
PACKET = 188
CLOCK = 90_000
"""Ticks a second of the clock of MPEG-TS."""
WRAP_SECONDS = (1 << 33) / CLOCK
TONES = {"left": 440, "right": 1000}
"""Hertz of the continuous tones in the front channels."""
TONE_DB = -12.04
"""Of full scale: an amplitude of a quarter."""

_VIDEO_PID, _AUDIO_PID = 0x100, 0x101
_BEEP = "0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.06)*gte(t,0.5)"
_FLASH = "drawbox=t=fill:color=white:enable='lt(mod(t,1),0.2)*gte(t,0.5)'"
_LIGHT = 128
_LOUD = 0.05
_QUIET_SECONDS = 0.2
_LAYOUTS = {"stereo": 2, "5.1": 6}
_VIDEO = {
    "h264": ("-c:v", "libx264", "-preset", "ultrafast", "-g", "{gop}", "-bf", "2", "-crf", "23"),
    "hevc": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint={gop}"),
    "mpeg2": ("-c:v", "mpeg2video", "-g", "12", "-bf", "2", "-b:v", "1500k"),
    "interlaced": (
        *("-vf", "tinterlace=interleave_top,setfield=tff"),
        *("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-g", "12", "-b:v", "2500k"),
    ),
}
_AUDIO = {
    "mp2": ("-c:a", "mp2", "-b:a", "192k"),
    "ac3": ("-c:a", "ac3", "-b:a", "384k"),
    "eac3": ("-c:a", "eac3", "-b:a", "256k"),
    "aac": ("-c:a", "aac", "-b:a", "128k"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A stream to make: its length and its codecs. `video` or `audio` is empty where it has none."""

    seconds: float = 6
    video: str = "h264"
    audio: str = "mp2"
    layout: str = "stereo"
    tones: bool = False
    """Continuous tones of `TONES` in front left and right, instead of beeps."""
    size: str = "256x144"
    rate: int = 25
    gop: int = 25
    noise: int = 0
    """Strength of noise in the frames, which costs bits as a real one does; at most 50."""
    aspect: str = ""
    """Shape of the frame, such as 16:9; empty: square pixels."""
    first: float = 10
    """Clock of the first frame, in seconds."""
    container: str = "mpegts"


@cache
def stream_of(live: Live) -> bytes:
    """Encode a stream. Those of equal descriptions are encoded once."""
    inputs: list[str] = []
    chosen: list[str] = []
    if live.video:
        fields = 2 if live.video == "interlaced" else 1
        drawn = f"color=black:size={live.size}:rate={live.rate * fields}:duration={live.seconds},{_FLASH}"
        drawn += f",noise=alls={live.noise}:allf=t" if live.noise else ""
        inputs += ["-f", "lavfi", "-i", drawn]
        chosen += [word.format(gop=live.gop) for word in _VIDEO[live.video]]
        chosen += ["-pix_fmt", "yuv420p", *(["-aspect", live.aspect] if live.aspect else [])]
    if live.audio:
        inputs += ["-f", "lavfi", "-i", _audio(live)]
        chosen += _AUDIO[live.audio]
    muxer = {"mpegts": ["-mpegts_copyts", "1", "-pat_period", "0.2"], "mp4": ["-movflags", "frag_keyframe+empty_moov"]}
    clock = ["-output_ts_offset", str(live.first)] if live.container == "mpegts" else []
    done = subprocess.run(
        [
            *(FFMPEG, "-hide_banner", "-v", "error", "-nostdin", *inputs, *chosen, *clock),
            *("-muxdelay", "0", "-muxpreload", "0", "-threads", "1"),
            *(*muxer.get(live.container, []), "-f", live.container, "pipe:1"),
        ],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return done.stdout


def _audio(live: Live) -> str:
    channels = _LAYOUTS[live.layout]
    expressions = [_BEEP, _BEEP] + ["0"] * (channels - 2)
    if live.tones:
        expressions[:2] = [f"0.25*sin(2*PI*{hertz}*t)" for hertz in TONES.values()]
    joined = "|".join(expressions)
    return f"aevalsrc='{joined}':channel_layout={live.layout}:sample_rate=48000:duration={live.seconds}"


# Damage to streams on their way


def packets(stream: bytes) -> Iterator[bytes]:
    """Yield the packets of 188 bytes."""
    for position in range(0, len(stream) - PACKET + 1, PACKET):
        yield stream[position : position + PACKET]


def between(stream: bytes, start: float, end: float = math.inf) -> bytes:
    """Return the packets that arrive from `start` to `end`, in seconds since the first PCR."""
    inside = bytearray()
    first: int | None = None
    now = 0.0
    for packet in packets(stream):
        pcr = _pcr(packet)
        if pcr is not None:
            first = pcr if first is None else first
            now = (pcr - first) % (1 << 33) / CLOCK
        if start <= now < end:
            inside += packet
    return bytes(inside)


def without_audio(stream: bytes, start: float, end: float) -> bytes:
    """Drop the packets of audio that arrive from `start` to `end`, as if its encoder had paused."""
    middle = b"".join(packet for packet in packets(between(stream, start, end)) if _pid(packet) != _AUDIO_PID)
    return between(stream, 0, start) + middle + between(stream, end)


def with_gap(stream: bytes, start: float, seconds: float) -> bytes:
    """Drop everything that arrives within so many seconds."""
    return between(stream, 0, start) + between(stream, start + seconds)


def with_jump(stream: bytes, at: float, seconds: float) -> bytes:
    """Have the clock jump by so many seconds, forwards or backwards, and lose nothing."""
    return between(stream, 0, at) + shifted(between(stream, at), seconds)


def wrapping(stream: bytes, at: float, first: float = 10) -> bytes:
    """Have the clock of 33 bits begin again so many seconds after the first frame, which has the clock `first`."""
    return shifted(stream, WRAP_SECONDS - first - at)


def with_losses(stream: bytes, share: float, *, seed: int = 1) -> bytes:
    """Drop a share of the packets at random: always the same ones."""
    chance = random.Random(seed)  # noqa: S311 - test material
    return b"".join(packet for packet in packets(stream) if chance.random() >= share)


def joined(*parts: Live) -> bytes:
    """Return streams one after another, on one clock: a change of programmes."""
    stream, first = b"", parts[0].first
    for part in parts:
        stream += shifted(stream_of(part), first - part.first)
        first += part.seconds
    return stream


def shifted(stream: bytes, seconds: float) -> bytes:
    """Add so many seconds to every clock of the stream: PCR, PTS and DTS, of 33 bits."""
    ticks = round(seconds * CLOCK)
    return b"".join(_shifted(packet, ticks) for packet in packets(stream))


def _shifted(packet: bytes, ticks: int) -> bytes:
    changed = bytearray(packet)
    pcr = _pcr(packet)
    if pcr is not None:
        base = (pcr + ticks) % (1 << 33)
        changed[6:10] = (base >> 1).to_bytes(4, "big")
        changed[10] = (changed[10] & 0x7F) | (base & 1) << 7
    start = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    if packet[1] & 0x40 and packet[3] & 0x10 and packet[start : start + 3] == b"\0\0\1":
        for flag, position in ((0x80, start + 9), (0x40, start + 14)):
            if packet[start + 7] & flag:
                changed[position : position + 5] = _stamp(packet[position : position + 5], ticks)
    return bytes(changed)


def _stamp(field: bytes, ticks: int) -> bytes:
    """Return a time stamp of a PES header, so many ticks later."""
    time = (field[0] >> 1 & 7) << 30 | field[1] << 22 | field[2] >> 1 << 15 | field[3] << 7 | field[4] >> 1
    time = (time + ticks) % (1 << 33)
    marked = (field[0] & 0xF1 | time >> 30 << 1, time >> 22 & 0xFF, time >> 14 & 0xFE | 1, time >> 7 & 0xFF)
    return bytes((*marked, time << 1 & 0xFE | 1))


def _pid(packet: bytes) -> int:
    return int.from_bytes(packet[1:3], "big") & 0x1FFF


def _pcr(packet: bytes) -> int | None:
    """Return the clock of a packet, in 1/90000 s; None: it has none."""
    if not packet[3] & 0x20 or not packet[4] or not packet[5] & 0x10:
        return None
    return int.from_bytes(packet[6:10], "big") << 1 | packet[10] >> 7


# Measures


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Flashes and beeps as a player would show them. Times are in seconds on the stream's clock."""

    flashes: tuple[float, ...]
    beeps: tuple[float, ...]
    frames: int
    samples: int
    sample_rate: int
    video_times: tuple[float, float]
    """Of the first and the last frame."""
    audio_times: tuple[float, float]

    def offsets(self) -> list[float]:
        """Return seconds from each flash to the beep next to it; a flash or a beep alone counts for nothing."""
        near = [(beep - flash, flash) for flash in self.flashes for beep in self.beeps if abs(beep - flash) < 0.4]
        return [offset for offset, _ in near]


def measured(stream: bytes) -> Measured:
    """Decode a stream to its end. Damaged frames are left out."""
    flashes: list[float] = []
    beeps: list[float] = []
    video: list[float] = []
    audio: list[float] = []
    samples, rate, dark, loud_at = 0, 0, True, -math.inf
    with av.open(io.BytesIO(stream), mode="r") as container:
        for frame in _frames(container):
            if isinstance(frame, av.VideoFrame):
                video.append(float(frame.time or 0))
                light = _light(frame)
                if light and dark:
                    flashes.append(video[-1])
                dark = not light
                continue
            audio.append(float(frame.time or 0))
            samples, rate = samples + frame.samples, frame.sample_rate
            for number, level in enumerate(_levels(frame)):
                if abs(level) > _LOUD:
                    time = audio[-1] + number / rate
                    if time - loud_at > _QUIET_SECONDS:
                        beeps.append(time)
                    loud_at = time
    return Measured(
        flashes=tuple(flashes),
        beeps=tuple(beeps),
        frames=len(video),
        samples=samples,
        sample_rate=rate,
        video_times=(min(video, default=0), max(video, default=0)),
        audio_times=(min(audio, default=0), max(audio, default=0)),
    )


def _frames(container: "av.container.InputContainer") -> Iterator["av.VideoFrame | av.AudioFrame"]:
    for packet in container.demux([*container.streams.video[:1], *container.streams.audio[:1]]):
        try:
            found = packet.decode()
        except av.FFmpegError:
            continue
        for frame in found:
            if isinstance(frame, av.VideoFrame | av.AudioFrame):
                yield frame


def _light(frame: "av.VideoFrame") -> bool:
    plane = frame.planes[0]
    middle = plane.line_size * (frame.height // 2) + frame.width // 2
    return memoryview(plane)[middle] >= _LIGHT


def _levels(frame: "av.AudioFrame", channel: int = 0) -> list[float]:
    """Return the samples of a channel, from -1 to 1."""
    code, full = {"fltp": ("f", 1.0), "s16p": ("h", 32768.0)}[frame.format.name]
    samples = memoryview(frame.planes[channel]).cast("B").cast(code)[: frame.samples]  # type: ignore[call-overload]
    return [sample / full for sample in samples]


def tone_levels(stream: bytes, *, start: float = 1, seconds: float = 1) -> list[dict[int, float]]:
    """Return per channel the level of each tone of `TONES`, in dB of full scale, within a part of the stream."""
    channels: list[list[float]] = []
    rate = 0
    with av.open(io.BytesIO(stream), mode="r") as container:
        for frame in _frames(container):
            if isinstance(frame, av.AudioFrame):
                rate = frame.sample_rate
                channels = channels or [[] for _ in frame.planes]
                for number, samples in enumerate(channels):
                    samples.extend(_levels(frame, number))
    part = slice(int(start * rate), int((start + seconds) * rate))
    return [{hertz: _level(samples[part], hertz / rate) for hertz in TONES.values()} for samples in channels]


def _level(samples: list[float], frequency: float) -> float:
    """Return the level of one frequency, in cycles per sample, by Goertzel's algorithm."""
    factor, last, before = 2 * math.cos(2 * math.pi * frequency), 0.0, 0.0
    for sample in samples:
        last, before = sample + factor * last - before, last
    power = last * last + before * before - factor * last * before
    return 20 * math.log10(max(2 * math.sqrt(max(power, 0)) / len(samples), 1e-9))
