"""Inspect a source once: what is in it, and when each of its frames is shown."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import IO

from execution.budget import InspectionBudget
from execution.scratch import temporary_folder
from jobs.leasing.steps import StepWork
from jobs.lifecycle.outcomes import video_inspected
from storage.keys import indexed_key
from transcoding.color import ColorSpace
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.remux import index_command
from transcoding.containers.bounds import MAX_SAMPLES, refuse_unbounded
from transcoding.containers.boxes import top_level_kinds
from transcoding.containers.mp4_index import READABLE_CODECS, Mp4Index
from transcoding.containers.spans import covers
from transcoding.errors import InputRejected, TranscodeError
from transcoding.probing.decoders import DECODERS
from transcoding.probing.media import MediaInfo, SourceFacts, parse_ffprobe, source_facts
from transcoding.probing.sniff import DEMUXERS, HEAD_BYTES, NOT_A_VIDEO, sniff
from transcoding.probing.timing import FrameTiming, Packet, first_lines, measure_timing, parse_packets
from videos.models import Video
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.source.working_copy import WholeNeeded, WorkingCopy
from workers.tools import Tools

INDEXED_CONTENT_TYPE = "video/x-matroska"
_INDEX_TARGET = "indexed"
_INDEXED_DEMUXER = "matroska"
_MAX_GROWTH = 2
_GROWTH_SLACK_BYTES = 64 << 20
_LINES_PER_MOVE = 512
_OPENED_TOGETHER_FRAMES = 300_000
"""Frames of an index up to which several programs have it in memory at a time, which is faster."""

log = logging.getLogger(__name__)


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Measure the source, remux it first where its container has no index, and let the waiting jobs be planned."""
    reader = tools.source_reader(work.video, control)
    inspection = Inspection(tools, control)
    found = reader.read(None, Mp4Index.opening, lambda copy: inspection.inspect(copy, work.video), look=inspection.look)

    def complete() -> None:
        video_inspected(
            claim=work.claim,
            facts=found.facts.to_json(),
            media=_for_people(found),
            warnings=list(found.facts.warnings),
            policy=tools.policy,
            result=reader.report,
        )

    retry_write(complete, control)


@dataclass(frozen=True, slots=True)
class _Found:
    """Findings of an inspection: the container family, what the header says, and what was measured."""

    family: str
    media: MediaInfo
    facts: SourceFacts


