"""Encode one chunk into all rungs, publish its segments while that runs, and decode a sample of them."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from execution.ffmpeg import RunReport, Sink
from jobs.steps import StepWork, step_complete
from transcoding.commands import chunk_command, decode_command
from transcoding.errors import InputRejected, VerificationFailed
from transcoding.plan import Chunk, EncodePlan, VideoRendition, resume_from
from transcoding.segments import Segment, VideoSegmenter
from workers.control import StepControl
from workers.publisher import Publisher
from workers.settling import settle
from workers.steps.encoding import plan_of, publisher_for
from workers.steps.working_copy import working_copy
from workers.tools import Tools

LATER_NICENESS = 5
"""Later chunks let the first one of a video on the same machine go first: somebody may wait to watch it."""


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Encode from the first unpublished segment on. Raises InputRejected when the source ends before it should."""
    _, plan = plan_of(work)
    names = [rendition.name for rendition in plan.renditions]
    chunk = Chunk(ordinal=work.claim.ordinal, **work.claim.payload)
    with (
        working_copy(work.video, plan.source, tools, control) as source,
        publisher_for(work, names, tools, control, first_segment=chunk.first_segment) as publisher,
    ):
        encoding = _ChunkEncoding(plan, chunk, publisher, control, first_unpublished=_first_unpublished(work, chunk))
        report = encoding.encode(source, tools) if work.claim.units_done < chunk.segments else None
        publisher.flush()
        for sample in encoding.samples.values():
            _prove_decodable(sample, tools, control)
    result = encoding.measured(report) if report else {"seconds": 0.0}
    settle(lambda: step_complete(claim=work.claim, result=result), control)


def _first_unpublished(work: StepWork, chunk: Chunk) -> int:
    return chunk.first_segment + work.claim.units_done


@dataclass(frozen=True, slots=True)
class _Sample:
    """One segment of one rung, kept to be decoded."""

    rendition: str
    init: bytes
    segment: Segment


class _ChunkEncoding:
    """One run of ffmpeg for one chunk: its segmenters, what is published, and what is kept as samples."""

    def __init__(
        self,
        plan: EncodePlan,
        chunk: Chunk,
        publisher: Publisher,
        control: StepControl,
        *,
        first_unpublished: int,
    ) -> None:
        self._plan = plan
        self._chunk = chunk
        self._publisher = publisher
        self._control = control
        self._first = resume_from(plan.grid, chunk, first_unpublished)
        self._first_unpublished = first_unpublished
        self._segments = chunk.first_segment + chunk.segments - self._first
        self._segmenters = {rendition.name: self._segmenter(rendition) for rendition in plan.renditions}
        self._sampled = sampled_renditions(plan, chunk)
        self.samples: dict[str, _Sample] = {}

    def _segmenter(self, rendition: VideoRendition) -> VideoSegmenter:
        return VideoSegmenter(self._plan, rendition, first_segment=self._first, segments=self._segments)

    def encode(self, source: Path, tools: Tools) -> RunReport:
        """Run ffmpeg to its end and see to it that nothing is missing."""
        command = chunk_command(
            self._plan,
            str(source),
            first_segment=self._first,
            segments=self._segments,
            threads=tools.config.execution.ffmpeg_threads,
        )
        report = tools.ffmpeg.run(
            command,
            {name: self._sink(name) for name in self._segmenters},
            stop=self._control,
            on_frames=self._advanced,
            on_look=self._publisher.poll,
            niceness=0 if self._chunk.ordinal == 0 else LATER_NICENESS,
        )
        self._refuse_short_source(report.frames)
        for segmenter in self._segmenters.values():
            segmenter.finish()
        return report

    def _advanced(self, frames: int) -> None:
        self._control.advanced(frames, self._plan.grid.frames_in(self._first, self._segments))

    def measured(self, report: RunReport) -> dict[str, object]:
        """What later plans learn from: how much work of which kind took how long."""
        frames = self._plan.grid.frames_in(self._first, self._segments)
        return {
            "seconds": round(report.seconds, 3),
            "pixels": frames * self._plan.frame_pixels,
            "encoder": self._plan.encoder.ffmpeg_name,
            "preset": self._plan.preset,
        }

    def _sink(self, name: str) -> Sink:
        segmenter = self._segmenters[name]

        def take(data: bytes) -> None:
            self._control.moved()
            for segment in segmenter.feed(data):
                self._take(name, segment, segmenter.init or b"")

        return take

    def _take(self, name: str, segment: Segment, init: bytes) -> None:
        if name in self._sampled and name not in self.samples:
            self.samples[name] = _Sample(name, init, segment)
        if segment.number >= self._first_unpublished:
            self._publisher.submit(name, segment, init)

    def _refuse_short_source(self, frames: int) -> None:
        """Ffmpeg says nothing when a source ends early: the packets were there, but no frames came out of them."""
        planned = self._plan.grid.frames_in(self._first, self._segments)
        if frames < planned:
            first = self._plan.grid.first_frame(self._first)
            raise InputRejected(f"the video cannot be decoded past frame {first + frames} of {self._plan.total_frames}")


def sampled_renditions(plan: EncodePlan, chunk: Chunk) -> set[str]:
    """Which rungs of a chunk are decoded: all of the first chunk, one in turn of the others.

    Decoding everything costs a fifth of its encoding.
    """
    names = [rendition.name for rendition in plan.renditions]
    return set(names) if chunk.ordinal == 0 else {names[chunk.ordinal % len(names)]}


def _prove_decodable(sample: _Sample, tools: Tools, control: StepControl) -> None:
    """Decode a segment by itself. Raises VerificationFailed unless all its frames come out without a complaint."""
    with tempfile.NamedTemporaryFile(dir=tools.scratch, prefix="sample-", suffix=".mp4") as file:
        file.write(sample.init + sample.segment.data)
        file.flush()
        report = tools.ffmpeg.run(decode_command(file.name), {"nothing": None}, stop=control)
    if report.frames != sample.segment.frames or report.stderr.strip():
        raise VerificationFailed(
            f"{sample.rendition}: segment {sample.segment.number} decodes to {report.frames} frames"
            f" of {sample.segment.frames}: {report.stderr.strip()[-200:]}"
        )
