"""Verification of a finished rendition: its runs of segments must join to exactly what was planned."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256

from transcoding.containers.boxes import Track
from transcoding.containers.segments import check_rate
from transcoding.errors import VerificationFailed
from transcoding.manifests.hls.media import target_seconds
from transcoding.manifests.hls.rates import average_rate, peak_rate
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition

_AUDIO_SLACK_SAMPLES = 2048
"""Audio may be a frame of padding longer than priming and video together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRun:
    """One published run of segments: first segment, then per segment ticks, frames and bytes."""

    first_segment: int
    durations: Sequence[int]
    frames: Sequence[int]
    sizes: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionTotals:
    """Totals of a finished rendition: segments, frames, ticks, bytes; bits per second at the peak and overall."""

    segments: int
    frames: int
    ticks: int
    size: int
    peak_bandwidth: int
    """As HLS measures it (see `peak_rate`)."""
    average_bandwidth: int
    segment_bandwidth: int
    """The rate of the largest whole segment, which is what the plan promises."""


def join_runs(name: str, runs: Sequence[PublishedRun], *, timescale: int, full_segment_ticks: int) -> RenditionTotals:
    """Add up runs in order of their first segment. Raises VerificationFailed at a gap, an overlap or a ragged row."""
    expected = 0
    for run in runs:
        if run.first_segment != expected:
            raise VerificationFailed(f"{name}: segment {expected} is missing or doubled, next is {run.first_segment}")
        if not len(run.durations) == len(run.frames) == len(run.sizes) > 0:
            raise VerificationFailed(f"{name}: the run at segment {run.first_segment} is ragged")
        expected += len(run.durations)
    durations = [ticks for run in runs for ticks in run.durations]
    sizes = [size for run in runs for size in run.sizes]
    rates = [
        size * 8 * timescale // ticks
        for size, ticks in zip(sizes, durations, strict=True)
        if ticks >= min(full_segment_ticks, max(durations))
    ]
    target = target_seconds(Fraction(full_segment_ticks, timescale))
    return RenditionTotals(
        segments=expected,
        frames=sum(frames for run in runs for frames in run.frames),
        ticks=sum(durations),
        size=sum(sizes),
        peak_bandwidth=peak_rate(sizes, durations, timescale=timescale, target_seconds=target),
        average_bandwidth=average_rate(sizes, durations, timescale=timescale),
        segment_bandwidth=max(rates, default=0),
    )


def verify_rendition(plan: EncodePlan, name: str, runs: Sequence[PublishedRun]) -> RenditionTotals:
    """Verify that a rendition is whole: each segment once, no frame missing, as long as planned, within its promise.

    Raises VerificationFailed.
    """
    track = plan.audio_track(name)
    return _verify_audio(plan, track, runs) if track else _verify_video(plan, name, runs)


def _verify_video(plan: EncodePlan, name: str, runs: Sequence[PublishedRun]) -> RenditionTotals:
    grid = plan.grid
    full = grid.segment_frames * grid.frame_ticks
    totals = join_runs(name, runs, timescale=grid.timescale, full_segment_ticks=full)
    _hold(name, "segments", totals.segments, grid.total_segments)
    _hold(name, "frames", totals.frames, grid.frame_count)
    _hold(name, "ticks", totals.ticks, grid.frame_count * grid.frame_ticks)
    if not plan.open_ended:  # nobody can encode a live stream again: what it has is what playlists say from now on
        check_rate(next(rendition for rendition in plan.renditions if rendition.name == name), totals.segment_bandwidth)
    return totals


def _verify_audio(plan: EncodePlan, track: AudioRendition, runs: Sequence[PublishedRun]) -> RenditionTotals:
    grid, name, sample_rate = plan.grid, track.name, track.encoder.sample_rate
    full = int(grid.segment_frames / grid.rate * sample_rate)
    totals = join_runs(name, runs, timescale=sample_rate, full_segment_ticks=full)
    _hold(name, "segments", totals.segments, grid.total_segments)
    excess = totals.ticks - round(grid.duration * sample_rate)
    if not 0 <= excess <= _AUDIO_SLACK_SAMPLES:
        raise VerificationFailed(f"{name}: {totals.ticks} samples for {float(grid.duration):.3f} s")
    return totals


def verify_mp4(name: str, found: Sequence[Track], coded: Sequence[Track]) -> None:
    """Compare a progressive file's tracks with those that were encoded. Raises VerificationFailed at a difference."""
    if len(found) != len(coded):
        raise VerificationFailed(f"{name}: {len(found)} tracks in the file, {len(coded)} were coded")
    for track, expected in zip(found, coded, strict=True):
        if track != expected:
            raise VerificationFailed(f"{name}: the file has {track}, coded was {expected}")


def digest_of(digests: Iterable[str]) -> str:
    """Return one SHA-256 for several objects: of their SHA-256s in hexadecimal, in order, each on a line of its own."""
    return sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def _hold(name: str, what: str, found: int, planned: int) -> None:
    if found != planned:
        raise VerificationFailed(f"{name}: {found} {what} instead of {planned}")
