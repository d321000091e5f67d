"""Inspect a source once: what is in it, and when each of its frames is shown."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.leasing.steps import StepWork
from jobs.lifecycle.outcomes import video_inspected
from storage.keys import indexed_key
from transcoding.color import ColorSpace
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.remux import index_command
from transcoding.containers.boxes import top_level_kinds
from transcoding.containers.mp4_index import READABLE_CODECS, Mp4Index
from transcoding.containers.spans import covers
from transcoding.errors import InputRejected, TranscodeError
from transcoding.probing.decoders import DECODERS
from transcoding.probing.media import MediaInfo, SourceFacts, parse_ffprobe, source_facts
from transcoding.probing.sniff import DEMUXERS, HEAD_BYTES, NOT_A_VIDEO, sniff
from transcoding.probing.timing import Packet, first_lines, measure_timing, parse_packets
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

log = logging.getLogger(__name__)


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Measure the source, remux it first where its container has no index, and let the waiting jobs be planned."""
    reader = tools.source_reader(work.video, control)
    found = reader.read(None, Mp4Index.opening, lambda copy: _inspect(copy, work.video, tools, control))

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


def _inspect(copy: WorkingCopy, video: Video, tools: Tools, control: StepControl) -> _Found:
    family = _family(copy.path)
    media = _media(copy, DEMUXERS[family], tools)
    _refuse_beyond_limits(media, tools)
    _refuse_other_codecs(media)
    if copy.index:
        return _Found(family, media, _measure_parts(copy.path, copy.index, media, tools, control))
    if _has_index(copy.path, family, media):
        return _Found(family, media, _measure(copy.path, DEMUXERS[family], media, tools, control, remuxed=False))
    with _folder(tools) as folder:
        indexed = _remux(copy.path, media, folder, tools, control)
        copied = _media(WorkingCopy(indexed), _INDEXED_DEMUXER, tools)
        facts = _measure(indexed, _INDEXED_DEMUXER, copied, tools, control, remuxed=True)
        tools.store.put_file(indexed_key(video.id), indexed, INDEXED_CONTENT_TYPE, control.moved)
    return _Found(family, media, facts)


@contextmanager
def _folder(tools: Tools) -> Iterator[Path]:
    """A scratch folder that is gone afterwards, however the step ends short of a kill."""
    folder = Path(tempfile.mkdtemp(prefix="inspect-", dir=tools.scratch))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _family(source: Path) -> str:
    """The container family, from the bytes themselves: what the upload said is not believed."""
    with source.open("rb") as file:
        family = sniff(file.read(HEAD_BYTES))
    if family is None:
        raise InputRejected(NOT_A_VIDEO)
    return family


def _media(copy: WorkingCopy, demuxer: str, tools: Tools) -> MediaInfo:
    return parse_ffprobe(tools.ffprobe.streams(copy.path, demuxer=demuxer, on_stderr_line=copy.stderr_line))


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


def _remux(source: Path, media: MediaInfo, folder: Path, tools: Tools, control: StepControl) -> Path:
    """Copy the streams into a container with an index; nothing is encoded.

    Where another audio track than the first does not bear that, the first is copied alone.
    """
    indexed, demuxer = folder / "indexed.mkv", DEMUXERS[_family(source)]
    try:
        _copy_streams(index_command(str(source), demuxer=demuxer, audio=media.audio), source, indexed, tools, control)
    except TranscodeError:
        if len(media.audio) <= 1:
            raise
        log.info("only the first audio track is copied", extra={"event": "audio_tracks_left_out"})
        first = index_command(str(source), demuxer=demuxer, audio=media.audio[:1])
        _copy_streams(first, source, indexed, tools, control)
    return indexed


def _copy_streams(command: FfmpegCommand, source: Path, indexed: Path, tools: Tools, control: StepControl) -> None:
    allowed = _MAX_GROWTH * source.stat().st_size + _GROWTH_SLACK_BYTES

    def grown(frames: int) -> None:
        control.moved(frames)
        refuse_growth(indexed, allowed)

    tools.ffmpeg.run(
        command,
        {_INDEX_TARGET: indexed},
        stop=control,
        output_bytes=allowed,
        on_frames=grown,
    )
    refuse_growth(indexed, allowed)


def refuse_growth(copy: Path, allowed: int) -> None:
    """Refuse a file whose copy becomes far larger than itself: packets that overlap are written once for each."""
    if copy.exists() and copy.stat().st_size > allowed:
        raise InputRejected(f"the copy of the file's streams is larger than {allowed} bytes")


def _measure(  # noqa: PLR0913 - a file and what reads it
    path: Path, demuxer: str, media: MediaInfo, tools: Tools, control: StepControl, *, remuxed: bool
) -> SourceFacts:
    """Walk all packets of the video track: ffmpeg's own idea of rate and length is an estimate."""
    lines = tools.ffprobe.packets(path, demuxer=demuxer, stream=media.video.index, stop=control)
    limits = tools.config.limits
    lines = first_lines(limits.max_duration_seconds * limits.max_frame_rate, _moving(lines, control))
    timing = measure_timing(parse_packets(lines), media.video.time_base)
    return source_facts(media, timing, demuxer=demuxer, remuxed=remuxed)


def _measure_parts(path: Path, index: Mp4Index, media: MediaInfo, tools: Tools, control: StepControl) -> SourceFacts:
    """Measure like `_measure`, without the packets' bytes, which do not matter to their times, and check the index.

    Every packet that ffmpeg will ever read must be where the index says. Raises WholeNeeded otherwise.
    """
    if media.video.codec not in READABLE_CODECS:
        raise WholeNeeded(f"{media.video.codec} cannot be read in parts")

    def packets(stream: int, *, parsed: bool = False) -> Iterator[Packet]:
        opened = tools.ffprobe.open_packets(path, demuxer=DEMUXERS["mov"], stream=stream, stop=control, parsed=parsed)
        return parse_packets(_moving(running.enter_context(opened), control))

    with ExitStack() as running:
        parsed, contained = packets(media.video.index, parsed=True), packets(media.video.index)
        audio = [(track.index, packets(track.index)) for track in media.audio[:1]]
        frames, shift = list(parsed), index.shift_to(contained)
        if shift is None or not all(covers(index.audio(stream), found) for stream, found in audio):
            raise WholeNeeded("ffmpeg reads its index in another way")
    if not frames[0].key:
        raise WholeNeeded("it does not start with a key frame")
    timing = measure_timing(frames, media.video.time_base)
    facts = source_facts(media, timing, demuxer=DEMUXERS["mov"], remuxed=False)
    return replace(facts, sample_shift=shift)


def _moving(lines: Iterator[str], control: StepControl) -> Iterator[str]:
    for line in lines:
        control.moved()
        yield line


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
