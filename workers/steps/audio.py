"""Encode the whole sound track, and publish its segments while that runs."""

from collections.abc import Iterator, Sequence

from execution.ffmpeg import StopSignal
from execution.ffprobe import Ffprobe
from jobs.leasing.steps import StepWork, step_complete
from transcoding.commands.audio import audio_command, sound_needed_until
from transcoding.containers.mp4_index import Mp4Index, Span
from transcoding.containers.segments import AudioSegmenter, Segment
from transcoding.planning.plan import AUDIO, EncodePlan
from transcoding.probing.media import parse_packets
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.source.working_copy import WorkingCopy
from workers.steps.publisher import Publisher
from workers.steps.publishing import plan_of, publisher_for
from workers.tools import Tools

BEGINNINGS = (4, 16, 64)
"""How many segments the first runs of a long video go to.

Sound that lies in the file frame by frame takes thousands of requests, or the whole file: nobody should wait for that
to watch the first seconds. Each stretch is long enough to play until the next one is there.
"""


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Encode from the start, also on a retry, and publish from the first unpublished segment on.

    The encoder gives the same frames for the same sound every time, and is too fast for a seam in it to be worth it.
    """
    _, plan = plan_of(work)
    reader = tools.source_reader(work.video, control)
    with publisher_for(work, [AUDIO], tools, control, first_segment=0) as publisher:
        encoding = _SoundEncoding(plan, publisher, tools, control, first_unpublished=work.claim.units_done)
        reader.read(plan.source, Mp4Index.opening, encoding.encode)
        publisher.flush()
    result = {"seconds": round(encoding.seconds, 3), **reader.report}
    retry_write(lambda: step_complete(claim=work.claim, result=result), control)


class _SoundEncoding:
    """Runs of ffmpeg for the sound track, and which segment is the next to publish."""

    def __init__(
        self, plan: EncodePlan, publisher: Publisher, tools: Tools, control: StepControl, *, first_unpublished: int
    ) -> None:
        self._plan = plan
        self._publisher = publisher
        self._tools = tools
        self._control = control
        self._next = first_unpublished
        self.seconds = 0.0

    def encode(self, copy: WorkingCopy) -> None:
        """Run ffmpeg to the end of the sound, where that has to be fetched first after shorter runs."""
        if copy.index:
            for segments in self._beginnings():
                copy.fetch(beginning_of_sound(copy, self._plan, segments, self._tools.ffprobe, self._control))
                self._run(copy, segments)
                self._publisher.flush()
            copy.fetch(copy.index.sound())
        segmenter = self._run(copy)
        self._take(segmenter.finish(), segmenter)

    def _beginnings(self) -> Iterator[int]:
        return (segments for segments in BEGINNINGS if self._next < segments < self._plan.total_segments / 2)

    def _run(self, copy: WorkingCopy, segments: int | None = None) -> AudioSegmenter:
        """One run of ffmpeg for the first so many segments, or for all."""
        segmenter, total = AudioSegmenter(self._plan), self._plan.total_segments

        def take(data: bytes) -> None:
            self._control.moved()
            for segment in segmenter.feed(data):
                if segment.number < (segments or total):
                    self._take(segment, segmenter)
                    self._control.advanced(segment.number + 1, total)

        report = self._tools.ffmpeg.run(
            audio_command(self._plan, str(copy.path), segments=segments),
            {AUDIO: take},
            stop=self._control,
            on_poll=self._publisher.poll,
            on_stderr_line=copy.stderr_line,
        )
        self.seconds += report.seconds
        return segmenter

    def _take(self, segment: Segment, segmenter: AudioSegmenter) -> None:
        if segment.number >= self._next:
            self._publisher.submit(AUDIO, segment, segmenter.init or b"")
            self._next = segment.number + 1


def beginning_of_sound(
    copy: WorkingCopy, plan: EncodePlan, segments: int, ffprobe: Ffprobe, stop: StopSignal
) -> Sequence[Span]:
    """Which bytes a run for the first so many segments reads: where ffmpeg itself finds the packets of that time."""
    if plan.source.audio is None or copy.index is None:
        raise ValueError("no sound, or no index to find it by")
    lines = ffprobe.packets(
        copy.path, demuxer=plan.source.demuxer, stream=plan.source.audio.index, stop=stop, parsed=False
    )
    return copy.index.sound_until(sound_needed_until(plan, segments), parse_packets(lines))
