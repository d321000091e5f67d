"""The timeline of outputs: where it begins and ends when audio and video do not begin and end together."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

USUAL_PADDING_SECONDS = Fraction(1, 10)
"""Audio that begins or ends later than the video by up to this is usual: two frames of HE-AAC at 44.1 kHz, with which
encoders fill up what they were given, are 93 ms."""
_ROUNDING = Fraction(1, 10)
"""Share of a frame that does not make another one: containers round times to 1 ms."""
_LEAST_FILLED = Fraction(1, 10)
"""Share of the time that audio adds to the video, below which its times are not believed: a single packet with a wrong
one would add hours."""


class Timeline(StrEnum):
    """The length of outputs, where audio and video differ."""

    UNION = "union"
    """From where either begins to where both have ended."""
    VIDEO = "video"
    """As long as the video; the audio is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSpan:
    """The time that an audio track fills on the clock of its working copy, in seconds."""

    start: Fraction
    """The first sample that is heard: behind the priming, where the container tells it apart."""
    end: Fraction
    """The end of the last sample, without the padding that the container tells apart."""
    filled: Fraction
    """Sum of the lengths of the packets."""
    delay: Fraction
    """Seconds after the start in which there may be nothing but priming, where the container does not tell it apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSpan:
    """The time that the frames of the source fill on the same clock: from the first one on, on the grid of `rate`."""

    first: Fraction
    rate: Fraction
    frames: int

    @property
    def end(self) -> Fraction:
        """Return the end of the last frame, in seconds."""
        return self.first + self.frames / self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Frames on the grid for which the first frame is shown before its time, and the last one after its own."""

    before: int = 0
    after: int = 0

    @property
    def frames(self) -> int:
        """All of them."""
        return self.before + self.after


NO_HOLD = Hold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A part of a video: its start on the clock of outputs of all of it, and its length, in seconds.

    Of video both are whole frames of the grid.
    """

    start: Fraction
    length: Fraction

    def frames(self, rate: Fraction) -> int:
        """Return its length in frames; of audio alone the last one may be longer than what is there."""
        return math.ceil(self.length * rate)


def hold_for(video: VideoSpan, audio: Iterable[AudioSpan | None]) -> Hold:
    """Return for how long the first and the last frame must stay so that none of these audio tracks is cut.

    Audio that begins a frame early or less changes nothing, and neither does what ends `USUAL_PADDING_SECONDS` late.
    Whole frames: more than a frame of silence is not added.
    """
    spans = [span for span in audio if span and _is_believed(video, span)]
    return Hold(
        before=max((_frames_before(video, span) for span in spans), default=0),
        after=max((_frames_after(video, span) for span in spans), default=0),
    )


def seconds_outside(video: VideoSpan, audio: Sequence[AudioSpan | None]) -> Fraction:
    """Return how many seconds of these tracks lie before and after the video; 0 where it is no more than usual."""
    spans = [span for span in audio if span]
    before = [video.first - span.start for span in spans if _frames_before(video, span)]
    after = [span.end - video.end for span in spans if _frames_after(video, span)]
    return max(before, default=Fraction(0)) + max(after, default=Fraction(0))


def seconds_late(video: VideoSpan, span: AudioSpan | None) -> Fraction:
    """Return by how many seconds a track begins later than the video; 0 where it is no more than usual."""
    late = span.start - video.first if span else Fraction(0)
    return late if late > USUAL_PADDING_SECONDS else Fraction(0)


def _frames_before(video: VideoSpan, span: AudioSpan) -> int:
    early = video.first - span.start
    return math.ceil(early * video.rate - _ROUNDING) if early - span.delay > 1 / video.rate else 0


def _frames_after(video: VideoSpan, span: AudioSpan) -> int:
    late = span.end - video.end
    return math.ceil(late * video.rate - _ROUNDING) if late > max(1 / video.rate, USUAL_PADDING_SECONDS) else 0


def _is_believed(video: VideoSpan, span: AudioSpan) -> bool:
    added = max(video.first - span.start, Fraction(0)) + max(span.end - video.end, Fraction(0))
    return span.filled >= added * _LEAST_FILLED
