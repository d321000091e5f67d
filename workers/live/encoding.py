"""One run of ffmpeg on a broadcast: what it encodes is cut, checked, published, and shown in parts."""

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

from execution.ffmpeg import FfmpegRunner, Sink, StopSignal
from execution.pipes import Feed as Input
from transcoding.commands.livestream import FEED, livestream_command
from transcoding.containers.live_segments import LiveAudioSegmenter, LivePart, LiveVideoSegmenter
from transcoding.containers.segments import Segment
from transcoding.encoders import HardwareDevice
from transcoding.errors import VerificationFailed
from transcoding.planning.plan import EncodePlan


class SegmentSink(Protocol):
    """Taker of finished segments."""

    def submit(self, name: str, segment: Segment, init: bytes) -> None:
        """Take a segment of a rendition, in order."""
        ...


OnPart = Callable[[str, LivePart], None]
"""Gets the name of a rendition and a part of its segment that is not finished yet."""


class LiveEncoding:
    """The outputs of one run, from a segment on."""

    def __init__(  # noqa: PLR0913 - one run, put together in one place
        self,
        plan: EncodePlan,
        *,
        first_segment: int,
        starts_at: Fraction,
        publisher: SegmentSink,
        on_part: OnPart,
        device: HardwareDevice | None,
        threads: int,
    ) -> None:
        self._publisher = publisher
        self._on_part = on_part
        self._video = {
            rendition.name: LiveVideoSegmenter(plan, rendition, first_segment=first_segment)
            for rendition in plan.renditions
        }
        (track,) = plan.audio
        self._track = track.name
        self._audio = LiveAudioSegmenter(plan, track, first_segment=first_segment)
        self._ahead: deque[Segment] = deque()
        """Segments of audio whose video is not there yet: the end of the stream may cut them off."""
        self._audio_next = first_segment
        self._next = dict.fromkeys(self._video, first_segment)
        self._short = dict.fromkeys(self._video, 0)
        """Frames that the last segment lacks."""
        self._plan = plan
        self.command = livestream_command(
            plan, first_segment=first_segment, starts_at=starts_at, device=device, threads=threads
        )

    def run(
        self,
        ffmpeg: FfmpegRunner,
        feed: Input,
        *,
        stop: StopSignal,
        on_poll: Callable[[], None],
        on_stderr_line: Callable[[str], None],
    ) -> None:
        """Encode until the feed ends, or something fails. Raises as `FfmpegRunner.run` does."""
        ffmpeg.run(
            self.command,
            {name: self._sink(name) for name in (*self._video, self._track)},
            inputs={FEED: feed},
            paced=True,
            stop=stop,
            on_poll=on_poll,
            on_stderr_line=on_stderr_line,
        )

    def end(self) -> int:
        """Submit what is shorter than a segment, at the end of the broadcast. Returns the frames of all of it."""
        for name, segmenter in self._video.items():
            if tail := segmenter.end():
                self._submit_video(name, tail)
        frames = self._frames()
        for segment in self._audio.end(frames):
            if segment.number < self._audio_next:
                continue  # whole, as it was submitted: players may have it
            while self._ahead and self._ahead[-1].number >= segment.number:
                self._ahead.pop()
            self._ahead.append(segment)
        self._submit_audio()
        return frames

    def _frames(self) -> int:
        """Return the frames of the whole broadcast so far, of which only the last segment may be short."""
        frames = {self._plan.grid.first_frame(self._next[name]) - short for name, short in self._short.items()}
        if len(frames) != 1:
            raise VerificationFailed(f"the renditions end with different frames: {sorted(frames)}")
        return frames.pop()

    def _sink(self, name: str) -> Sink:
        segmenter = self._video.get(name) or self._audio

        def take(data: bytes) -> None:
            for piece in segmenter.feed(data):
                if isinstance(piece, LivePart):
                    self._on_part(name, piece)
                elif segmenter is self._audio:
                    self._ahead.append(piece)
                    self._submit_audio()
                else:
                    self._submit(name, piece)

        return take

    def _submit(self, name: str, segment: Segment) -> None:
        self._submit_video(name, segment)
        self._submit_audio()

    def _submit_video(self, name: str, segment: Segment) -> None:
        self._publisher.submit(name, segment, self._video[name].init or b"")
        self._next[name] = segment.number + 1
        self._short[name] = self._plan.grid.segment_frames - segment.frames

    def _submit_audio(self) -> None:
        while self._ahead and self._ahead[0].number < min(self._next.values()):
            segment = self._ahead.popleft()
            self._publisher.submit(self._track, segment, self._audio.init or b"")
            self._audio_next = segment.number + 1
