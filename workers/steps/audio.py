"""Encode an audio track as a whole, and publish its segments while that runs."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

from execution.scratch import temporary_folder
from jobs.leasing.steps import StepWork, step_complete
from jobs.rules.steps import DECODER_ERRORS
from transcoding.commands.audio import audio_command, audio_needed_until, audio_seek_time
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.diagnosis import DamageCount
from transcoding.commands.loudness import NOTHING_TARGET, parse_summary
from transcoding.commands.steady_audio import STEADY_TARGET, of_steady_audio, steady_audio_command
from transcoding.containers.mp4_index import Mp4Index
from transcoding.containers.segments import AudioSegmenter, Segment
from transcoding.containers.spans import Span, covers
from transcoding.errors import VerificationFailed
from transcoding.loudness import UNCHANGED
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition
from transcoding.probing.streams import Loudness
from transcoding.probing.timing import parse_packets
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.source.working_copy import WholeNeeded, WorkingCopy
from workers.steps.normalizing import correction_for
from workers.steps.publisher import Publisher
from workers.steps.publishing import AUDIO_NICENESS, make_way, plan_of, publisher_for
from workers.tools import Tools

log = logging.getLogger(__name__)

BEGINNINGS = (2, 8, 32, 128)
"""Segments at which the first runs for a long video end.

Audio that is interleaved frame by frame takes thousands of requests, or the whole file: nobody should wait for that to
watch the first seconds. Each stretch is long enough to play until the next one is published.
"""
SPARE_SHARE = 64
"""Share of the source, as a divisor, that may be fetched along with the beginnings to save requests."""
FIRST_SEGMENTS = 1
"""Segments that are made at full priority: the first of the video takes longer than the others at a lower one."""


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Encode from the start, also on a retry, and publish from the first unpublished segment on.

    The encoder gives the same frames for the same audio every time, and is too fast for a seam in it to be worth it.
    """
    _, plan = plan_of(work)
    track = plan.audio[work.claim.ordinal]
    reader = tools.source_reader(work.video, control)
    with publisher_for(work, [track.name], tools, control, first_segment=0) as publisher:
        encoding = AudioEncoding(
            plan,
            track,
            publisher,
            tools,
            control,
            first_unpublished=work.claim.units_done,
            make_way=lambda: make_way(work, tools, control),
        )
        reader.read(plan.source, Mp4Index.opening, encoding.encode)
        publisher.flush()
    result = {"seconds": round(encoding.seconds, 3), **reader.report, DECODER_ERRORS: encoding.damage.errors}
    retry_write(lambda: step_complete(claim=work.claim, result=result), control)


