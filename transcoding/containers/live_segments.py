"""Segmenters of live streams: fragments become segments, and in low latency parts of them, verified as they arrive.

A run of ffmpeg begins with a segment and ends nobody knows where. No rate is refused: a stream cannot be encoded again.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from transcoding.commands.livestream import audio_base
from transcoding.containers.boxes import read_init
from transcoding.containers.fragments import Fragment, FragmentReader, join_fragments, one_sample
from transcoding.containers.segments import (
    MAX_AUDIO_FRAME_BYTES,
    Keyframe,
    Segment,
    check_audio_init,
    check_video_init,
    checked_fragments,
    corrected_init,
    max_segment_bytes,
)
from transcoding.errors import RateExceeded, VerificationFailed
from transcoding.planning.latency import PARTS_OF_A_GOP
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition, VideoRendition

_SILENCE = bytes.fromhex("21 10 04 60 8c 1c")
"""A frame of AAC-LC in stereo, as ffmpeg encodes silence."""
_SEGMENTS_AHEAD = 4
"""Segments by which audio may be ahead of the video at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePart:
    """A part of a segment that is not whole yet: the segment's number, its own from 0 on, its length in ticks."""

    number: int
    index: int
    duration: int
    independent: bool
    """Decoding can start with it."""
    data: bytes


class LiveVideoSegmenter:
    """Cuts one rung's output into segments of a GOP. Raises VerificationFailed at the first deviation."""

    def __init__(self, plan: EncodePlan, rendition: VideoRendition, *, first_segment: int) -> None:
        self._plan = plan
        self._grid = plan.grid
        self._rendition = rendition
        self._next = first_segment
        self._max_bytes = max_segment_bytes(plan, rendition)
        self._reader = FragmentReader(max_media_bytes=self._max_bytes)
        self._fragments: list[Fragment] = []
        self._frames = 0
        self._ended = False
        self._init: bytes | None = None

    @property
    def init(self) -> bytes | None:
        """The init segment, once the first fragment is there; it was checked against the plan."""
        return self._init

    def feed(self, data: bytes) -> Iterator[LivePart | Segment]:
        """Take the next bytes of the stream, give the parts and segments that they complete."""
        for fragment in checked_fragments(self._reader, data):
            self._check_init()
            self._check(fragment)
            self._fragments.append(fragment)
            self._frames += len(fragment.samples)
            if sum(len(each.data) for each in self._fragments) > self._max_bytes:
                raise RateExceeded(
                    f"{self._rendition.name}: segment {self._next} has more than {self._max_bytes} bytes"
                )
            if self._plan.part_frames:
                yield self._part(fragment)
            if self._frames == self._grid.segment_frames:
                yield self._segment()

    def end(self) -> Segment | None:
        """Give the last segment, which is shorter than the others. The stream and its source have ended.

        None: there is none, or so little of it that it would belong to the segment before, which players have.
        """
        if not self._fragments or not (self._next == 0 or self._grid.stands_alone(self._frames)):
            return None
        return self._segment()

    def _check_init(self) -> None:
        if self._init is not None:
            return
        if self._reader.init is None:
            raise VerificationFailed(f"{self._rendition.name}: a fragment came before the init segment")
        self._init = corrected_init(self._reader.init, self._rendition)
        check_video_init(read_init(self._init), self._rendition, self._plan)

    def _check(self, fragment: Fragment) -> None:
        """Compare a fragment with its place. A short one must be the last."""
        frame = self._grid.first_frame(self._next) + self._frames
        ticks, rest = self._grid.frame_ticks, self._grid.segment_frames - self._frames
        planned = min(rest, self._plan.part_frames or rest)
        problems = {
            "comes behind one that is shorter than planned": self._ended,
            "starts at another time than the frame before it ends": fragment.decode_time != frame * ticks,
            "does not begin with a key frame": not self._frames and not fragment.samples[0].sync,
            "has a key frame within its segment": any(
                sample.sync for sample in fragment.samples[0 if self._frames else 1 :]
            ),
            "is longer than planned": len(fragment.samples) > planned,
            "has frames of another length": any(sample.duration != ticks for sample in fragment.samples),
        }
        for problem, found in problems.items():
            if found:
                raise VerificationFailed(f"{self._rendition.name}: the fragment at frame {frame} {problem}")
        self._ended = len(fragment.samples) < planned

    def _part(self, fragment: Fragment) -> LivePart:
        return LivePart(
            number=self._next,
            index=len(self._fragments) - 1,
            duration=fragment.duration,
            independent=fragment.samples[0].sync,
            data=fragment.data,
        )

    def _segment(self) -> Segment:
        fragments, self._fragments = self._fragments, []
        frames, self._frames = self._frames, 0
        number, self._next = self._next, self._next + 1
        return Segment(
            number=number,
            duration=sum(fragment.duration for fragment in fragments),
            frames=frames,
            data=b"".join(fragment.data for fragment in fragments),
            keyframes=(Keyframe(offset=0, size=fragments[0].first_sample_end, ticks=0),),
        )