class Inspection:
    """The programs that open a source to find out what it is, with one budget of processor time and memory."""

    def __init__(self, tools: Tools, control: StepControl) -> None:
        self._tools = tools
        self._control = control
        self._budget = InspectionBudget(tools.config.limits.max_inspect_seconds)

    def look(self, file: IO[bytes], size: int) -> None:
        """Read the index, before any program does. Raises InputRejected for one that announces too much."""
        refuse_unbounded(file, size, max_tracks=self._tools.config.limits.max_streams)
        self._budget.check()

    def inspect(self, copy: WorkingCopy, video: Video) -> _Found:
        """Measure a source; a whole one is remuxed first and stored where its container has no index."""
        path, family = copy.path, _family(copy.path)
        if family == "mov" and copy.index is None:
            with path.open("rb") as file:
                self.look(file, path.stat().st_size)
        media = self._media(copy, DEMUXERS[family])
        _refuse_beyond_limits(media, self._tools)
        _refuse_other_codecs(media)
        if copy.index:
            return _Found(family, media, self._measure_parts(path, copy.index, media))
        if _has_index(path, family, media):
            return _Found(family, media, self._measure(path, DEMUXERS[family], media, remuxed=False))
        with temporary_folder(self._tools.scratch, "inspect-") as folder:
            indexed = self._remux(path, media, folder)
            copied = self._media(WorkingCopy(indexed), _INDEXED_DEMUXER)
            facts = self._measure(indexed, _INDEXED_DEMUXER, copied, remuxed=True)
            self._tools.store.put_file(indexed_key(video.id), indexed, INDEXED_CONTENT_TYPE, self._control.moved)
        return _Found(family, media, facts)

    def _media(self, copy: WorkingCopy, demuxer: str) -> MediaInfo:
        return parse_ffprobe(
            self._tools.ffprobe.streams(
                copy.path, demuxer=demuxer, on_stderr_line=copy.stderr_line, budget=self._budget
            )
        )

    def _measure(self, path: Path, demuxer: str, media: MediaInfo, *, remuxed: bool) -> SourceFacts:
        """Walk all packets of the video track: ffmpeg's own idea of rate and length is an estimate."""
        lines = self._tools.ffprobe.packets(
            path, demuxer=demuxer, stream=media.video.index, stop=self._control, budget=self._budget
        )
        return source_facts(media, self._timing(self._packets(lines), media), demuxer=demuxer, remuxed=remuxed)

    def _measure_parts(self, path: Path, index: Mp4Index, media: MediaInfo) -> SourceFacts:
        """Measure like `_measure`, without the packets' bytes, which do not matter to their times; check the index.

        Every packet that ffmpeg will ever read must be where the index says. Raises WholeNeeded otherwise.
        """
        if media.video.codec not in READABLE_CODECS:
            raise WholeNeeded(f"{media.video.codec} cannot be read in parts")

        def opened(stream: int, *, parsed: bool = False) -> Iterator[Packet]:
            lines = self._tools.ffprobe.open_packets(
                path,
                demuxer=DEMUXERS["mov"],
                stream=stream,
                stop=self._control,
                parsed=parsed,
                budget=self._budget,
            )
            return self._packets(running.enter_context(lines))

        def packets(stream: int, *, parsed: bool = False) -> Iterator[Packet]:
            """Start the program now, or for a long film when its first packet is read."""
            if len(index.frames.offsets) > _OPENED_TOGETHER_FRAMES:
                return chain.from_iterable(opened(stream, parsed=parsed) for _ in range(1))
            return opened(stream, parsed=parsed)

        with ExitStack() as running:
            parsed, contained = packets(media.video.index, parsed=True), packets(media.video.index)
            audio = [(track.index, packets(track.index)) for track in media.audio[:1]]
            first = next(parsed, None)
            try:
                timing: FrameTiming | InputRejected = self._timing(chain([first] if first else [], parsed), media)
            except InputRejected as refusal:
                timing = refusal  # if these are the right packets
            shift = index.shift_to(contained)
            if shift is None or not all(covers(index.audio(stream), found) for stream, found in audio):
                raise WholeNeeded("ffmpeg reads its index in another way")
        if first is None or not first.key:
            raise WholeNeeded("it does not start with a key frame")
        if isinstance(timing, InputRejected):
            raise timing
        facts = source_facts(media, timing, demuxer=DEMUXERS["mov"], remuxed=False)
        return replace(facts, sample_shift=shift)

    def _packets(self, lines: Iterator[str]) -> Iterator[Packet]:
        limits = self._tools.config.limits
        number = min(limits.max_duration_seconds * limits.max_frame_rate, MAX_SAMPLES)
        return parse_packets(first_lines(number, _moving(lines, self._control)))

    def _timing(self, packets: Iterable[Packet], media: MediaInfo) -> FrameTiming:
        return measure_timing(packets, media.video.time_base, max_rate=self._tools.config.limits.max_frame_rate)

    def _remux(self, source: Path, media: MediaInfo, folder: Path) -> Path:
        """Copy the streams into a container with an index; nothing is encoded.

        Where another audio track than the first does not bear that, the first is copied alone.
        """
        indexed, demuxer = folder / "indexed.mkv", DEMUXERS[_family(source)]
        self._budget.grant_copy(source.stat().st_size)
        try:
            self._copy_streams(index_command(str(source), demuxer=demuxer, audio=media.audio), source, indexed)
        except TranscodeError:
            if len(media.audio) <= 1:
                raise
            log.info("only the first audio track is copied", extra={"event": "audio_tracks_left_out"})
            first = index_command(str(source), demuxer=demuxer, audio=media.audio[:1])
            self._copy_streams(first, source, indexed)
        return indexed

    def _copy_streams(self, command: FfmpegCommand, source: Path, indexed: Path) -> None:
        allowed = _MAX_GROWTH * source.stat().st_size + _GROWTH_SLACK_BYTES

        def grown(frames: int) -> None:
            self._control.moved(frames)
            refuse_growth(indexed, allowed)

        self._tools.ffmpeg.run(
            command,
            {_INDEX_TARGET: indexed},
            stop=self._control,
            output_bytes=allowed,
            on_frames=grown,
            budget=self._budget,
        )
        refuse_growth(indexed, allowed)


