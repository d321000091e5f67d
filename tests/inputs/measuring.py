"""Measurements of outputs: everything is decoded and looked at, sample by sample."""

import math
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import av

from tests.ffmpeg.sources import COLUMNS, FFMPEG, number_in
from tests.inputs.case import Area, Rgb

AUDIO_RATE = 8000
"""Samples per second that audio is measured at."""
_CHANNELS = 2
_LOUD = 2000
_QUIET_SAMPLES = AUDIO_RATE // 20
_BRIGHT, _DARK = 150, 80
_PIXEL_FORMATS = {"yuv420p": 1, "yuvj420p": 1, "yuv420p10le": 2}
"""Formats of our outputs, and bytes per sample."""
_LUMA = {
    "bt709": (0.2126, 0.0722),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
    "bt2020nc": (0.2627, 0.0593),
}
"""Weights of red and blue in the luma of each matrix (ITU-T H.273)."""
_SAME = {2: "unknown", 1: "bt709", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m"}
_PRIMARIES = {**_SAME, 9: "bt2020", 12: "smpte432"}
_TRANSFERS = {**_SAME, 13: "iec61966-2-1", 14: "bt2020-10", 16: "smpte2084", 18: "arib-std-b67"}
_MATRICES = {**_SAME, 4: "fcc", 9: "bt2020nc"}
_RANGES = {0: "unknown", 1: "tv", 2: "pc"}
"""Names of H.273's numbers."""


class _Color(NamedTuple):
    primaries: str
    transfer: str
    matrix: str
    range: str

    def __str__(self) -> str:
        return "/".join(self)


@dataclass(frozen=True, kw_only=True)
class Header:
    """The first stream of a file, as FFmpeg's libraries read it, and the times of its packets in presentation order."""

    width: int
    height: int
    pixel_format: str
    aspect: Fraction
    """Of a pixel."""
    rotation: int
    """Degrees."""
    field_order: int
    """By FFmpeg's numbers: 0 is unknown, 1 is progressive."""
    color: _Color
    duration: Fraction
    """Seconds, as all times are."""
    times: Sequence[Fraction]
    keys: Sequence[Fraction]


def header(path: Path) -> Header:
    """Read the header and the packets of a joined rendition."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context, base = stream.codec_context, Fraction(stream.time_base or 0)
        packets = [packet for packet in container.demux(stream) if packet.size]
        shown = sorted(((packet.pts or 0) * base, packet.is_keyframe) for packet in packets if not packet.is_discard)
        container.seek(0)
        return Header(
            width=context.width,
            height=context.height,
            pixel_format=context.pix_fmt or "",
            aspect=Fraction(stream.sample_aspect_ratio or 1),
            rotation=next(container.decode(stream)).rotation,
            field_order=context.field_order,
            color=_Color(
                _PRIMARIES[context.color_primaries],
                _TRANSFERS[context.color_trc],
                _MATRICES[context.colorspace],
                _RANGES[context.color_range],
            ),
            duration=(stream.duration or 0) * base,
            times=[time for time, _ in shown],
            keys=[time for time, key in shown if key],
        )


def decode(video: Path | None, audio: Path | None, folder: Path) -> tuple[bytes, bytes, str]:
    """Decode a rendition and an audio rendition, both in one run: raw frames, samples, and what decoders report."""
    inputs: list[str] = []
    outputs: list[str] = []
    files: list[Path] = []
    for number, (path, options) in enumerate(
        (
            (video, ["-map", "{}:v:0", "-fps_mode", "passthrough", "-f", "rawvideo"]),
            (audio, ["-map", "{}:a:0", "-ar", str(AUDIO_RATE), "-ac", str(_CHANNELS), "-f", "s16le"]),
        )
    ):
        files.append(folder / f"decoded-{number}")
        if path is not None:
            outputs += [option.format(len(inputs) // 2) for option in options] + [f"file:{files[-1]}"]
            inputs += ["-i", f"file:{path}"]
    command = [FFMPEG, "-nostdin", "-hide_banner", "-v", "warning", "-y", *inputs, *outputs]
    done = subprocess.run(command, capture_output=True, check=False)
    frames, samples = (path.read_bytes() if path.exists() else b"" for path in files)
    for path in files:
        path.unlink(missing_ok=True)
    return frames, samples, done.stderr.decode("utf-8", "replace").strip()


@dataclass(frozen=True, kw_only=True)
class Video:
    """Decoded frames: planes of 4:2:0, one after another."""

    header: Header
    data: bytes

    @property
    def width(self) -> int:
        return self.header.width

    @property
    def height(self) -> int:
        return self.header.height

    @property
    def _sample_bytes(self) -> int:
        return _PIXEL_FORMATS[self.header.pixel_format]

    @cached_property
    def _samples(self) -> Sequence[int]:
        return memoryview(self.data).cast("B" if self._sample_bytes == 1 else "H")

    @property
    def _frame_samples(self) -> int:
        return self.width * self.height * 3 // 2

    @property
    def frames(self) -> int:
        return len(self._samples) // self._frame_samples

    def number(self, frame: int, area: Area) -> int:
        """Read the number of the card in an area of a frame. Raises ValueError when none can be read there."""
        levels = [self._luma(frame, *_at(area, (column + 0.5) / COLUMNS, 0.25)) for column in range(COLUMNS)]
        return number_in(bytes(min(255, round(level)) for level in levels))

    def rgb(self, frame: int, x: float, y: float) -> Rgb:
        """Work out the color at a point, given as shares of width and height, by the tags of the file."""
        column, row = min(int(x * self.width), self.width - 1), min(int(y * self.height), self.height - 1)
        start, pixels = frame * self._frame_samples, self.width * self.height
        chroma = row // 2 * (self.width // 2) + column // 2
        scale = 1 if self._sample_bytes == 1 else 4
        luma = self._samples[start + row * self.width + column] / scale
        blue = self._samples[start + pixels + chroma] / scale - 128
        red = self._samples[start + pixels * 5 // 4 + chroma] / scale - 128
        if self.header.color.range != "pc":
            luma, blue, red = (luma - 16) * 255 / 219, blue * 255 / 224, red * 255 / 224
        of_red, of_blue = _LUMA.get(self.header.color.matrix, _LUMA["smpte170m"])
        r, b = luma + 2 * (1 - of_red) * red, luma + 2 * (1 - of_blue) * blue
        g = (luma - of_red * r - of_blue * b) / (1 - of_red - of_blue)
        return (_byte(r), _byte(g), _byte(b))

    def frame_at(self, seconds: float) -> int:
        """Find the frame that is shown at a time."""
        return max(0, sum(time <= Fraction(seconds) for time in self.header.times) - 1)

    def brightness(self, frame: int) -> float:
        """Estimate the mean luma of a frame, from 0 to 255, from some of its rows."""
        start, scale = frame * self._frame_samples, 1 if self._sample_bytes == 1 else 4
        rows = range(self.height // 8, self.height, max(1, self.height // 8))
        picked = [self._samples[start + row * self.width : start + (row + 1) * self.width : 4] for row in rows]
        return sum(sum(row) for row in picked) / sum(len(row) for row in picked) / scale

    def flashes(self) -> Iterator[float]:
        """Yield the times of bright frames after dark ones."""
        dark = True
        for frame in range(self.frames):
            level = self.brightness(frame)
            if dark and level > _BRIGHT:
                yield float(self.header.times[frame])
            dark = level < _DARK if level < _DARK or level > _BRIGHT else dark

    def _luma(self, frame: int, x: float, y: float) -> float:
        """Return the mean luma of 3x3 pixels around a point, from 0 to 255 or more."""
        column, row = int(x * self.width), int(y * self.height)
        start, scale = frame * self._frame_samples, 1 if self._sample_bytes == 1 else 4
        rows = range(max(0, row - 1), min(self.height, row + 2))
        levels = [
            level
            for each in rows
            for level in self._samples[start + each * self.width + max(0, column - 1) :][: 3 if column else 2]
        ]
        return sum(levels) / len(levels) / scale


def _at(area: Area, x: float, y: float) -> tuple[float, float]:
    """Find a point of an area in its frame."""
    return area.left + x * (area.right - area.left), area.top + y * (area.bottom - area.top)


def _byte(level: float) -> int:
    return max(0, min(255, round(level)))


@dataclass(frozen=True, kw_only=True)
class Audio:
    """Decoded audio: two channels, one sample of each in turn."""

    data: bytes

    @cached_property
    def _samples(self) -> Sequence[int]:
        return memoryview(self.data).cast("h")

    @property
    def seconds(self) -> float:
        return len(self._samples) / _CHANNELS / AUDIO_RATE

    def beeps(self) -> Iterator[float]:
        """Yield the start of every stretch of loud samples that follows 0.05 s of quiet ones, in seconds."""
        last_loud = -AUDIO_RATE
        for position, sample in enumerate(self._channel(0)):
            if sample > _LOUD or sample < -_LOUD:
                if position - last_loud > _QUIET_SAMPLES:
                    yield position / AUDIO_RATE
                last_loud = position

    def level(self, start: float, end: float, channel: int) -> float:
        """Return the RMS level of a stretch in dBFS."""
        samples = self._stretch(start, end, channel)
        power = sum(sample * sample for sample in samples) / max(1, len(samples))
        return 10 * math.log10(max(power, 1e-3) / 32768**2)

    def share(self, start: float, end: float, channel: int, hertz: int) -> float:
        """Return the share of the power of a stretch that is at a frequency, from 0 to 1 (Goertzel's algorithm)."""
        samples = self._stretch(start, end, channel)
        factor, before, last = 2 * math.cos(2 * math.pi * hertz / AUDIO_RATE), 0.0, 0.0
        for sample in samples:
            before, last = last, sample + factor * last - before
        power = last * last + before * before - factor * last * before
        total = sum(sample * sample for sample in samples)
        return 2 * power / (total * len(samples)) if total else 0.0

    def _channel(self, channel: int) -> Sequence[int]:
        return self._samples[channel::_CHANNELS]

    def _stretch(self, start: float, end: float, channel: int) -> Sequence[int]:
        return self._channel(channel)[round(start * AUDIO_RATE) : round(end * AUDIO_RATE)]
