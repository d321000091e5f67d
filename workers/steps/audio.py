"""Encode the whole sound track, and publish its segments while that runs."""

from jobs.steps import StepWork, step_complete
from transcoding.commands import audio_command
from transcoding.plan import AUDIO
from transcoding.segments import AudioSegmenter, Segment
from workers.control import StepControl
from workers.settling import settle
from workers.steps.encoding import plan_of, publisher_for
from workers.steps.working_copy import working_copy
from workers.tools import Tools


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Encode from the start, also on a retry, and publish from the first unpublished segment on.

    The encoder gives the same frames for the same sound every time, and is too fast for a seam in it to be worth it.
    """
    _, plan = plan_of(work)
    segmenter = AudioSegmenter(plan)
    with (
        working_copy(work.video, plan.source, tools, control) as source,
        publisher_for(work, [AUDIO], tools, control, first_segment=0) as publisher,
    ):

        def publish(segment: Segment) -> None:
            if segment.number >= work.claim.units_done:
                publisher.submit(AUDIO, segment, segmenter.init or b"")

        def take(data: bytes) -> None:
            control.moved()
            for segment in segmenter.feed(data):
                publish(segment)
                control.advanced(segment.number + 1, plan.total_segments)

        report = tools.ffmpeg.run(audio_command(plan, str(source)), {AUDIO: take}, stop=control, on_look=publisher.poll)
        publish(segmenter.finish())
        publisher.flush()
    result = {"seconds": round(report.seconds, 3)}
    settle(lambda: step_complete(claim=work.claim, result=result), control)
