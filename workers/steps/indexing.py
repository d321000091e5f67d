"""The copy of a source in a container with an index. Nothing is encoded; times that jump or are missing are mended."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from execution.budget import InspectionBudget
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.remux import INDEXED, UNPACKED, WITHOUT_SHAPE, index_command, unpack_command
from transcoding.commands.timestamps import BY_DECODING, BY_ORDER, FILTERS_LATE, ORDERED_CODECS
from transcoding.containers.bounds import MAX_SAMPLES
from transcoding.containers.matroska_video import forget_shapes
from transcoding.errors import EXPORT_AGAIN, InputRejected, TranscodeError
from transcoding.probing.clock import Clock, measure_clock, parse_clock_packets
from transcoding.probing.media import MediaInfo
from transcoding.probing.timing import first_lines
from transcoding.sniffing.container import DEMUXERS
from transcoding.sniffing.packed import PACKED_HEAD_BYTES, has_packed_b_frames
from workers.lease.control import StepControl
from workers.tools import Tools

_MAX_GROWTH = 2
_GROWTH_SLACK_BYTES = 64 << 20
_LINES_PER_MOVE = 512
CLOCKED = frozenset({"mpegts", "mpegps", "flv"})
"""Families with a clock that goes on while nothing is shown. Their length is an estimate from its ends."""
_WITHOUT_CLOCK = frozenset({"avi"})
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

    def copy(self, path: Path, family: str, media: MediaInfo, folder: Path) -> IndexedCopy:
        """Copy the streams into Matroska in a folder.

        Where the container does not take all of them, it gets fewer: last the video track, or audio track, alone.
        """
        source, media = self._unpacked(path, family, media, folder)
        clock = self._clock(source, family, media)
        indexed = folder / "indexed.mkv"
        late = bool(clock.shifts) and self._tools.ffmpeg.version().startswith(FILTERS_LATE)
        attempts = [(chosen, order) for chosen in _fewer(media) for order in _orders(family, media)]
        for number, (chosen, order) in enumerate(attempts, start=1):
            command = index_command(
                str(source),
                demuxer=DEMUXERS[family],
                videos=(chosen.video, *chosen.others) if chosen.video_stream else (),
                audio=chosen.audio,
                shifts=clock.shifts,
                order=order,
                late=late,
            )
            self._budget.grant_copy(path.stat().st_size)
            try:
                self.run(command, INDEXED, source, indexed)
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
        command = unpack_command(str(path), streams=[media.video.index, *(track.index for track in media.audio)])
        self.run(command, UNPACKED, path, unpacked)
        audio = tuple(replace(track, index=number) for number, track in enumerate(media.audio, start=1))
        return unpacked, replace(media, video_stream=replace(media.video, index=0), others=(), audio=audio)

    def _clock(self, path: Path, family: str, media: MediaInfo) -> Clock:
        """Read the times of all packets that are copied."""
        if family in _WITHOUT_CLOCK:
            return Clock()
        main = media.video_stream or media.audio[0]
        streams = [main.index, *(each.index for each in media.others), *(track.index for track in media.audio)]
        packets = parse_clock_packets(self._lines(path, family), streams)
        return measure_clock(packets, video=main.index, steady=family in CLOCKED)

    def _lines(self, path: Path, family: str) -> Iterator[str]:
        lines = self._tools.ffprobe.clock_packets(
            path, demuxer=DEMUXERS[family], stop=self._control, budget=self._budget
        )
        return first_lines(self._tools.config.limits.max_streams * MAX_SAMPLES, moving(lines, self._control))

    def run(self, command: FfmpegCommand, target: str, source: Path, copy: Path) -> None:
        """Run a command that copies streams, with all of its bounds."""
        allowed = _MAX_GROWTH * source.stat().st_size + _GROWTH_SLACK_BYTES

        def grown(frames: int) -> None:
            self._control.moved(frames)
            refuse_growth(copy, allowed)

        self._tools.ffmpeg.run(
            command,
            {target: copy},
            stop=self._control,
            output_bytes=allowed,
            on_frames=grown,
            budget=self._budget,
        )
        refuse_growth(copy, allowed)


def _fewer(media: MediaInfo) -> Iterator[MediaInfo]:
    """Yield the streams to copy, fewer each time, and last the video track alone, or the first audio track."""
    yield media
    if media.others:
        yield replace(media, others=())
    if len(media.audio) > 1:
        yield replace(media, others=(), audio=media.audio[:1])
    if media.audio and media.video_stream:
        yield replace(media, others=(), audio=())


def _orders(family: str, media: MediaInfo) -> Sequence[str]:
    """Return the ways of generating times, best first; empty: as the demuxer does."""
    ordered = family in _WITHOUT_CLOCK and media.video_stream and media.video.codec in ORDERED_CODECS
    return (BY_ORDER, BY_DECODING) if ordered else ("",)


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
