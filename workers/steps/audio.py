"""Encode the whole sound track, and publish its segments while that runs."""

from execution.ffmpeg import RunReport
from jobs.steps import StepWork, step_complete
from transcoding.commands import audio_command
from transcoding.mp4_index import Mp4Index
from transcoding.plan import AUDIO, EncodePlan
from transcoding.segments import AudioSegmenter, Segment
from workers.control import StepControl
from workers.publisher import Publisher
from workers.settling import settle
from workers.steps.encoding import plan_of, publisher_for
from workers.steps.working_copy import SourceReader, WorkingCopy
from workers.tools import Tools


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Encode from the start, also on a retry, and publish from the first unpublished segment on.

    The encoder gives the same frames for the same sound every time, and is too fast for a seam in it to be worth it.
    """
    _, plan = plan_of(work)
    reader = SourceReader(work.video, tools, control)
    with publisher_for(work, [AUDIO], tools, control, first_segment=0) as publisher:
        encoding = _SoundEncoding(plan, publisher, control, first_unpublished=work.claim.units_done)
        report = reader.read(plan.source, Mp4Index.sound, lambda copy: encoding.encode(copy, tools))
        publisher.flush()
    result = {"seconds": round(report.seconds, 3), **reader.report}
    settle(lambda: step_complete(claim=work.claim, result=result), control)


class _SoundEncoding:
    """Runs of ffmpeg for the sound track, and which segment is the next to publish."""

    def __init__(self, plan: EncodePlan, publisher: Publisher, control: StepControl, *, first_unpublished: int) -> None:
        self._plan = plan
        self._publisher = publisher
        self._control = control
        self._next = first_unpublished

    def encode(self, copy: WorkingCopy, tools: Tools) -> RunReport:
        """Run ffmpeg to its end."""
        segmenter = AudioSegmenter(self._plan)

        def take(data: bytes) -> None:
            self._control.moved()
            for segment in segmenter.feed(data):
                self._take(segment, segmenter)
                self._control.advanced(segment.number + 1, self._plan.total_segments)

        report = tools.ffmpeg.run(
            audio_command(self._plan, str(copy.path)),
            {AUDIO: take},
            stop=self._control,
            on_look=self._publisher.poll,
            on_complaint=copy.complaint,
        )
        self._take(segmenter.finish(), segmenter)
        return report

    def _take(self, segment: Segment, segmenter: AudioSegmenter) -> None:
        if segment.number >= self._next:
            self._publisher.submit(AUDIO, segment, segmenter.init or b"")
            self._next = segment.number + 1
