"""Inspect a source once: what is in it, and when each of its frames is shown."""

from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO

from execution.budget import InspectionBudget
from execution.scratch import temporary_folder
from jobs.leasing.steps import StepWork
from jobs.lifecycle.outcomes import video_inspected
from storage.keys import indexed_key, video_prefix
from transcoding.containers.bounds import refuse_unbounded
from transcoding.containers.boxes import top_level_kinds
from transcoding.containers.cropping import crop_in_mp4
from transcoding.containers.ending import announced_bytes
from transcoding.containers.matroska_video import crop_in_matroska
from transcoding.containers.mp4_index import Mp4Index
from transcoding.containers.references import refuse_references
from transcoding.containers.sample_entry import dolby_vision_in_mp4
from transcoding.containers.transport_parts import Renumbering
from transcoding.errors import InputRejected
from transcoding.probing.clock_packets import ClockGoesBack
from transcoding.probing.color import refuse_foreign_colors
from transcoding.probing.decoders import DECODERS, codec_refused
from transcoding.probing.description import describe
from transcoding.probing.facts import NOTHING, Condition, LeftOut, SourceFacts
from transcoding.probing.geometry import cropped
from transcoding.probing.media import MediaInfo
from transcoding.probing.streams import VideoStream
from transcoding.sniffing.container import (
    DEMUXERS,
    HEAD_BYTES,
    READ_AS_THEY_ARE,
    Container,
    find_in_file,
)
from transcoding.sniffing.refused import refusal
from videos.models import Video
from videos.parts import least_rate
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.source.prepared import PREPARED_DEMUXERS, is_readable, prepared
from workers.source.renumbered import renumbering_of, write_renumbered
from workers.source.working_copy import WholeNeeded, WorkingCopy
from workers.steps.indexing import CLOCKED, COUNTING, IndexedCopy, Indexing
from workers.steps.measuring import INDEXED_DEMUXER, MeasuredFile, Measuring
from workers.steps.readable import ReadableCopies
from workers.tools import Tools

