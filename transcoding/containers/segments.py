"""The segmenter: fragments become segments, verified against the plan as they arrive.

Frames, decode times and key frames are read from the boxes: ffmpeg's exit code says nothing about them.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcoding.containers.boxes import InitSegment, MalformedBoxes, as_upright, read_init, with_vp9_level
from transcoding.containers.fragments import Fragment, FragmentReader, join_fragments
from transcoding.errors import RateExceeded, VerificationFailed
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition, VideoRendition

_RATE_TOLERANCE = Fraction(11, 10)
"""Tolerance above the promised rate of a segment: x264's buffer model does not count every bit that it writes."""
_MAX_OF_PROMISE = 4
_MAX_SPARE_BYTES = 16 << 20
"""A segment in the making may have so many times what its peak promises, and these bytes: the last may be longer."""
MAX_AUDIO_FRAME_BYTES = 1 << 16
"""A frame of AAC in six channels has at most 5 KiB, one of Opus 8 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyframe:
    """One key frame as a byte range of its segment, as EXT-X-I-FRAMES-ONLY playlists list it.

    The `size` bytes from `offset` on are the fragment's `moof` and the key frame; behind the init segment they decode
    to this one frame. It is presented `ticks` after the start of the segment.
    """

    offset: int
    size: int
    ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One finished media segment: its number, its length in ticks and in frames, its bytes.

    `keyframes` are those of a video segment, in order, the first one at offset 0. Audio has none.
    """

    number: int
    duration: int
    frames: int
    data: bytes
    keyframes: tuple[Keyframe, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


class VideoSegmenter:
    """Cuts one rung's output of one chunk run into segments. Raises VerificationFailed at the first deviation."""

    def __init__(self, plan: EncodePlan, rendition: VideoRendition, *, first_segment: int, segments: int) -> None:
        self._plan = plan
        self._grid = plan.grid
        self._rendition = rendition
        self._next = first_segment
        self._end = first_segment + segments
        self._max_bytes = max_segment_bytes(plan, rendition)
        self._reader = FragmentReader(max_media_bytes=self._max_bytes)
        self._fragments: list[Fragment] = []
        self._frame = self._grid.first_frame(first_segment)
        self._init: bytes | None = None
        self._ended = False

    @property
    def init(self) -> bytes | None:
        """The init segment, once the first fragment is there; it was checked against the plan, and turns nothing."""
        return self._init

    def feed(self, data: bytes) -> Iterator[Segment]:
        """Take the next bytes of the stream, give the segments that they complete."""
        for fragment in checked_fragments(self._reader, data):
            self._check_init()
            self._check(fragment)
            if self._ended:
                continue
            self._fragments.append(fragment)
            if sum(len(each.data) for each in self._fragments) > self._max_bytes:
                raise RateExceeded(
                    f"{self._rendition.name}: segment {self._next} has more than {self._max_bytes} bytes"
                )
            self._frame += len(fragment.samples)
            if self._frame == self._grid.first_frame(self._next + 1):
                yield self._segment()

    def finish(self) -> None:
        """Say that the stream has ended. Raises VerificationFailed when something of the chunk is missing."""
        if self._next != self._end or self._fragments or self._ended or self._reader.leftover:
            raise VerificationFailed(
                f"{self._rendition.name}: the stream ends at frame {self._frame} of {self._grid.first_frame(self._end)}"
            )

    def _check_init(self) -> None:
        """Look at the init segment before the first fragment counts."""
        if self._init is not None:
            return
        if self._reader.init is None:
            raise VerificationFailed(f"{self._rendition.name}: a fragment came before the init segment")
        self._init = corrected_init(self._reader.init, self._rendition)
        check_video_init(read_init(self._init), self._rendition, self._plan)

    def _check(self, fragment: Fragment) -> None:
        """Compare a fragment with its GOP. A short one must be the last: the source has ended before it should."""
        ticks, planned = self._frame * self._grid.frame_ticks, self._gop_frames()
        problems = {
            "comes behind one with another length than its GOP": self._ended,
            "starts at another time than the frame before it ends": fragment.decode_time != ticks,
            "does not begin with a key frame": not fragment.samples[0].sync,
            "has a second key frame": any(sample.sync for sample in fragment.samples[1:]),
            "has another length than its GOP": len(fragment.samples) > planned,
            "has frames of another length": any(s.duration != self._grid.frame_ticks for s in fragment.samples),
        }
        for problem, found in problems.items():
            if found:
                raise VerificationFailed(f"{self._rendition.name}: the GOP at frame {self._frame} {problem}")
        self._ended = len(fragment.samples) < planned

    def _gop_frames(self) -> int:
        return self._grid.gop_length(self._frame)

    def _segment(self) -> Segment:
        fragments, self._fragments = self._fragments, []
        number, self._next = self._next, self._next + 1
        segment = Segment(
            number=number,
            duration=sum(fragment.duration for fragment in fragments),
            frames=sum(len(fragment.samples) for fragment in fragments),
            data=b"".join(fragment.data for fragment in fragments),
            keyframes=tuple(_keyframes(fragments)),
        )
        self._check_rate(segment)
        return segment

    def _check_rate(self, segment: Segment) -> None:
        """Verify the rate before anybody gets the segment. A shorter last segment has no peak."""
        if segment.frames >= self._grid.peak_frames:
            rate = len(segment.data) * 8 * self._grid.timescale // segment.duration
            check_rate(self._rendition, rate, segment=segment.number)


def max_segment_bytes(plan: EncodePlan, rendition: VideoRendition) -> int:
    """Return how much of a segment is kept in memory before it is refused unseen."""
    seconds = plan.grid.segment_frames / plan.grid.rate
    return _MAX_SPARE_BYTES + int(_MAX_OF_PROMISE * rendition.peak_bandwidth * seconds) // 8


def _keyframes(fragments: Sequence[Fragment]) -> Iterator[Keyframe]:
    """Locate the key frames of a segment that consists of these fragments, each of which begins with one."""
    offset = ticks = 0
    for fragment in fragments:
        yield Keyframe(offset=offset, size=fragment.first_sample_end, ticks=ticks)
        offset += len(fragment.data)
        ticks += fragment.duration


class AudioSegmenter:
    """Joins coded frames to segments that end at the video's boundaries, to the nearest frame."""

    def __init__(self, plan: EncodePlan, track: AudioRendition) -> None:
        self._grid = plan.grid
        self._track = track
        self._name = track.name
        self._encoder = track.encoder
        self._reader = FragmentReader(max_media_bytes=MAX_AUDIO_FRAME_BYTES)
        self._fragments: list[Fragment] = []
        self._next = 0
        self._tick = 0

    @property
    def init(self) -> bytes | None:
        """The init segment, once it is there; it was checked against the encoder's traits."""
        return self._reader.init

    def feed(self, data: bytes) -> Iterator[Segment]:
        """Take the next bytes of the stream, give the segments that they complete; the last one comes by `finish`."""
        for fragment in checked_fragments(self._reader, data):
            if self._tick == 0:
                check_audio_init(read_init(self._reader.init or b""), self._track)
            self._check(fragment)
            if (
                self._tick >= self._encoder.boundary(self._grid.start(self._next + 1))
                and self._next + 1 < self._grid.total_segments
            ):
                yield self._segment()
            self._fragments.append(fragment)
            self._tick += fragment.duration

    def _check(self, fragment: Fragment) -> None:
        """Verify time and length. Every frame but the last is whole, and none lies a second behind the video.

        ffmpeg shortens frames where audio comes twice, as after a restart of the source.
        """
        if len(fragment.samples) != 1:
            raise VerificationFailed(f"{self._name}: {len(fragment.samples)} frames in a fragment")
        if fragment.decode_time != self._tick:
            raise VerificationFailed(f"{self._name}: a frame starts at {fragment.decode_time} instead of {self._tick}")
        if self._tick > self._encoder.presentation(self._grid.duration) + self._encoder.sample_rate:
            raise VerificationFailed(f"{self._name}: {self._tick} samples, and more of them to come")
        if self._tick % self._encoder.frame_samples or (self._fragments and not self._fragments[-1].duration):
            raise VerificationFailed(
                f"{self._name}: the frame before {self._tick} is shorter than {self._encoder.frame_samples} samples"
            )

    def finish(self) -> Segment:
        """Give the last segment. Raises VerificationFailed when the audio is not as long as the video."""
        planned = self._encoder.presentation(self._grid.duration)
        if self._reader.leftover or not self._fragments or self._next + 1 != self._grid.total_segments:
            raise VerificationFailed(
                f"{self._name}: the stream ends in segment {self._next} of {self._grid.total_segments}"
            )
        if abs(self._tick - planned) > self._encoder.frame_samples:
            raise VerificationFailed(f"{self._name}: {self._tick} samples instead of {planned}")
        return self._segment()

    def _segment(self) -> Segment:
        fragments, self._fragments = self._fragments, []
        number, self._next = self._next, self._next + 1
        return Segment(
            number=number,
            duration=sum(fragment.duration for fragment in fragments),
            frames=len(fragments),
            data=join_fragments(fragments, sequence=number + 1),
        )


def corrected_init(init: bytes, rendition: VideoRendition) -> bytes:
    """Return an init segment as players need it, where ffmpeg writes something else. Raises MalformedBoxes."""
    if rendition.codecs.startswith("vp09."):
        init = with_vp9_level(init, int(rendition.codecs.split(".")[2]))
    return as_upright(init)


def check_video_init(init: InitSegment, rendition: VideoRendition, plan: EncodePlan) -> None:
    """Compare an init segment with the promises of the playlist. Raises VerificationFailed where they differ."""
    if _without_constraints(init.codecs) != _without_constraints(rendition.codecs):
        _compare(rendition.name, "codecs", init.codecs, rendition.codecs)
    _compare(rendition.name, "timescale", init.timescale, plan.grid.timescale)
    _compare(rendition.name, "width", init.width, rendition.width)
    _compare(rendition.name, "height", init.height, rendition.height)
    color = plan.color_of(rendition)
    if color and color.complete:
        _compare(rendition.name, "color space", init.color, color)


def _without_constraints(codecs: str) -> str:
    """Return profile, tier and level only: encoders differ in the flags for unused features."""
    kind, _, rest = codecs.partition(".")
    if kind == "avc1":
        return f"{kind}.{rest[:2]}..{rest[4:]}"
    return ".".join(codecs.split(".")[:4]) if kind == "hvc1" else codecs


def check_rate(rendition: VideoRendition, rate: int, *, segment: int | None = None) -> None:
    """Compare the bits per second of a segment, or of the largest one, with the promise. Raises RateExceeded."""
    if rate > rendition.peak_bandwidth * _RATE_TOLERANCE:
        which = "a segment" if segment is None else f"segment {segment}"
        raise RateExceeded(
            f"{rendition.name}: {which} has {rate} b/s, the playlist promises {rendition.peak_bandwidth}"
        )


def check_audio_init(init: InitSegment, track: AudioRendition) -> None:
    """Compare the init segment of an audio track with the encoder's traits. Raises VerificationFailed.

    Its edit list must cut off the priming exactly.
    """
    _compare(track.name, "codecs", init.codecs, track.codecs)
    _compare(track.name, "timescale", init.timescale, track.encoder.sample_rate)
    _compare(track.name, "start of presentation", init.edit_start, track.encoder.priming_samples)


def _compare(name: str, what: str, found: object, planned: object) -> None:
    if found != planned:
        raise VerificationFailed(f"{name}: {what} is {found}, the plan says {planned}")


def checked_fragments(reader: FragmentReader, data: bytes) -> Iterator[Fragment]:
    """Yield the fragments of a stream. Raises VerificationFailed for anything that cannot be read."""
    try:
        yield from reader.feed(data)
    except MalformedBoxes as error:
        raise VerificationFailed(f"ffmpeg wrote boxes that cannot be read: {error}") from error
