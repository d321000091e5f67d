"""The facts about a source that planning needs, and the warnings that follow from them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Self

from transcoding import records
from transcoding.errors import InputCorrupt
from transcoding.grid import SEGMENT_GOPS, FrameGrid
from transcoding.probing.clock import Clock
from transcoding.probing.color import refuse_foreign_colors
from transcoding.probing.media import MediaInfo
from transcoding.probing.streams import AudioStream, Loudness, StreamFacts, StreamKind, VideoStream
from transcoding.probing.subtitles import is_extracted
from transcoding.probing.timing import FrameTiming
from transcoding.probing.warnings import Notice, SourceWarning
from transcoding.timeline import Hold, VideoSpan, hold_for, seconds_late, seconds_outside
from transcoding.upgrades import FACTS_UPGRADES

_MAX_MISSING = Fraction(1, 10)
"""Share of the announced duration, or of the announced bytes, that may be missing before a source is refused."""
_SLACK_SECONDS = Fraction(2)
"""Seconds by which the announced end may be later than that of the frames: the last one may stay for long."""
_ROUNDED = Fraction(1, 10)
"""Seconds to which lengths are rounded in sentences."""
_NO_CONTENT = frozenset({"dvd_nav_packet"})
"""Codecs of data that belongs to the container: nobody misses the buttons of a DVD's menu."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """All that planning must know of an inspected source. Stored with the video, and measured on the working copy."""

    demuxer: str
    """The demuxer that ffmpeg is forced to use on the working copy."""
    remuxed: bool
    """The working copy is a copy of the streams in a container with an index; otherwise it is the source itself."""
    streams: tuple[StreamFacts, ...] = ()
    """All streams of the uploaded file. Empty: an earlier version inspected it."""
    others: tuple["SourceFacts", ...] = ()
    """The same about other video tracks that a request may name, but for the streams and the audio."""
    video_stream: VideoStream | None
    """None: the source has audio alone."""
    audio: tuple[AudioStream, ...]
    """Those that can be decoded; players begin with the first."""
    first: Fraction
    """Time of the first video frame on the clock of the working copy, in seconds; else of the first sample heard."""
    rate: Fraction
    """Frames per second of the outputs; of audio alone, positions of the grid."""
    constant: bool
    """The frames of the source lie on the grid of that rate."""
    total_frames: int | None
    """None: the source has not ended. Inspected files always have."""
    warnings: tuple[Notice, ...]
    loudness: Loudness | None = None
    """Of the audio track that players begin with. None: nobody requested it, or the track is silent."""
    sample_shift: int | None = None
    """Difference from the times of the file's own sample tables to ffmpeg's, in ticks of the video's time base.

    None: the two do not agree, and the file is only ever read whole.
    """

    @property
    def has_video(self) -> bool:
        """Tell whether there is a video track."""
        return self.video_stream is not None

    @property
    def steady(self) -> bool:
        """Tell whether the frames of the source come evenly, at the rate of the outputs or at another one."""
        return all(warning.code != SourceWarning.VARIABLE_FRAME_RATE for warning in self.warnings)

    @property
    def video(self) -> VideoStream:
        """The video track. Raises ValueError where there is none."""
        if self.video_stream is None:
            raise ValueError("the source has no video")
        return self.video_stream

    @property
    def numbers_tracks(self) -> bool:
        """Tell whether its tracks have their numbers in the uploaded file.

        Version 0.1 did not read them, and knew no source without video.
        """
        return self.video_stream is None or self.video_stream.source_index is not None

    def to_json(self) -> dict[str, object]:
        """Return the facts as JSON-ready values, with their version."""
        return records.to_versioned(self, FACTS_UPGRADES)

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read stored facts. Raises UnknownVersion for those of a later program, ValueError for anything else."""
        return records.from_versioned(cls, data, FACTS_UPGRADES)

    @property
    def span(self) -> VideoSpan:
        """The time that its frames fill. Raises OpenGrid while the source has not ended."""
        return VideoSpan(first=self.first, rate=self.rate, frames=self.grid().frame_count)

    @property
    def hold(self) -> Hold:
        """The frames that are held so that none of its audio is lost."""
        return hold_for(self.span, [track.span for track in self.audio])

    @property
    def duration(self) -> Fraction:
        """Length of outputs that keep all of its audio, in seconds."""
        return self.grid().longer(self.hold.frames).duration

    def grid(self, segment_gops: int = SEGMENT_GOPS) -> FrameGrid:
        """Return the frame grid of every output of this source with so many GOPs in a segment."""
        return FrameGrid(rate=self.rate, total_frames=self.total_frames, segment_gops=segment_gops)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Parts that a copy of a joined file lacks, since they cannot continue its streams, and their length in seconds."""

    parts: int = 0
    seconds: Fraction = Fraction(0)
    tracks: int = 0
    """Tracks of video and audio that all parts have together. 0: no more than the first one."""

    def warnings(self) -> Iterator[Notice]:
        """Warn about parts."""
        if self.parts:
            yield Notice(code=SourceWarning.PARTS_IGNORED, count=self.parts, seconds=self.seconds)

    def tracks_not_among(self, streams: Iterable[StreamFacts]) -> int:
        """Return how many tracks appear so late in the file that they are not among these streams."""
        listed = sum(each.kind in (StreamKind.VIDEO, StreamKind.AUDIO) for each in streams)
        return max(0, self.tracks - listed)


