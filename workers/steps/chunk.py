"""Encode one chunk into all rungs, publish its segments while that runs, and decode a sample of them."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from execution.ffmpeg import RunReport, Sink
from execution.scratch import temporary_folder
from gpu.devices import Device
from gpu.trials import hardware_device
from jobs.leasing.steps import StepWork, step_complete
from jobs.rules.steps import DECODER_ERRORS
from transcoding.commands.chunk import analysis_command, chunk_command, read_until, seek_time
from transcoding.commands.diagnosis import DamageCount, gpu_failure, is_of_fonts, refused_frame_size
from transcoding.commands.remux import decode_command
from transcoding.containers.mp4_index import Mp4Index
from transcoding.containers.segments import Segment, VideoSegmenter
from transcoding.containers.spans import Span
from transcoding.errors import InputRejected, VerificationFailed
from transcoding.planning.plan import Chunk, EncodePlan
from transcoding.planning.tracks import VideoRendition
from transcoding.probing.streams import Resolution
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.node.devices import device_of
from workers.source.working_copy import WorkingCopy
from workers.steps.bitmaps import burned_bitmaps
from workers.steps.burn_in import burned_cues
from workers.steps.publisher import Publisher
from workers.steps.publishing import (
    UNWATCHED,
    chunk_niceness,
    chunk_run_of,
    make_way,
    plan_of,
    publisher_for,
)
from workers.steps.watermark import watermark_image
from workers.tools import Tools

FEW_CORES = 4
"""Cores that the first chunk of a ladder fills by itself. With more of them, later chunks start beside it at once."""

_STATISTICS = "pass"
"""Prefix of the files with the findings of an analysis, in the folder that both passes work in."""


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Encode from the first unpublished segment on. Raises InputRejected when the source ends before it should."""
    _, plan = plan_of(work)
    planned = chunk_run_of(work)
    chunk = Chunk(ordinal=planned.chunk.ordinal, **work.claim.payload)
    names = planned.group
    device = device_of(work.claim, node=tools.node)
    reader = tools.source_reader(work.video, control)
    waited_for = planned.of_first_codec and not chunk.first_segment
    if not waited_for and device is None and len(os.sched_getaffinity(0)) <= FEW_CORES:
        make_way(work, tools, control)
    with (
        burned_bitmaps(plan, work.video, tools, control) as canvases,
        publisher_for(work, names, tools, control, first_segment=chunk.first_segment) as publisher,
    ):
        encoding = ChunkEncoding(
            plan,
            chunk,
            names,
            publisher,
            control,
            device=device,
            first_unpublished=chunk.first_segment + work.claim.units_done,
            canvases=canvases,
        )
        if work.claim.units_done < chunk.segments:
            reader.read(plan.source, encoding.spans, lambda copy: encoding.encode(copy, tools))
        control.restart_time()  # only this attempt has the samples to verify
        publisher.flush()
        for sample in encoding.samples.values():
            _verify_decodable(sample, tools, control)
    result = {**encoding.measured, **reader.report, DECODER_ERRORS: encoding.damage.errors}
    retry_write(lambda: step_complete(claim=work.claim, result=result), control)


@dataclass(frozen=True, slots=True)
class _Sample:
    """One segment of one rung that will be decoded."""

    rendition: VideoRendition
    init: bytes
    segment: Segment


