"""Chunk lengths: about so many seconds of work, at the speed at which they are expected to be encoded.

Work is counted in pixels: those of all rungs, and those of the source at what decoding costs. What a worker slot does
of them in a second hardly depends on the ladder or the frame rate, so what was measured on one video holds for others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

from transcoding.errors import PlanTooLarge
from transcoding.grid import FrameGrid

AUDIO_SPEED = 40
"""Seconds of audio that a worker slot encodes per second (measured on one core of two: 42)."""
_DECODED_PIXEL = Fraction(1, 10)
"""Work of decoding a pixel of H.264, where encoding one with x264's preset veryfast is 1 (measured at 720p)."""


class _Sized(Protocol):
    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Throughput of one worker slot: pixels per second of work, as measured on so many chunks; 0: only assumed."""

    pixels_per_second: int
    samples: int

    def __post_init__(self) -> None:
        if self.pixels_per_second <= 0:
            raise ValueError(f"a worker encodes something, got {self.pixels_per_second} pixels per second")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkLimits:
    """Limits of an installation for chunks: seconds of work aimed at, and lengths and number allowed."""

    work_seconds: int
    min_seconds: int
    max_seconds: int
    max_chunks: int


class SizedBy(StrEnum):
    """The limit that decided the length of a plan's chunks."""

    WORK = "work"
    SHORTEST = "shortest"
    LONGEST = "longest"
    NUMBER = "number"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSizing:
    """The length of chunks and its reason: with the codec that takes longest, they should be so much work.

    `speed` is seconds of video per second of work, from so many samples.
    """

    segments: int
    speed: float
    samples: int
    work_seconds: int
    sized_by: SizedBy


def frame_work(source: _Sized, rungs: Iterable[_Sized]) -> int:
    """Pixels of work in one frame: encoded once per rung, decoded once."""
    encoded = sum(rung.width * rung.height for rung in rungs)
    return encoded + int(source.width * source.height * _DECODED_PIXEL)


@dataclass(frozen=True, slots=True)
class Work:
    """Work that is expected of a job's steps, in seconds of one worker slot: of all, and of the longest one."""

    total_seconds: float
    step_seconds: float
    advice: str = "a faster preset or fewer pixels take less"

    @classmethod
    def of(cls, grid: FrameGrid, speeds: Sequence[float], segments: Iterable[int]) -> "Work":
        """Estimate the work of chunks with so many segments each, each of them encoded at all of these speeds."""
        longest, duration = max(segments) * float(grid.segment_seconds), float(grid.duration)
        return cls(sum(duration / speed for speed in speeds), min(longest, duration) / min(speeds))

    @classmethod
    def of_audio(cls, grid: FrameGrid, *, tracks: int) -> "Work":
        """Estimate the work of audio alone: a step for each track, from its beginning to its end."""
        each = float(grid.duration) / AUDIO_SPEED
        return cls(each * tracks, each, "a shorter file takes less")

    def refuse_beyond(self, *, step_seconds: int, total_seconds: int) -> None:
        """Raise PlanTooLarge for more work than an installation allows."""
        if self.total_seconds > total_seconds:
            raise PlanTooLarge(
                f"the job is expected to take {self.total_seconds:.0f} s of work; {total_seconds} s are allowed:"
                f" {self.advice}"
            )
        if self.step_seconds > step_seconds:
            raise PlanTooLarge(
                f"the shortest piece of the video is expected to take {self.step_seconds:.0f} s of work;"
                f" {step_seconds} s are allowed: {self.advice}"
            )


def size_chunks(
    grid: FrameGrid, frame_pixels: int, throughput: Throughput, limits: ChunkLimits, *, whole: bool = False
) -> ChunkSizing:
    """Choose a length in whole segments. Raises PlanTooLarge where even the longest chunks are too many.

    `whole`: frames can be decoded from the beginning only, so that each chunk would decode all those before it again.
    """
    segment_seconds = grid.segment_frames / grid.rate
    speed = throughput.pixels_per_second / (frame_pixels * grid.rate)

    def in_segments(seconds: Fraction) -> int:
        return max(1, round(seconds / segment_seconds))

    by_work = in_segments(limits.work_seconds * speed)
    shortest, longest = in_segments(Fraction(limits.min_seconds)), in_segments(Fraction(limits.max_seconds))
    by_number = -(-grid.total_segments // limits.max_chunks)
    if by_number > longest and not whole:
        raise PlanTooLarge(f"{-(-grid.total_segments // longest)} chunks; at most {limits.max_chunks} are allowed")
    bounds = ((by_work, SizedBy.WORK), (shortest, SizedBy.SHORTEST), (by_number, SizedBy.NUMBER))
    segments, sized_by = max(bounds, key=lambda bound: bound[0])
    if segments > longest:
        segments, sized_by = longest, SizedBy.LONGEST
    if whole:
        segments, sized_by = max(1, grid.total_segments), SizedBy.WHOLE
    return ChunkSizing(
        segments=segments,
        speed=float(f"{float(speed):.3g}"),  # never 0, however slow
        samples=throughput.samples,
        work_seconds=limits.work_seconds,
        sized_by=sized_by,
    )