def _family(source: Path) -> str:
    """The container family, from the bytes themselves: what the upload said is not believed."""
    with source.open("rb") as file:
        family = sniff(file.read(HEAD_BYTES))
    if family is None:
        raise InputRejected(NOT_A_VIDEO)
    return family


def _refuse_beyond_limits(media: MediaInfo, tools: Tools) -> None:
    limits = tools.config.limits
    for size in (media.coded, media.video.display):
        if size.width * size.height > limits.max_pixels:
            raise InputRejected(f"a frame has {size.width}x{size.height} pixels; {limits.max_pixels} are allowed")
    if media.streams > limits.max_streams:
        raise InputRejected(f"the file has {media.streams} streams; {limits.max_streams} are allowed")
    if media.duration and media.duration > limits.max_duration_seconds:
        raise InputRejected(f"the video lasts {float(media.duration):.0f} s; {limits.max_duration_seconds} are allowed")


def _refuse_other_codecs(media: MediaInfo) -> None:
    """Raise InputRejected for a codec that no step has a decoder for: see transcoding.probing.decoders."""
    codecs = [media.video.codec, *(track.codec for track in media.audio[:1])]
    if refused := [codec for codec in codecs if codec not in DECODERS]:
        raise InputRejected(f"{refused[0]} is not among the codecs that are accepted")


def _has_index(source: Path, family: str, media: MediaInfo) -> bool:
    """Tell whether ffmpeg can seek exactly in the source as it is: plain MP4 and QuickTime, and finished Matroska."""
    if family == "mov":
        with source.open("rb") as file:
            return "moof" not in top_level_kinds(file)
    return family == _INDEXED_DEMUXER and media.duration is not None


def refuse_growth(copy: Path, allowed: int) -> None:
    """Refuse a file whose copy becomes far larger than itself: packets that overlap are written once for each."""
    if copy.exists() and copy.stat().st_size > allowed:
        raise InputRejected(f"the copy of the file's streams is larger than {allowed} bytes")


def _moving(lines: Iterator[str], control: StepControl) -> Iterator[str]:
    for block in iter(lambda: list(islice(lines, _LINES_PER_MOVE)), []):
        control.moved()
        yield from block


def _color(color: ColorSpace) -> dict[str, object]:
    names = {
        "color_primaries": color.primaries,
        "color_transfer": color.transfer,
        "color_matrix": color.matrix,
        "color_range": color.range,
    }
    return {"hdr": color.hdr} | {name: None if value == "unknown" else value for name, value in names.items()}


def _for_people(found: _Found) -> dict[str, object]:
    """Return what the API shows of a source."""
    family, media, facts = found.family, found.media, found.facts
    return {
        "container": family,
        "duration": float(facts.grid().duration),
        "width": media.video.display.width,
        "height": media.video.display.height,
        "codec": media.video.codec,
        "frame_rate": round(float(facts.rate), 3),
        "constant_frame_rate": facts.constant,
        "rotation": media.video.rotation,
        "pixel_format": media.video.pixel_format,
        "interlaced": media.video.interlaced,
        **_color(media.video.color or ColorSpace()),
        "bitrate": media.video.bit_rate,
        "audio_codec": media.audio[0].codec if media.audio else None,
        "audio_channels": media.audio[0].channels if media.audio else None,
    }
