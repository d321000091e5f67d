"""Looks at some frames of a source, which headers and packets say too little about."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from execution.budget import InspectionBudget
from transcoding.commands.sample import NOTHING, fields_command
from transcoding.commands.transparency import TRANSPARENT, transparency_command
from transcoding.errors import ResourceExceeded, TranscodeError
from transcoding.probing.changes import layouts_in, parse_frames, sample_times, with_usual_frame
from transcoding.probing.fields import (
    FieldReader,
    FieldSample,
    marked,
    may_be_interlaced,
    measured_fields,
    of_whole_frames,
)
from transcoding.probing.streams import AudioStream, VideoStream
from transcoding.probing.timing import FrameTiming
from workers.lease.control import StepControl
from workers.tools import Tools

_FRAMES = 45
"""Frames of one look: nine cycles of 2:3 pulldown."""
_SHARES = (Fraction(1, 10), Fraction(1, 2), Fraction(4, 5))
"""Positions of looks in a video."""

_FIRST_FRAMES = 20
"""Frames of a look at the beginning of a file: those that ffmpeg decodes on opening it, four cycles of pulldown."""
_SECONDS = Fraction(3)
"""Length of the stretch that is fetched for a look: more than its frames take at 15 per second."""

Fetch = Callable[[Fraction, Fraction], None]
"""Fetches what is needed to decode the video between two times, in seconds on the clock of the file."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSamples:
    """Looks at frames of a file, within the budget of its inspection.

    `fetch` is None for a whole file. Of a file of which there are only parts, fewer frames are looked at.
    """

    tools: Tools
    control: StepControl
    budget: InspectionBudget
    path: Path
    demuxer: str
    fetch: Fetch | None = None

    def measure(self, video: VideoStream, timing: FrameTiming) -> tuple[VideoStream, FrameTiming]:
        """Return the track with the size, shape and fields that its frames have, and the timing of whole frames."""
        return self._fields(self._format(video, timing), timing)

    def audio(self, track: AudioStream, video: VideoStream, timing: FrameTiming) -> AudioStream:
        """Return the track with whether its layout changes."""
        return replace(track, changes=len(layouts_in(self._frames(track.index, video, timing))) > 1)

    def transparency(self, video: VideoStream) -> VideoStream:
        """Return the track of an animated image without transparency, if none of its frames has any."""
        if not video.alpha:
            return video
        command = transparency_command(
            str(self.path), video, demuxer=self.demuxer, max_streams=self.tools.config.limits.max_streams
        )
        try:
            report = self.tools.ffmpeg.run(command, {TRANSPARENT: None}, stop=self.control, budget=self.budget)
        except ResourceExceeded:
            raise
        except TranscodeError as error:
            log.info("transparency not measured", extra={"event": "transparency_unknown", "reason": str(error)})
            return video
        return video if report.frames else replace(video, alpha=False)

    def _format(self, video: VideoStream, timing: FrameTiming) -> VideoStream:
        return with_usual_frame(video, parse_frames(self._frames(video.index, video, timing)))

    def _frames(self, stream: int, video: VideoStream, timing: FrameTiming) -> str:
        """Return frames of a stream as JSON: an empty list where they cannot be read."""
        times = sample_times(timing.first, timing.total_frames / timing.rate, video.coded or video.display)
        if self.fetch:
            times = times[:1]
        try:
            return self.tools.ffprobe.frames(
                self.path, demuxer=self.demuxer, stream=stream, times=times, budget=self.budget
            )
        except TranscodeError as error:
            log.info("frames cannot be read", extra={"event": "formats_unknown", "reason": str(error)})
            return "{}"

    def _fields(self, video: VideoStream, timing: FrameTiming) -> tuple[VideoStream, FrameTiming]:
        if not may_be_interlaced(video, timing.rate):
            return video, timing
        samples: list[FieldSample] = []
        for sample in self._looks(video, timing):
            samples.append(sample)
            found = measured_fields(samples, declared=video.field_order)
            if not (found.interlaced or video.interlaced):
                break
        if video.interlaced:
            timing = of_whole_frames(timing, samples, video.time_base)
        return marked(video, found), timing

    def _looks(self, video: VideoStream, timing: FrameTiming) -> Iterator[FieldSample]:
        """Look at stretches of a video. Of parts of a file, the first frames are there in any case."""
        if self.fetch:
            yield self._look(video, None, min(_FIRST_FRAMES, timing.total_frames))
        if timing.total_frames < len(_SHARES) * _FRAMES:
            if self.fetch:
                self.fetch(timing.first, timing.first + timing.total_frames / timing.rate)
            yield self._look(video, None, timing.total_frames)
            return
        for share in _SHARES:
            time = timing.first + share * timing.total_frames / timing.rate
            if self.fetch:
                self.fetch(time, time + _SECONDS)
            yield self._look(video, time, _FRAMES)

    def _look(self, video: VideoStream, time: Fraction | None, frames: int) -> FieldSample:
        reader = FieldReader()
        command = fields_command(str(self.path), video, demuxer=self.demuxer, time=time, frames=frames)
        try:
            self.tools.ffmpeg.run(
                command, {NOTHING: None}, stop=self.control, on_stderr_line=reader.line, budget=self.budget
            )
        except TranscodeError as error:
            log.info("fields cannot be measured", extra={"event": "fields_unknown", "reason": str(error)})
        return reader.sample()
