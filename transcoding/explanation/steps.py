"""Runs of ffmpeg that a plan takes, with their exact commands."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypedDict

from transcoding.commands.audio import audio_command
from transcoding.commands.chunk import analysis_command, chunk_command
from transcoding.commands.command import FfmpegCommand
from transcoding.encoders import HardwareDevice
from transcoding.planning.plan import Chunk, EncodePlan
from transcoding.planning.tracks import AudioRendition

SOURCE = "{source}"
"""Stands for the worker's local copy of the source in a command; outputs and the progress pipe are named likewise."""
RENDER_NODE = "{render node}"
"""Stands for the device that a worker will have; where devices are numbered, the first one stands for all."""
STATISTICS = "{statistics}"
"""Stands for the path of the findings of an analysis."""
MARK = "{watermark}"
"""Stands for the path of the samples of a watermark's image."""
CANVASES = "{canvases}"
"""Stands for the path of the images of subtitles that are burned in."""
_BINARY = "ffmpeg"
_PROGRESS = "{progress}"


class _Stretch(TypedDict):
    first_segment: int
    segments: int
    mark: str
    canvases: str
    renditions: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One run of ffmpeg: which segments it makes, where they lie in the video (seconds), and the exact command."""

    kind: str
    ordinal: int
    first_segment: int
    segments: int
    start: float
    duration: float
    command: tuple[str, ...]


def planned_steps(
    plan: EncodePlan, *, threads: int = 0, max_pixels: int, offset: int = 0, limit: int | None = None
) -> Iterator[PlannedStep]:
    """List the runs of ffmpeg that the plan takes when nothing goes wrong; of an open-ended plan, none is known.

    Only those from `offset` on, `limit` of them, are written out: a command has two kilobytes, a film has thousands.
    """
    for run in islice(_runs(plan), offset, None if limit is None else offset + limit):
        yield _planned(plan, run, _command(plan, run, threads), max_pixels)


def planned_step(plan: EncodePlan, *, kind: str, ordinal: int, threads: int = 0, max_pixels: int) -> PlannedStep | None:
    """Write out one run of ffmpeg, the first of a kind with this ordinal. None: the plan has no such run."""
    run = next((run for run in _runs(plan) if (run.kind, run.span.ordinal) == (kind, ordinal)), None)
    return _planned(plan, run, _command(plan, run, threads), max_pixels) if run else None


def step_counts(plan: EncodePlan) -> dict[str, int]:
    """Count the runs that `planned_steps` lists, by their kinds."""
    return dict(Counter(run.kind for run in _runs(plan)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One run of ffmpeg, before its command is written out."""

    kind: str
    span: Chunk
    audio: AudioRendition | None = None
    group: Sequence[str] = ()


def _runs(plan: EncodePlan) -> Iterator[_Run]:
    if plan.open_ended:
        return
    for position, track in enumerate(plan.audio):
        whole = Chunk(ordinal=position, first_segment=0, segments=plan.total_segments)
        yield _Run(kind="audio", span=whole, audio=track)
    for run in plan.chunk_runs():
        if plan.encoding_of(run.group).two_pass:
            yield _Run(kind="analysis", span=run.chunk, group=run.group)
        yield _Run(kind="chunk", span=run.chunk, group=run.group)


def _command(plan: EncodePlan, run: _Run, threads: int) -> FfmpegCommand:
    if run.audio:
        return audio_command(plan, run.audio, SOURCE)
    stretch = _Stretch(
        first_segment=run.span.first_segment,
        segments=run.span.segments,
        renditions=run.group,
        mark=MARK,
        canvases=CANVASES,
    )
    if run.kind == "analysis":
        return analysis_command(plan, SOURCE, **stretch, threads=threads, statistics=STATISTICS)
    encoding = plan.encoding_of(run.group)
    device = HardwareDevice(family_index=0, render_node=RENDER_NODE) if encoding.encoder.hardware else None
    statistics = STATISTICS if encoding.two_pass else ""
    return chunk_command(plan, SOURCE, **stretch, device=device, threads=threads, statistics=statistics)


def _planned(plan: EncodePlan, run: _Run, command: FfmpegCommand, max_pixels: int) -> PlannedStep:
    span = run.span
    targets = {name: f"{{{name}}}" for name in command.targets}
    start, end = plan.grid.start(span.first_segment), plan.grid.start(span.first_segment + span.segments)
    return PlannedStep(
        kind=run.kind,
        ordinal=span.ordinal,
        first_segment=span.first_segment,
        segments=span.segments,
        start=float(start),
        duration=float(end - start),
        command=tuple(command.argv(_BINARY, targets, progress=_PROGRESS, max_pixels=max_pixels)),
    )