class ChunkEncoding:
    """Runs of ffmpeg for one chunk: the segments to publish, rung by rung, and the samples to decode.

    A second run continues where the first one was aborted: the segments of that so far are good.
    """

    def __init__(  # noqa: PLR0913 - one chunk's work, put together in one place
        self,
        plan: EncodePlan,
        chunk: Chunk,
        names: Sequence[str],
        publisher: Publisher,
        control: StepControl,
        *,
        device: Device | None,
        first_unpublished: int,
        canvases: str = "",
    ) -> None:
        self._plan = plan
        self._encoding = plan.encoding_of(names)
        self._chunk = chunk
        self._position = UNWATCHED if set(names) <= set(plan.later_names) else chunk.ordinal
        self._publisher = publisher
        self._control = control
        self._renditions = [rendition for rendition in plan.renditions if rendition.name in names]
        self._by_name = {rendition.name: rendition for rendition in self._renditions}
        self._device = device
        self._next = dict.fromkeys(names, first_unpublished)
        self._refused_size = ""
        self._mark = ""
        self._cues = burned_cues(plan, control)
        self._canvases = canvases
        self.damage = DamageCount()
        self._sampled = sampled_renditions(names, chunk)
        self.samples: dict[str, _Sample] = {}
        self.measured: Mapping[str, object] = {"seconds": 0.0}

    def spans(self, index: Mp4Index) -> Sequence[Span]:
        """Return the bytes of the source that the next run reads."""
        first, segments = self._left()
        return index.video(
            seek=seek_time(self._plan, first),
            until=read_until(self._plan, first, segments),
            shift=self._plan.source.sample_shift or 0,
        )

    def encode(self, copy: WorkingCopy, tools: Tools) -> None:
        """Encode what is left. Raises the refusal of a source whose frames become too large in mid-stream."""
        try:
            with watermark_image(self._plan, tools, self._control) as self._mark:
                self._encode_left(copy, tools)
        except (InputRejected, VerificationFailed) as error:
            if self._refused_size:
                text = f"the video's frames become {self._refused_size}, which is more than is allowed"
                raise copy.refusal(text) from error
            raise

    def _encode_left(self, copy: WorkingCopy, tools: Tools) -> None:
        """Encode what is left, after an analysis of it where the plan says so."""
        if not self._encoding.two_pass:
            self._encode(copy, tools)
            return
        with temporary_folder(tools.scratch, "analysis-") as folder:
            analysed = self._analyse(copy, tools, folder)
            self._control.restart_time()  # or the first segment would end it, and the next attempt analyse again
            self._encode(copy, tools, folder=folder, analysed=analysed)

    def _analyse(self, copy: WorkingCopy, tools: Tools, folder: Path) -> RunReport:
        """The first of two passes, half of the work, over what is left: its findings are of exactly those frames."""
        first, segments = self._left()
        frames = self._plan.grid.frames_in(first, segments)
        command = analysis_command(
            self._plan,
            str(copy.path),
            first_segment=first,
            segments=segments,
            renditions=list(self._by_name),
            threads=tools.config.execution.ffmpeg_threads,
            statistics=_STATISTICS,
            mark=self._mark,
            cues=self._cues,
            canvases=self._canvases,
        )
        report = tools.ffmpeg.run(
            command,
            dict.fromkeys(command.targets),
            stop=self._control,
            folder=folder,
            on_frames=lambda done: self._control.advanced(done, 2 * frames),
            on_poll=self._publisher.poll,
            niceness=lambda: chunk_niceness(self._position),
            on_stderr_line=lambda line: self._stderr_line(copy, line),
        )
        self._refuse_short_source(copy, report.frames, first, segments)
        return report

    def _encode(
        self, copy: WorkingCopy, tools: Tools, *, folder: Path | None = None, analysed: RunReport | None = None
    ) -> None:
        """Run ffmpeg to its end and see to it that nothing is missing."""
        first, segments = self._left()
        self.damage = DamageCount()  # of this run alone: what ran before it read the same frames
        frames = self._plan.grid.frames_in(first, segments)
        before = frames if analysed else 0
        command = chunk_command(
            self._plan,
            str(copy.path),
            first_segment=first,
            segments=segments,
            renditions=list(self._by_name),
            device=hardware_device(self._device) if self._device else None,
            threads=tools.config.execution.ffmpeg_threads,
            statistics=_STATISTICS if analysed else "",
            mark=self._mark,
            cues=self._cues,
            canvases=self._canvases,
        )
        segmenters = {
            rendition.name: VideoSegmenter(self._plan, rendition, first_segment=first, segments=segments)
            for rendition in self._renditions
        }
        report = tools.ffmpeg.run(
            command,
            {name: self._sink(name, segmenter) for name, segmenter in segmenters.items()},
            stop=self._control,
            folder=folder,
            on_frames=lambda done: self._control.advanced(before + done, before + frames),
            on_poll=self._publisher.poll,
            niceness=lambda: chunk_niceness(self._position),
            on_stderr_line=lambda line: self._stderr_line(copy, line),
        )
        self.measured = self._measure(report.seconds + (analysed.seconds if analysed else 0.0), frames)
        self._refuse_short_source(copy, report.frames, first, segments)
        for segmenter in segmenters.values():
            segmenter.finish()

    def _stderr_line(self, copy: WorkingCopy, line: str) -> None:
        """Take a line of ffmpeg's errors. Raises the failure of the device, or WholeNeeded, that it stands for.

        Once everything was published, errors are about frames that ffmpeg read ahead for nobody. A failure of the
        device counts first of all, as it would be the same with all of the source.
        """
        self._refused_size = refused_frame_size(line) or self._refused_size
        if is_of_fonts(line):
            return
        if min(self._next.values()) < self._chunk.first_segment + self._chunk.segments:
            if failure := gpu_failure(line, self._encoding.encoder):
                raise failure.error(line)
            copy.stderr_line(line)
            self.damage.take(line)

    def _measure(self, seconds: float, frames: int) -> dict[str, object]:
        """Return the measurements that later plans use: how much work of which kind took how long."""
        measured = {
            "seconds": round(seconds, 3),
            "pixels": frames * self._plan.frame_pixels(self._by_name),
            "encoder": self._encoding.encoder_name,
            "preset": self._encoding.preset,
        }
        return measured | ({"device_index": self._device.index} if self._device else {})

    def _left(self) -> tuple[int, int]:
        """With which segment the next run begins, and how many are left."""
        first = min(self._next.values())
        return first, self._chunk.first_segment + self._chunk.segments - first

    def _sink(self, name: str, segmenter: VideoSegmenter) -> Sink:
        def take(data: bytes) -> None:
            self._control.moved()
            for segment in segmenter.feed(data):
                self._take(name, segment, segmenter.init or b"")

        return take

    def _take(self, name: str, segment: Segment, init: bytes) -> None:
        if name in self._sampled and name not in self.samples:
            self.samples[name] = _Sample(self._by_name[name], init, segment)
        if segment.number >= self._next[name]:
            self._publisher.submit(name, segment, init)
            self._next[name] = segment.number + 1

    def _refuse_short_source(self, copy: WorkingCopy, frames: int, first: int, segments: int) -> None:
        """Ffmpeg says nothing when a source ends early: the packets were there, but no frames came out of them."""
        if frames < self._plan.grid.frames_in(first, segments):
            last = self._plan.grid.first_frame(first) + frames
            raise copy.refusal(f"the video cannot be decoded past frame {last} of {self._plan.total_frames}")


def sampled_renditions(names: Sequence[str], chunk: Chunk) -> set[str]:
    """Choose the rungs of a chunk that are decoded: all of the first chunk, one in turn of the others.

    Decoding everything costs a fifth of its encoding.
    """
    return set(names) if chunk.ordinal == 0 else {names[chunk.ordinal % len(names)]}


def _verify_decodable(sample: _Sample, tools: Tools, control: StepControl) -> None:
    """Decode a segment by itself. Raises VerificationFailed unless all its frames come out without an error."""
    with tempfile.NamedTemporaryFile(dir=tools.scratch, prefix="sample-", suffix=".mp4") as file:
        file.write(sample.init + sample.segment.data)
        file.flush()
        size = Resolution(width=sample.rendition.width, height=sample.rendition.height)
        report = tools.ffmpeg.run(decode_command(file.name, size), {"nothing": None}, stop=control)
    if report.frames != sample.segment.frames or report.stderr.strip():
        raise VerificationFailed(
            f"{sample.rendition.name}: segment {sample.segment.number} decodes to {report.frames} frames"
            f" of {sample.segment.frames}: {report.stderr.strip()[-200:]}"
        )