NOTHING = LeftOut()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Faults of a file as a whole: the share of its bytes that is missing, faults of its clock, what is left out."""

    missing: Fraction = Fraction(0)
    clock: Clock = field(default_factory=Clock)
    left_out: LeftOut = field(default_factory=LeftOut)

    def warnings(self) -> Iterator[Notice]:
        """Warn about pauses, restarts and parts that are left out."""
        clock = self.clock
        if clock.pauses:
            seconds = sum(clock.pauses, Fraction(0))
            yield Notice(code=SourceWarning.TIMESTAMP_GAP, count=len(clock.pauses), seconds=seconds)
        if clock.restarts:
            yield Notice(code=SourceWarning.TIMESTAMPS_RESTART, count=clock.restarts)
        yield from self.left_out.warnings()


HEALTHY = Condition()


def source_facts(  # noqa: PLR0913 - all that is found out about a source, by name
    media: MediaInfo,
    timing: FrameTiming,
    *,
    demuxer: str,
    remuxed: bool,
    source: MediaInfo | None = None,
    condition: Condition = HEALTHY,
) -> SourceFacts:
    """Combine what planning needs. `source` are the streams of the uploaded file, if this is a copy of some of them.

    Raises InputCorrupt when the file ends long before it says it does, and InputRejected for colors that cannot be
    decoded.
    """
    refuse_foreign_colors(media.video)
    ending = _Ending.of(media, timing, (source or media).file_duration, condition.missing)
    ending.refuse_truncated()
    used = {media.video.source_index, *(track.source_index for track in media.audio)}
    uploaded = source or media
    streams = tuple(
        replace(each, used=each.index in used or is_extracted(each, uploaded.format_name)) for each in uploaded.streams
    )
    return SourceFacts(
        demuxer=demuxer,
        remuxed=remuxed,
        streams=streams,
        video_stream=media.video_stream,
        audio=media.audio,
        first=timing.first,
        rate=timing.rate,
        constant=timing.constant,
        total_frames=timing.total_frames,
        warnings=(*_warnings(media, timing, streams, condition.left_out), *ending.warnings(), *condition.warnings()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """The end of a file, and the end that it announces, in seconds of its video."""

    there: Fraction
    announced: Fraction | None
    """Length of the video track in the header. None: the container does not say."""
    file: Fraction | None
    """Length of the file in the header, or as ffprobe estimates it."""
    missing: Fraction
    """Share of its bytes that is missing."""

    @classmethod
    def of(cls, media: MediaInfo, timing: FrameTiming, file: Fraction | None, missing: Fraction) -> Self:
        """Compare the frames with the header.

        Matroska announces the end on its own clock, which a copied transport stream starts anywhere.
        """
        there = max(timing.first, Fraction(0)) + timing.total_frames / timing.rate
        return cls(there=there, announced=media.duration, file=file, missing=missing)

    @property
    def seconds_missing(self) -> Fraction:
        """Seconds of video that the header announces and that are not there; 0 where that is a matter of rounding."""
        late = (self.announced or self.there) - self.there
        return late if late > _SLACK_SECONDS else Fraction(0)

    def refuse_truncated(self) -> None:
        """Refuse a file of which more than a tenth is missing, as of a broken-off upload."""
        allowed = (self.announced or Fraction(0)) * _MAX_MISSING
        if self.missing <= _MAX_MISSING and self.seconds_missing <= allowed:
            return
        length = max(self.announced or self.there, self.file or self.there)
        if length - self.there > _ROUNDED:
            there = f"{float(self.there):.1f} of {float(length):.1f} s are there"
            raise InputCorrupt(f"the file is truncated: {there}; upload all of it")
        raise InputCorrupt(f"the file is truncated: {float(self.missing):.0%} of it is missing; upload all of it")

    def warnings(self) -> Iterator[Notice]:
        """Warn about a small tail that is missing."""
        if self.missing or self.seconds_missing:
            late = max(self.announced or self.there, self.file or self.there) - self.there
            yield Notice(code=SourceWarning.TRUNCATED, seconds=late if late > 0 else None)


def _warnings(
    media: MediaInfo, timing: FrameTiming, streams: tuple[StreamFacts, ...], left_out: LeftOut
) -> Iterator[Notice]:
    video = media.video
    reported = {
        SourceWarning.VARIABLE_FRAME_RATE: not timing.steady,
        SourceWarning.ROTATED: video.rotation != 0 or video.mirrored,
        SourceWarning.INTERLACED: video.interlaced,
        SourceWarning.HDR: bool(video.color and video.color.hdr),
        SourceWarning.ALPHA_DROPPED: video.alpha,
        SourceWarning.ANAMORPHIC: video.sample_aspect != 1,
        SourceWarning.FORMAT_CHANGES: video.changes or any(track.changes for track in media.audio),
        SourceWarning.NO_AUDIO: not media.audio,
    }
    yield from (Notice(code=code) for code, applies in reported.items() if applies)
    yield from _audio_warnings(media, timing)
    ignored = sum(not each.used and each.codec not in _NO_CONTENT for each in streams)
    if ignored := ignored + left_out.tracks_not_among(streams):
        yield Notice(code=SourceWarning.STREAMS_IGNORED, count=ignored)


def _audio_warnings(media: MediaInfo, timing: FrameTiming) -> Iterator[Notice]:
    """Say where audio and video do not begin or end together; how late by the track that players begin with."""
    video = VideoSpan(first=timing.first, rate=timing.rate, frames=timing.total_frames)
    spans = [track.span for track in media.audio]
    if late := seconds_late(video, spans[0] if spans else None):
        yield Notice(code=SourceWarning.AUDIO_STARTS_LATE, seconds=late)
    if outside := seconds_outside(video, spans):
        yield Notice(code=SourceWarning.AUDIO_LONGER, seconds=outside)