class AudioEncoding:
    """Runs of ffmpeg for one audio track, and the next segment to publish."""

    def __init__(  # noqa: PLR0913 - one track's work, put together in one place
        self,
        plan: EncodePlan,
        track: AudioRendition,
        publisher: Publisher,
        tools: Tools,
        control: StepControl,
        *,
        first_unpublished: int,
        make_way: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._track = track
        self._publisher = publisher
        self._tools = tools
        self._control = control
        self._next = first_unpublished
        self._make_way = make_way
        self._correction = UNCHANGED
        self._changes = any(each.changes for each in plan.source.audio if each.index == track.stream)
        self.seconds = 0.0
        self.damage = DamageCount()

    def encode(self, copy: WorkingCopy) -> None:
        """Encode what is left of the track; where its rate or layout changes in mid-stream, from steady samples."""
        if not self._changes:
            try:
                self._encode(copy)
            except VerificationFailed as error:
                log.info("the audio may change", extra={"event": "audio_not_steady", "reason": str(error)})
            else:
                return
        self._encode_steady(copy)

    def _encode_steady(self, copy: WorkingCopy) -> None:
        if copy.index:
            copy.fetch(self._all_of_it(copy))
        self.damage = DamageCount()
        with temporary_folder(self._tools.scratch, "audio-") as folder:
            path = folder / "steady.mkv"
            report = self._tools.ffmpeg.run(
                steady_audio_command(self._plan, self._track, str(copy.path)),
                {STEADY_TARGET: path},
                stop=self._control,
                on_frames=lambda _: self._control.moved(),
                niceness=lambda: AUDIO_NICENESS,
                on_stderr_line=lambda line: self._stderr_line(copy, line),
            )
            self.seconds += report.seconds
            plan, track = of_steady_audio(self._plan, self._track)
            correction = correction_for(plan, track, str(path), self._measure)
            segmenter = self._run(audio_command(plan, track, str(path), correction=correction))
        self._take(segmenter.finish(), segmenter)

    def _encode(self, copy: WorkingCopy) -> None:
        """Run ffmpeg to the end of the track, after shorter runs for its beginnings: one, or several to be fetched.

        Where the loudness is to be changed, all of it is measured before any of it is encoded.
        """
        if self._track.normalized:
            if copy.index:
                copy.fetch(self._all_of_it(copy))
            measure = partial(self._measure, on_stderr_line=copy.stderr_line)
            self._correction = correction_for(self._plan, self._track, str(copy.path), measure)
        for number, segments in enumerate(self._beginnings() if copy.index else islice(self._beginnings(), 1)):
            if copy.index:
                copy.fetch(self._beginning(copy, segments))
            self._run_from_start(copy, segments)
            self._publisher.flush()
            if number == 0:
                self._make_way()
        if copy.index:
            copy.fetch(self._all_of_it(copy))
        segmenter = self._run_from_start(copy)
        self._take(segmenter.finish(), segmenter)

    def _run_from_start(self, copy: WorkingCopy, segments: int | None = None) -> AudioSegmenter:
        self.damage = DamageCount()
        command = audio_command(self._plan, self._track, str(copy.path), segments=segments, correction=self._correction)
        return self._run(command, lambda line: self._stderr_line(copy, line), segments)

    def _beginnings(self) -> Iterator[int]:
        return (segments for segments in BEGINNINGS if self._next < segments < self._plan.total_segments / 2)

    def _beginning(self, copy: WorkingCopy, segments: int) -> Sequence[Span]:
        return beginning_of_audio(copy, self._plan, self._track, segments, self._packets(copy))

    def _all_of_it(self, copy: WorkingCopy) -> Sequence[Span]:
        """Return the bytes of the track. Inspection compares only the first track with ffmpeg's packets."""
        if copy.index is None:
            return ()
        if self._plan.cut:
            return self._beginning(copy, self._plan.total_segments)
        spans = copy.index.audio(self._track.stream)
        first = self._plan.source.audio[0].index == self._track.stream
        if not first and not covers(spans, parse_packets(self._packets(copy))):
            raise WholeNeeded("ffmpeg reads the index of this track in another way")
        return spans

    def _packets(self, copy: WorkingCopy) -> Iterator[str]:
        return self._tools.ffprobe.packets(
            copy.path,
            demuxer=self._plan.source.demuxer,
            stream=self._track.stream,
            stop=self._control,
            parsed=False,
        )

    def _run(
        self,
        command: FfmpegCommand,
        on_stderr_line: Callable[[str], None] = lambda _: None,
        segments: int | None = None,
    ) -> AudioSegmenter:
        """Run ffmpeg once, for the first `segments`, or for all."""
        segmenter, total = AudioSegmenter(self._plan, self._track), self._plan.total_segments

        def take(data: bytes) -> None:
            self._control.moved()
            for segment in segmenter.feed(data):
                if segment.number < (segments or total):
                    self._take(segment, segmenter)
                    self._control.advanced(segment.number + 1, total)

        report = self._tools.ffmpeg.run(
            command,
            {self._track.name: take},
            stop=self._control,
            on_poll=self._publisher.poll,
            niceness=lambda: AUDIO_NICENESS if self._next >= FIRST_SEGMENTS else 0,
            on_stderr_line=on_stderr_line,
        )
        self.seconds += report.seconds
        return segmenter

    def _measure(
        self, command: FfmpegCommand, on_stderr_line: Callable[[str], None] = lambda _: None
    ) -> Loudness | None:
        report = self._tools.ffmpeg.run(
            command,
            {NOTHING_TARGET: None},
            stop=self._control,
            on_frames=lambda _: self._control.moved(),
            on_stderr_line=on_stderr_line,
        )
        self.seconds += report.seconds
        return parse_summary(report.stderr)

    def _stderr_line(self, copy: WorkingCopy, line: str) -> None:
        copy.stderr_line(line)
        self.damage.take(line)

    def _take(self, segment: Segment, segmenter: AudioSegmenter) -> None:
        if segment.number >= self._next:
            self._publisher.submit(self._track.name, segment, segmenter.init or b"")
            self._next = segment.number + 1


def beginning_of_audio(
    copy: WorkingCopy, plan: EncodePlan, track: AudioRendition, segments: int, packets: Iterable[str]
) -> Sequence[Span]:
    """Return the bytes that a run for the first `segments` reads: where ffmpeg itself finds the packets of that time.

    `packets` are ffprobe's lines about the track. Raises ValueError without an index.
    """
    if copy.index is None:
        raise ValueError("there is no index to find the track by")
    until, spare = audio_needed_until(plan, segments), copy.path.stat().st_size // SPARE_SHARE
    return copy.index.audio_until(
        track.stream,
        until,
        parse_packets(packets),
        seek=audio_seek_time(plan),
        shift=plan.source.sample_shift or 0,
        spare=spare,
    )