class LiveAudioSegmenter:
    """Joins the coded frames of a run to segments that end at the video's boundaries, to the nearest frame.

    Decode times of a run begin at 0, and become those of the whole track.
    """

    def __init__(self, plan: EncodePlan, track: AudioRendition, *, first_segment: int) -> None:
        self._plan = plan
        self._grid = plan.grid
        self._track = track
        self._encoder = track.encoder
        self._reader = FragmentReader(max_media_bytes=MAX_AUDIO_FRAME_BYTES)
        self._base = self._tick = audio_base(plan.grid, track, first_segment)
        self._first = self._next = first_segment
        self._index = 0
        self._frames: list[Fragment] = []
        self._given: deque[list[Fragment]] = deque(maxlen=_SEGMENTS_AHEAD)
        self._ended = False

    @property
    def init(self) -> bytes | None:
        """The init segment, once it is there; it was checked against the encoder's traits."""
        return self._reader.init

    def feed(self, data: bytes) -> Iterator[LivePart | Segment]:
        """Take the next bytes of the stream, give the parts and segments that they complete."""
        for fragment in checked_fragments(self._reader, data):
            if self._tick == self._base:
                check_audio_init(read_init(self._reader.init or b""), self._track)
            yield from self._take(self._checked(fragment))

    def end(self, total_frames: int) -> tuple[Segment, ...]:
        """Give the segments that are missing, of a video that has ended after so many frames, exactly as long as it.

        The last of them is the video's last one; one of its number that was given before is replaced by it. Audio
        behind the video is cut off, and silence fills what the run lacks. Empty: the video ended before this run did
        start.
        """
        closed = self._grid.lasting(total_frames)
        last, end = closed.total_segments - 1, self._encoder.boundary(closed.duration)
        if last < self._first:
            return ()
        if self._next - last > len(self._given):
            raise VerificationFailed(f"{self._track.name}: the video ends in segment {last}, audio in {self._next}")
        while self._next > last:
            self._next -= 1
            self._frames[:0] = self._given.pop()
        tick = self._frames[-1].decode_time + self._frames[-1].duration if self._frames else self._start(self._next)
        self._frames += [
            one_sample(time, _SILENCE, duration=self._encoder.frame_samples)
            for time in range(tick, end, self._encoder.frame_samples)
        ]
        return tuple(self._segment(closed.start(number + 1)) for number in range(self._next, last + 1))

    def _checked(self, fragment: Fragment) -> Fragment:
        """Verify time and length, and return it with its time in the whole track. Only the last frame may be short."""
        name, expected = self._track.name, self._tick - self._base
        if len(fragment.samples) != 1:
            raise VerificationFailed(f"{name}: {len(fragment.samples)} frames in a fragment")
        if fragment.decode_time != expected:
            raise VerificationFailed(f"{name}: a frame starts at {fragment.decode_time} instead of {expected}")
        (sample,), whole = fragment.samples, self._encoder.frame_samples
        if self._ended or sample.duration > whole:
            raise VerificationFailed(f"{name}: a frame at {expected} is not {whole} samples long")
        self._ended = sample.duration < whole
        return replace(fragment, decode_time=self._tick, samples=(replace(sample, duration=whole),))

    def _take(self, fragment: Fragment) -> Iterator[LivePart | Segment]:
        self._tick += fragment.duration
        if self._first and fragment.decode_time == self._base:
            return  # it primes decoders: the segment before has one that is presented then
        self._frames.append(fragment)
        if self._plan.part_frames and self._tick >= self._part_end(self._next, self._index):
            yield self._part()
        end = self._grid.start(self._next + 1)
        if self._tick >= self._encoder.boundary(end):
            segment = self._segment(end)
            self._index = 0
            yield segment

    def _start(self, segment: int) -> int:
        """Return the decode tick of the first frame of a segment."""
        return self._encoder.boundary(self._grid.start(segment)) if segment else 0

    def _part_end(self, number: int, index: int) -> int:
        frame = (index + 1) * (self._plan.part_frames or self._grid.segment_frames)
        return self._encoder.boundary(
            self._grid.start(number) + min(frame, self._grid.segment_frames) / self._grid.rate
        )

    def _part(self) -> LivePart:
        *_, frames = self._parts(self._next, self._frames)
        index, self._index = self._index, self._index + 1
        return LivePart(
            number=self._next,
            index=index,
            duration=sum(frame.duration for frame in frames),
            independent=True,
            data=_joined(self._next, index, frames),
        )

    def _segment(self, end: Fraction) -> Segment:
        """Give the frames that lie before a time, in seconds, as the next segment."""
        boundary = self._encoder.boundary(end)
        frames = [frame for frame in self._frames if frame.decode_time < boundary]
        self._frames = self._frames[len(frames) :]
        self._given.append(frames)
        number, self._next = self._next, self._next + 1
        return Segment(
            number=number,
            duration=sum(frame.duration for frame in frames),
            frames=len(frames),
            data=b"".join(_joined(number, index, part) for index, part in enumerate(self._parts(number, frames))),
        )

    def _parts(self, number: int, frames: Sequence[Fragment]) -> Iterator[Sequence[Fragment]]:
        """Divide the frames of a segment into its parts; the last of them may not be whole."""
        index = start = 0
        for position, frame in enumerate(frames, start=1):
            if frame.decode_time + frame.duration >= self._part_end(number, index) or position == len(frames):
                yield frames[start:position]
                index, start = index + 1, position


def _joined(number: int, index: int, frames: Sequence[Fragment]) -> bytes:
    return join_fragments(frames, sequence=number * PARTS_OF_A_GOP + index + 1)
