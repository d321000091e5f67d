"""The copy of a source in a container with an index. Nothing is encoded; times that jump or are missing are mended."""

import logging
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from math import ceil
from pathlib import Path

from execution.budget import InspectionBudget
from execution.scratch import temporary_folder
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.readable import CLOCK_TARGET, positions_command
from transcoding.commands.remux import (
    INDEXED,
    RAW,
    UNPACKED,
    WITHOUT_SHAPE,
    OrderedVideo,
    index_command,
    raw_command,
    unpack_command,
)
from transcoding.commands.timestamps import BY_DECODING, FILTERS_LATE, ORDERED_CODECS
from transcoding.containers.bounds import MAX_SAMPLES
from transcoding.containers.matroska_video import forget_shapes
from transcoding.containers.raw_matroska import even_times, slot_times
from transcoding.errors import EXPORT_AGAIN, NO_FRAME, InputRejected, ResourceExceeded, TranscodeError
from transcoding.grid import ascending, usual_gap
from transcoding.probing.anchors import Anchors, FrameTimes, parse_anchors
from transcoding.probing.clock import Clock, Shift, measure_clock
from transcoding.probing.clock_packets import (
    MICROSECONDS,
    ClockPacket,
    Times,
    parse_clock_packets,
    parse_positions,
    shown_late,
)
from transcoding.probing.frame_order import CodedFrames
from transcoding.probing.media import MediaInfo
from transcoding.probing.program_times import SaidTimes
from transcoding.probing.timing import first_lines
from transcoding.sniffing.container import DEMUXERS, HEAD_BYTES
from transcoding.sniffing.packed import PACKED_HEAD_BYTES, has_packed_b_frames
from transcoding.sniffing.raw import is_h264, is_hevc
from workers.lease.control import StepControl
from workers.source.ordered import write_in_order
from workers.tools import Tools