INDEXED_CONTENT_TYPE = "video/x-matroska"


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Measure the source, remux it first where its container has no index, and let the waiting jobs be planned."""
    reader = tools.source_reader(work.video, control)
    inspection = Inspection(tools, control, least_rate=least_rate(work.video))
    found = reader.read(None, Mp4Index.opening, lambda copy: inspection.inspect(copy, work.video), look=inspection.look)
    key = indexed_key(work.video.id)
    copies = {key.removeprefix(video_prefix(work.video.id)): tools.store.head(key).size} if found.facts.remuxed else {}

    def complete() -> None:
        video_inspected(
            claim=work.claim,
            facts=found.facts.to_json(),
            media=describe(found.family, found.facts),
            warnings=[warning.to_document() for warning in found.facts.warnings],
            working_copies=copies,
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
    """The programs that open a source to find out what it is, with one budget of processor time and memory.

    `least_rate` is that of the fastest part of a source that was made of others.
    """

    def __init__(self, tools: Tools, control: StepControl, *, least_rate: Fraction | None = None) -> None:
        self._tools = tools
        self._control = control
        self._budget = InspectionBudget(tools.config.limits.max_inspect_seconds)
        self._indexing = Indexing(tools, control, self._budget)
        self._measuring = Measuring(tools, control, self._budget, least_rate)

    def look(self, file: IO[bytes], size: int) -> None:
        """Read the index, before any program does. Raises InputRejected for one that announces too much."""
        refuse_unbounded(file, size, max_tracks=self._tools.config.limits.max_streams, check=self._check)
        refuse_references(file, size, check=self._check)
        self._budget.check()

    def _check(self) -> None:
        """Report that the inspection moves. Raises what ends it."""
        self._control.moved()
        self._budget.check()

    def inspect(self, copy: WorkingCopy, video: Video) -> _Found:
        """Measure a source; a whole one is remuxed first and stored where its container has no index."""
        if copy.index and video.measure_loudness:
            raise WholeNeeded("all of its audio is measured")
        container = _container(copy.path)
        parts = self._renumbering(copy.path) if container.family == "mpegts" else Renumbering()
        if is_readable(container) and not parts.stretches:
            return self._inspect(copy, container.family, video, left_out=parts.left_out)
        with temporary_folder(self._tools.scratch, "prepare-") as folder:
            path = self._prepare(copy, container, parts, folder)
            if container.family in PREPARED_DEMUXERS:
                return self._inspect_prepared(path, container.family, video)
            return self._inspect(WorkingCopy(path), container.family, video, in_place=False, left_out=parts.left_out)

    def _renumbering(self, path: Path) -> Renumbering:
        return renumbering_of(path, max_streams=self._tools.config.limits.max_streams, check=self._check)

    def _inspect_prepared(self, path: Path, family: str, video: Video) -> _Found:
        """Inspect a copy in which frames have the times that they should have."""
        demuxer = PREPARED_DEMUXERS[family]
        media = self._measuring.media(WorkingCopy(path), demuxer)
        _refuse_beyond_limits(media, self._tools, family)
        return _Found(
            family, media, self._of_copy(video, MeasuredFile(path=path, demuxer=demuxer, media=media, source=media))
        )

    def _prepare(self, copy: WorkingCopy, container: Container, parts: Renumbering, folder: Path) -> Path:
        """Make a file that ffmpeg reads as it should."""
        self._budget.grant_copy(copy.path.stat().st_size)
        if parts.stretches:
            path = folder / "renumbered"
            write_renumbered(copy.path, path, parts, start=container.start, check=self._check)
        else:
            path = prepared(
                copy.path,
                container,
                folder,
                media=lambda path: self._measuring.media(WorkingCopy(path), DEMUXERS[container.family]),
                max_seconds=self._tools.config.limits.max_duration_seconds,
                check=self._check,
            )
        self._budget.copied(path.stat().st_size)
        return path

    def _inspect(
        self, copy: WorkingCopy, family: str, video: Video, *, in_place: bool = True, left_out: LeftOut = NOTHING
    ) -> _Found:
        path = copy.path
        if family == "mov" and copy.index is None:
            with path.open("rb") as file:
                self.look(file, path.stat().st_size)
        try:
            media = _cropped(self._measuring.media(copy, DEMUXERS[family]), path, family)
        except InputRejected as refusal:
            if copy.index:
                raise WholeNeeded(str(refusal)) from refusal
            return self._inspect_readable(path, family, video, refusal, left_out)
        _refuse_beyond_limits(media, self._tools, family)
        _refuse_other_codecs(media)
        condition = Condition(missing=_missing_share(path, family), left_out=left_out)
        upload = MeasuredFile(path=path, demuxer=DEMUXERS[family], media=media, condition=condition)
        if media.video_stream is None and family not in CLOCKED:
            return _Found(family, media, self._inspect_audio(upload, copy, video, in_place=in_place))
        if media.video_stream:
            refuse_foreign_colors(media.video)
        if copy.index:
            return _Found(family, media, self._measuring.parts(copy, copy.index, media, condition))
        if in_place and _has_index(path, family, media):
            with suppress(ClockGoesBack):
                return _Found(family, media, self._measuring.facts(upload, loudness=video.measure_loudness))
        with temporary_folder(self._tools.scratch, "inspect-") as folder:
            indexed = self._indexing.copy(path, family, media, folder)
            return _Found(family, media, self._of_indexed(indexed, upload, video))

    def _of_indexed(self, indexed: IndexedCopy, upload: MeasuredFile, video: Video) -> SourceFacts:
        """Measure a copy with an index, whose clock is mended."""
        copied = self._measuring.media(WorkingCopy(indexed.path), INDEXED_DEMUXER).as_copied_from(indexed.streams)
        condition = replace(upload.condition, clock=indexed.clock)
        file = MeasuredFile(path=indexed.path, demuxer=INDEXED_DEMUXER, media=copied, condition=condition)
        return self._of_copy(video, replace(file, source=upload.media))

    def _inspect_audio(self, upload: MeasuredFile, copy: WorkingCopy, video: Video, *, in_place: bool) -> SourceFacts:
        """Measure a source without video. Nobody seeks in it, so it is its own working copy, or what was made of it."""
        if in_place:
            return self._measuring.facts(replace(upload, index=copy.index), loudness=video.measure_loudness)
        return self._of_copy(video, replace(upload, source=upload.media))

    def _inspect_readable(
        self, path: Path, family: str, video: Video, refusal: InputRejected, left_out: LeftOut
    ) -> _Found:
        """Inspect a copy of the streams that can be read. Raises the refusal of the whole where nothing can."""
        copies = ReadableCopies(self._tools, self._control, self._budget, self._indexing.run)
        with temporary_folder(self._tools.scratch, "inspect-") as folder:
            copy = copies.make(path, family, DEMUXERS[family], folder, refusal)
            lit = self._measuring.with_light(WorkingCopy(copy.path), copy.demuxer, copy.media)
            media = _cropped(lit, path, family)
            _refuse_beyond_limits(media, self._tools, family)
            _refuse_other_codecs(media)
            condition = Condition(missing=_missing_share(path, family), left_out=left_out)
            readable = MeasuredFile(
                path=copy.path, demuxer=copy.demuxer, media=media, condition=condition, source=copy.source
            )
            joinable = family in CLOCKED or family == INDEXED_DEMUXER
            if joinable or (family in COUNTING and media.video_stream):
                indexed = self._indexing.copy(path, family, media.in_source, folder, openable=False)
                facts = self._of_indexed(indexed, replace(readable, media=copy.source), video)
            else:
                facts = self._of_copy(video, readable)
        return _Found(family, media, facts)

    def _of_copy(self, video: Video, file: MeasuredFile) -> SourceFacts:
        """Measure a copy, and store it for the steps that encode."""
        facts = self._measuring.facts(file, loudness=video.measure_loudness)
        self._tools.store.put_file(indexed_key(video.id), file.path, INDEXED_CONTENT_TYPE, self._control.moved)
        return facts


def _container(source: Path) -> Container:
    """The container, from the bytes themselves: what the upload said is not believed."""
    with source.open("rb") as file:
        container = find_in_file(file)
        if container is None:
            file.seek(0)
            raise InputRejected(refusal(file.read(HEAD_BYTES)))
    return container


def _cropped(media: MediaInfo, source: Path, family: str) -> MediaInfo:
    """Return the streams with what the container has players leave out, which ffprobe does not say.

    Of MP4 also with the configuration of Dolby Vision, which a copy of some of its streams has lost.
    """
    if media.video_stream is None:
        return media
    size = source.stat().st_size

    def shown(video: VideoStream) -> VideoStream:
        track = video.index if video.source_index is None else video.source_index
        if family == "mov" and video.coded:
            sides = {"width": video.coded.width, "height": video.coded.height}
            dolby = video.dolby_vision or dolby_vision_in_mp4(file, size, track=track)
            return cropped(replace(video, dolby_vision=dolby), crop_in_mp4(file, size, track=track, **sides))
        if family == INDEXED_DEMUXER:
            return cropped(video, *crop_in_matroska(file, size, track=track))
        return video

    with source.open("rb") as file:
        return replace(media, video_stream=shown(media.video), others=tuple(map(shown, media.others)))


def _refuse_beyond_limits(media: MediaInfo, tools: Tools, family: str) -> None:
    """Raise InputRejected for more than is allowed. The length of a clock that may jump is not known yet."""
    limits = tools.config.limits
    video = media.video_stream
    for size in filter(None, (video.coded, video.display) if video else ()):
        if size.pixels > limits.max_pixels:
            raise InputRejected(
                f"a frame has {size.width}x{size.height} pixels; {limits.max_pixels} are allowed: export a smaller one"
            )
    if len(media.streams) > limits.max_streams:
        raise InputRejected(
            f"the file has {len(media.streams)} streams; {limits.max_streams} are allowed: export those that matter"
        )
    if family not in CLOCKED and media.duration and media.duration > limits.max_duration_seconds:
        raise InputRejected(
            f"the video lasts {float(media.duration):.0f} s; {limits.max_duration_seconds} are allowed: cut it"
        )


def _refuse_other_codecs(media: MediaInfo) -> None:
    """Raise InputRejected for a codec that no step has a decoder for: see transcoding.probing.decoders."""
    video = media.video_stream
    if video and video.codec not in DECODERS:
        raise codec_refused(video.codec)


def _missing_share(path: Path, family: str) -> Fraction:
    """Return the share of the bytes that a file announces and does not have."""
    size = path.stat().st_size
    with path.open("rb") as file:
        announced = announced_bytes(file, size, family)
    return Fraction(announced - size, announced) if announced else Fraction(0)


def _has_index(source: Path, family: str, media: MediaInfo) -> bool:
    """Tell whether ffmpeg reads the source as it is: plain MP4 and QuickTime, finished Matroska, animated images."""
    if family == "mov":
        with source.open("rb") as file:
            return "moof" not in top_level_kinds(file)
    return family in READ_AS_THEY_ARE or (family == INDEXED_DEMUXER and media.duration is not None)
