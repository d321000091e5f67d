"""A row of docs/inputs.md: a file that people upload, and what must come out of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

Maker = Callable[[Path], Path]
"""Makes the file in an empty folder, and returns its path."""

Rgb = tuple[int, int, int]

RATE, FRAMES, SIZE = "25", 25, (160, 90)
FIRST_BEEP, BEEP_EVERY = Fraction(1, 2), 1
"""Seconds: the card of `tests.inputs.making` beeps at 0.5, 1.5, 2.5 and so on."""


@dataclass(frozen=True, kw_only=True)
class Area:
    """A part of a frame, in shares of its width and height."""

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0


WHOLE = Area()


@dataclass(frozen=True, kw_only=True)
class Tone:
    """A stretch of the audio, in seconds, of one frequency; 0 Hz is silence.

    `channel` is 0 for the left one, 1 for the right one, None for both. `level` is its loudness in dBFS (RMS), within
    2 dB.
    """

    start: float
    end: float
    hertz: int = 0
    channel: int | None = None
    level: float | None = None


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The color of a point: seconds, shares of width and height from the left and the top, and R, G and B of 8 bits.

    It is worked out from the decoded samples by the tags of the output. For HDR outputs, it is not linear light.
    """

    rgb: Rgb
    at: float = 0.0
    x: float = 0.5
    y: float = 0.5
    within: int = 24


@dataclass(frozen=True, kw_only=True)
class Plays:
    """An input that is transcoded, and what is measured in its best rendition and its audio.

    For each of them it is also checked that every frame is one tick of the grid long, that the first starts at 0, that
    key frames lie on the grid, that decoders report nothing, that pixels are square and rotation is gone, that all
    chunks have one init segment, that audio is as long as video, and what the `finish` step checks.
    """

    video: bool = True
    """False: there is audio alone, on a grid of 25 positions per second; `frames` is their number."""
    frames: int = FRAMES
    rate: str = RATE
    size: tuple[int, int] = SIZE
    """Width and height of the best rendition."""
    card: Area | None = WHOLE
    """The area of the card, whose numbers and colors are read. None: the frames show no card."""
    numbers: Sequence[int] | None = None
    """The number on each frame, in order. None: from 0 on, without a gap."""
    colors: int = 24
    """Largest distance of the four colors of the card from red, green, blue and grey, in steps of 8 bits."""
    audio: int = 1
    """Number of audio renditions. What follows is measured in the default one."""
    beeps: Sequence[float] | None = None
    """Starts of the beeps in seconds. None: those of the card."""
    beeps_within: float = 0.02
    """Seconds."""
    tones: Sequence[Tone] = ()
    probes: Sequence[Probe] = ()
    flashes: Sequence[float] | None = None
    """Starts of bright frames after dark ones, in seconds. None: they are not looked for."""
    color: str = ""
    """Primaries, transfer, matrix and range of the output, such as "bt709/bt709/bt709/tv". Empty: not compared."""
    warnings: Sequence[str] = ()
    """All of them, in any order."""
    errors: int | None = None
    """Errors of decoders that a job counts. None: not compared."""
    media: Mapping[str, object] = field(default_factory=dict)
    """Some of the facts that `GET /videos/{id}` shows."""
    rungs: Sequence[str] | None = None
    """Names of the video renditions, best first. None: not compared."""

    @property
    def seconds(self) -> Fraction:
        return self.frames / Fraction(self.rate)

    @property
    def expected_numbers(self) -> Sequence[int]:
        return range(self.frames) if self.numbers is None else self.numbers

    @property
    def expected_beeps(self) -> Sequence[float]:
        """Starts of beeps in seconds; of the card, those that end before the video does."""
        if self.beeps is not None:
            return self.beeps
        count = int((self.seconds - FIRST_BEEP) / BEEP_EVERY) + 1 if self.card and self.seconds > FIRST_BEEP else 0
        return [float(FIRST_BEEP + BEEP_EVERY * number) for number in range(count)]


@dataclass(frozen=True, kw_only=True)
class Refused:
    """An input that is refused for good: the code, and the whole sentence that people see."""

    sentence: str
    code: str = "input_rejected"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One input. `what` says what it is, `why` the reason for the outcome; both are sentences of docs/inputs.md."""

    key: str
    what: str
    make: Maker
    outcome: Plays | Refused
    why: str
    request: Mapping[str, object] = field(default_factory=dict)
    """Fields of `JobRequest` that differ from its defaults: the whole ladder, in H.264."""
    preset: str = "ultrafast"
    """The preset of the encoder of the requested codec."""