_MAX_GROWTH = 2
_GROWTH_SLACK_BYTES = 64 << 20
_LINES_PER_MOVE = 512
_MILLISECONDS = 1000
_UNNAMED = "rawvideo"
_RAW_CODECS = (("h264", is_h264), ("hevc", is_hevc))
_MPEG_CODECS = frozenset({"mpeg1video", "mpeg2video"})
_HEAD_PACKETS = 4
_FALLBACK_RATE = Fraction(25)
"""Frames per second of a video of one frame whose header says none."""
CLOCKED = frozenset({"mpegts", "mpegps", "flv"})
"""Families with a clock that goes on while nothing is shown. Their length is an estimate from its ends."""
COUNTING = frozenset({"avi"})
"""Families that count frames."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedCopy:
    """A copy, its streams as they lie in the source, and what was wrong with the clock."""

    path: Path
    streams: MediaInfo
    clock: Clock


class Indexing:
    """The programs that copy a source, within the budget of its inspection."""

    def __init__(self, tools: Tools, control: StepControl, budget: InspectionBudget) -> None:
        self._tools = tools
        self._control = control
        self._budget = budget
        self._max_streams = tools.config.limits.max_streams

    def copy(self, path: Path, family: str, media: MediaInfo, folder: Path, *, openable: bool = True) -> IndexedCopy:
        """Copy the streams into Matroska in a folder.

        Where the container does not take all of them, it gets fewer: last the video track, or audio track, alone.
        `openable`: ffprobe opens the source.
        """
        source, named = self._unpacked(path, family, media, folder)
        openable = openable or source != path
        media = self._named(source, family, named, folder)
        clock = self._clock(source, family, media, openable=openable)
        ordered, clock = self._ordered(source, family, named, media, clock, folder, openable=openable)
        indexed = folder / "indexed.mkv"
        late = bool(clock.shifts or clock.late) and self._tools.ffmpeg.version().startswith(FILTERS_LATE)
        attempts = list(_fewer(replace(media, others=()) if ordered else media))
        for number, chosen in enumerate(attempts, start=1):
            command = index_command(
                str(source),
                demuxer=DEMUXERS[family],
                videos=(chosen.video, *chosen.others) if chosen.video_stream else (),
                audio=chosen.audio,
                clock=clock,
                ordered=ordered,
                filters=BY_DECODING if _is_without_order(family, media) and not ordered else "",
                late=late,
                max_streams=self._max_streams,
            )
            self._budget.grant_copy(path.stat().st_size)
            try:
                self.run(command, INDEXED, source, indexed)
            except ResourceExceeded:
                raise
            except TranscodeError as error:
                if number == len(attempts):
                    raise
                log.info("streams left out", extra={"event": "streams_left_out", "reason": error.details})
            else:
                if DEMUXERS[family] in WITHOUT_SHAPE:
                    with indexed.open("r+b") as file:
                        forget_shapes(file, indexed.stat().st_size)
                return IndexedCopy(path=indexed, streams=chosen, clock=clock)
        raise AssertionError("the last attempt raises")

    def _unpacked(self, path: Path, family: str, media: MediaInfo, folder: Path) -> tuple[Path, MediaInfo]:
        """Return the source and its streams, or those of a copy of it without packed B-frames."""
        if family != "avi" or not media.video_stream or media.video.codec != "mpeg4" or not _is_packed(path):
            return path, media
        unpacked = folder / "unpacked.avi"
        self._budget.grant_copy(path.stat().st_size)
        command = unpack_command(
            str(path),
            streams=[media.video.index, *(track.index for track in media.audio)],
            max_streams=self._max_streams,
        )
        self.run(command, UNPACKED, path, unpacked)
        audio = tuple(replace(track, index=number) for number, track in enumerate(media.audio, start=1))
        return unpacked, replace(media, video_stream=replace(media.video, index=0), others=(), audio=audio)

    def _named(self, path: Path, family: str, media: MediaInfo, folder: Path) -> MediaInfo:
        """Return the streams with H.264 or HEVC where an AVI does not name the codec: ffmpeg takes it for raw video."""
        if family not in COUNTING or not media.video_stream or media.video.codec != _UNNAMED:
            return media
        raw = folder / "head"
        command = raw_command(
            str(path), demuxer=DEMUXERS[family], video=media.video, packets=_HEAD_PACKETS, max_streams=self._max_streams
        )
        try:
            self.run(command, RAW, path, raw)
            with raw.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except TranscodeError:
            return media
        finally:
            raw.unlink(missing_ok=True)
        codec = next((codec for codec, is_one in _RAW_CODECS if is_one(head)), _UNNAMED)
        return replace(media, video_stream=replace(media.video, codec=codec))

    def _ordered(  # noqa: PLR0913, PLR0917 - as `copy`, and what it found
        self,
        path: Path,
        family: str,
        named: MediaInfo,
        media: MediaInfo,
        clock: Clock,
        folder: Path,
        *,
        openable: bool,
    ) -> tuple[OrderedVideo | None, Clock]:
        """Write the video of a container that counts frames with the times at which they are shown.

        Return it with the clock of the other streams. None: its demuxer gives these times, or the video cannot be read.
        """
        anchors = Anchors()
        if openable and _may_lack_times(family, media):
            anchors = self._anchors(path, family, media, clock)
        if not (_is_without_order(family, media) or None in anchors.times):
            return None, clock
        raw, target = folder / "raw", folder / "ordered.mkv"
        try:
            self._budget.grant_copy(path.stat().st_size)
            self.run(
                raw_command(str(path), demuxer=DEMUXERS[family], video=named.video, max_streams=self._max_streams),
                RAW,
                path,
                raw,
            )
            self._budget.grant_copy(path.stat().st_size)
            if anchors.times:
                return self._anchored(path, family, raw, target, media, anchors, clock)
            packets = self._packets(path, family, [media.video.index], openable=openable)
            slots = ascending(round(packet.decoding / _MILLISECONDS) for packet in packets)
            return self._in_slots(raw, target, media, slots), clock
        except ResourceExceeded:
            raise
        except InputRejected as refusal:
            log.info("frames without an order", extra={"event": "frames_without_order", "reason": str(refusal)})
            return None, clock
        finally:
            raw.unlink(missing_ok=True)

    def _in_slots(self, raw: Path, target: Path, media: MediaInfo, slots: Sequence[int]) -> OrderedVideo:
        """Show the frames of a raw stream in these slots, the milliseconds at which the container has one.

        They are shown evenly where there are not as many slots as frames.
        """
        if not slots:
            raise InputRejected(NO_FRAME)
        gap = usual_gap(slots)
        rate = media.mean_rate or (Fraction(_MILLISECONDS, gap) if gap else _FALLBACK_RATE)

        def times(frames: CodedFrames) -> "array[int]":
            count = len(frames.starts)
            if count == len(slots):
                return slot_times(frames, slots)
            seconds = Fraction(slots[-1] - slots[0], _MILLISECONDS) + 1 / rate
            return even_times(frames, count / seconds, first=slots[0])

        return self._in_order(raw, target, media, rate, times)

    def _anchored(  # noqa: PLR0913, PLR0917 - as `_ordered`, and what it found
        self,
        path: Path,
        family: str,
        raw: Path,
        target: Path,
        media: MediaInfo,
        anchors: Anchors,
        clock: Clock,
    ) -> tuple[OrderedVideo, Clock]:
        """Show the frames of a raw stream evenly, as the times say that some of them have.

        Where the clock starts again, the parts are measured again with the times of all frames.
        """
        rate, video, mended = media.mean_rate or _FALLBACK_RATE, media.video.index, clock

        def times(frames: CodedFrames) -> "array[int]":
            nonlocal mended
            found = anchors.even_times(frames, MICROSECONDS / rate)
            if clock.shifts:
                mended = self._clock(path, family, media, openable=True, frames=found)
            return found.milliseconds(mended.shifts.get(video, ()))

        ordered = self._in_order(raw, target, media, rate, times)
        return ordered, replace(mended, shifts={index: each for index, each in mended.shifts.items() if index != video})

    def _in_order(
        self,
        raw: Path,
        target: Path,
        media: MediaInfo,
        rate: Fraction,
        times: Callable[[CodedFrames], "array[int]"],
    ) -> OrderedVideo:
        if not raw.stat().st_size or media.video.coded is None:
            raise InputRejected(NO_FRAME)

        found = write_in_order(
            raw,
            target,
            codec=media.video.codec,
            rate=rate,
            size=media.video.coded,
            times=times,
            max_frames=MAX_SAMPLES,
            check=self._check,
        )
        step = _MILLISECONDS / rate
        lag = max(ceil(number * step) - time for number, time in enumerate(found))
        return OrderedVideo(path=str(target), step=step, lag=lag)

    def _clock(
        self, path: Path, family: str, media: MediaInfo, *, openable: bool, frames: FrameTimes | None = None
    ) -> Clock:
        """Read the times of all packets that are copied; `frames`: those of video that does not say all."""
        main = media.video_stream or media.audio[0]
        if family in COUNTING:
            if media.video_stream is None or _is_without_order(family, media):
                return Clock()
            late = shown_late(self._packets(path, family, [main.index], openable=openable))
            return Clock(shifts={main.index: (Shift(0, -late),)} if late else {})
        streams = [main.index, *(each.index for each in media.others), *(track.index for track in media.audio)]
        times = {main.index: zip(*frames, strict=True)} if frames else {}
        packets = self._packets(path, family, streams, openable=openable, times=times)
        said, step = SaidTimes(), MICROSECONDS / (media.mean_rate or _FALLBACK_RATE)
        if family == "mpegps" and main.codec in _MPEG_CODECS:
            packets = said.collected(packets, main.index, step)
        clock = measure_clock(packets, video=main.index, steady=family in CLOCKED, check=self._check)
        shifts = len(clock.shifts.get(main.index, ()))
        return replace(clock, video=main.index, late=said.late(step, shifts=shifts, check=self._check))

    def _anchors(self, path: Path, family: str, media: MediaInfo, clock: Clock) -> Anchors:
        """Read when packets of the video are shown, of those that say it."""
        video = media.video.index
        return parse_anchors(self._probed(path, family), video, clock.shifts.get(video, ()))

    def _packets(
        self, path: Path, family: str, streams: Sequence[int], *, openable: bool, times: Times | None = None
    ) -> Iterator[ClockPacket]:
        """Yield the packets of streams in the order of the file; `times`: see `parse_clock_packets`."""
        if openable:
            return parse_clock_packets(self._probed(path, family), streams, times)
        max_lines = self._max_streams * MAX_SAMPLES
        lines = self._listed(path, family, streams)
        return parse_positions(first_lines(max_lines, moving(lines, self._control)), streams)

    def _probed(self, path: Path, family: str) -> Iterator[str]:
        """Yield what ffprobe says of the packets of a source."""
        lines = self._tools.ffprobe.clock_packets(
            path, demuxer=DEMUXERS[family], stop=self._control, budget=self._budget
        )
        return first_lines(self._max_streams * MAX_SAMPLES, moving(lines, self._control))

    def _listed(self, path: Path, family: str, streams: Sequence[int]) -> Iterator[str]:
        """Have ffmpeg list packets of a source that ffprobe does not open, into a file."""
        with temporary_folder(self._tools.scratch, "packets-") as folder:
            listing = folder / "packets"
            max_streams = self._max_streams
            command = positions_command(str(path), demuxer=DEMUXERS[family], streams=streams, max_streams=max_streams)
            self._budget.grant_copy(path.stat().st_size)
            self.run(command, CLOCK_TARGET, path, listing)
            with listing.open(encoding="ascii", errors="replace") as lines:
                yield from lines

    def _check(self) -> None:
        self._control.moved()
        self._budget.check()

    def run(self, command: FfmpegCommand, target: str, source: Path, copy: Path) -> None:
        """Run a command that copies streams, with all of its bounds. Raises ResourceExceeded for too many copies."""
        size = source.stat().st_size
        allowed = min(_MAX_GROWTH * size + _GROWTH_SLACK_BYTES, self._budget.room_for_copies(size))

        def grown(frames: int) -> None:
            self._control.moved(frames)
            refuse_growth(copy, allowed)

        try:
            self._tools.ffmpeg.run(
                command,
                {target: copy},
                stop=self._control,
                output_bytes=allowed,
                on_frames=grown,
                budget=self._budget,
            )
            refuse_growth(copy, allowed)
        finally:
            self._budget.copied(copy.stat().st_size if copy.exists() else 0)


def _fewer(media: MediaInfo) -> Iterator[MediaInfo]:
    """Yield the streams to copy, fewer each time, and last the video track alone, or the first audio track."""
    yield media
    if media.others:
        yield replace(media, others=())
    if len(media.audio) > 1:
        yield replace(media, others=(), audio=media.audio[:1])
    if media.audio and media.video_stream:
        yield replace(media, others=(), audio=())


def _may_lack_times(family: str, media: MediaInfo) -> bool:
    """Tell whether frames may have no times: a packet of a program stream says one, of the first that begins in it."""
    return bool(family == "mpegps" and media.video_stream and media.video.codec in ORDERED_CODECS)


def _is_without_order(family: str, media: MediaInfo) -> bool:
    """Tell whether the demuxer does not know in what order the frames of the video are shown."""
    return bool(family in COUNTING and media.video_stream and media.video.codec in ORDERED_CODECS)


def moving(lines: Iterator[str], control: StepControl) -> Iterator[str]:
    """Pass on lines, and report now and then that the step moves."""
    for block in iter(lambda: list(islice(lines, _LINES_PER_MOVE)), []):
        control.moved()
        yield from block


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return has_packed_b_frames(file.read(PACKED_HEAD_BYTES))


def refuse_growth(copy: Path, allowed: int) -> None:
    """Refuse a file whose copy becomes far larger than itself: packets that overlap are written once for each."""
    if copy.exists() and copy.stat().st_size > allowed:
        raise InputRejected(f"the copy of the file's streams is larger than {allowed} bytes; {EXPORT_AGAIN}")
