"""Inspect a source once: what is in it, and when each of its frames is shown."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import IO

from execution.budget import InspectionBudget
from execution.scratch import temporary_folder
from jobs.leasing.steps import StepWork
from jobs.lifecycle.outcomes import video_inspected
from storage.keys import indexed_key
from transcoding.commands.loudness import NOTHING_TARGET, loudness_command, parse_loudness
from transcoding.containers.bounds import MAX_SAMPLES, refuse_unbounded
from transcoding.containers.boxes import top_level_kinds
from transcoding.containers.cropping import crop_in_mp4
from transcoding.containers.ending import announced_bytes
from transcoding.containers.matroska_video import crop_in_matroska
from transcoding.containers.mp4_index import READABLE_CODECS, Mp4Index
from transcoding.containers.references import refuse_references
from transcoding.containers.sample_entry import dolby_vision_in_mp4
from transcoding.containers.spans import covers
from transcoding.errors import InputRejected, TranscodeError
from transcoding.probing.audio_facts import audio_facts
from transcoding.probing.audio_timing import AudioMeter
from transcoding.probing.clock import ClockGoesBack, going_forward
from transcoding.probing.color import first_frame_metadata, refuse_foreign_colors
from transcoding.probing.decoders import DECODERS, codec_refused
from transcoding.probing.description import describe
from transcoding.probing.facts import Condition, SourceFacts, source_facts
from transcoding.probing.geometry import cropped
from transcoding.probing.media import MediaInfo, parse_ffprobe
from transcoding.probing.streams import AudioStream, Loudness, VideoStream
from transcoding.probing.timing import FrameTiming, Packet, first_lines, measure_timing, parse_packets
from transcoding.sniffing.container import (
    DEMUXERS,
    FROM_BEGINNING,
    HEAD_BYTES,
    READ_AS_THEY_ARE,
    Container,
    find_in_file,
)
from transcoding.sniffing.refused import refusal
from videos.models import Video
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.source.prepared import PREPARED_DEMUXERS, is_readable, prepared
from workers.source.working_copy import WholeNeeded, WorkingCopy
from workers.steps.audio_spans import with_spans
from workers.steps.frame_samples import Fetch, FrameSamples
from workers.steps.indexing import CLOCKED, COUNTING, IndexedCopy, Indexing, moving
from workers.steps.readable import ReadableCopies
from workers.tools import Tools

INDEXED_CONTENT_TYPE = "video/x-matroska"
_INDEXED_DEMUXER = "matroska"
_LOUDNESS_SPEED = 10
"""Seconds of audio that are measured in a second of processor time, at least: a tenth of what was measured."""
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
            media=describe(found.family, found.facts),
            warnings=[warning.to_document() for warning in found.facts.warnings],
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
        self._indexing = Indexing(tools, control, self._budget)

    def look(self, file: IO[bytes], size: int) -> None:
        """Read the index, before any program does. Raises InputRejected for one that announces too much."""
        refuse_unbounded(file, size, max_tracks=self._tools.config.limits.max_streams)
        refuse_references(file, size)
        self._budget.check()

    def inspect(self, copy: WorkingCopy, video: Video) -> _Found:
        """Measure a source; a whole one is remuxed first and stored where its container has no index."""
        if copy.index and video.measure_loudness:
            raise WholeNeeded("all of its audio is measured")
        container = _container(copy.path)
        if is_readable(container):
            return self._inspect(copy, container.family, video)
        with temporary_folder(self._tools.scratch, "prepare-") as folder:
            path = self._prepare(copy, container, folder)
            if container.family in PREPARED_DEMUXERS:
                return self._inspect_prepared(path, container.family, video)
            return self._inspect(WorkingCopy(path), container.family, video, in_place=False)

    def _inspect_prepared(self, path: Path, family: str, video: Video) -> _Found:
        """Inspect a copy in which frames have the times that they should have, and store it."""
        demuxer = PREPARED_DEMUXERS[family]
        media = self._media(WorkingCopy(path), demuxer)
        _refuse_beyond_limits(media, self._tools, family)
        facts = self._measure_all(video, path, demuxer, media, Condition(), source=media)
        self._tools.store.put_file(indexed_key(video.id), path, INDEXED_CONTENT_TYPE, self._control.moved)
        return _Found(family, media, facts)

    def _prepare(self, copy: WorkingCopy, container: Container, folder: Path) -> Path:
        """Make a file that ffmpeg reads as it should."""
        self._budget.grant_copy(copy.path.stat().st_size)

        def check() -> None:
            self._control.moved()
            self._budget.check()

        return prepared(
            copy.path,
            container,
            folder,
            media=lambda path: self._media(WorkingCopy(path), DEMUXERS[container.family]),
            max_seconds=self._tools.config.limits.max_duration_seconds,
            check=check,
        )

    def _inspect(self, copy: WorkingCopy, family: str, video: Video, *, in_place: bool = True) -> _Found:
        path = copy.path
        if family == "mov" and copy.index is None:
            with path.open("rb") as file:
                self.look(file, path.stat().st_size)
        try:
            media = _cropped(self._media(copy, DEMUXERS[family]), path, family)
        except InputRejected as refusal:
            if copy.index:
                raise WholeNeeded(str(refusal)) from refusal
            return self._inspect_readable(path, family, video, refusal)
        _refuse_beyond_limits(media, self._tools, family)
        _refuse_other_codecs(media)
        condition = Condition(missing=_missing_share(path, family))
        if media.video_stream is None and family not in CLOCKED:
            facts = self._inspect_audio(copy, family, media, condition, video, in_place=in_place)
            return _Found(family, media, facts)
        if media.video_stream:
            refuse_foreign_colors(media.video)
        if copy.index:
            return _Found(family, media, self._measure_parts(copy, copy.index, media, condition))
        if in_place and _has_index(path, family, media):
            with suppress(ClockGoesBack):
                return _Found(family, media, self._measure_all(video, path, DEMUXERS[family], media, condition))
        with temporary_folder(self._tools.scratch, "inspect-") as folder:
            indexed = self._indexing.copy(path, family, media, folder)
            return _Found(family, media, self._measure_indexed(indexed, media, condition, video))

    def _measure_indexed(
        self, indexed: IndexedCopy, source: MediaInfo, condition: Condition, video: Video
    ) -> SourceFacts:
        """Measure a copy with an index, whose clock is mended, and store it."""
        copied = self._media(WorkingCopy(indexed.path), _INDEXED_DEMUXER).as_copied_from(indexed.streams)
        condition = replace(condition, clock=indexed.clock)
        facts = self._measure_all(video, indexed.path, _INDEXED_DEMUXER, copied, condition, source=source)
        self._tools.store.put_file(indexed_key(video.id), indexed.path, INDEXED_CONTENT_TYPE, self._control.moved)
        return facts

    def _inspect_audio(  # noqa: PLR0913 - as `_inspect`, and what it found
        self, copy: WorkingCopy, family: str, media: MediaInfo, condition: Condition, video: Video, *, in_place: bool
    ) -> SourceFacts:
        """Measure a source without video. Nobody seeks in it, so it is its own working copy, or what was made of it."""
        path, demuxer = copy.path, DEMUXERS[family]
        if in_place:
            return self._measure_all(video, path, demuxer, media, condition, index=copy.index)
        facts = self._measure_all(video, path, demuxer, media, condition, source=media)
        self._tools.store.put_file(indexed_key(video.id), path, INDEXED_CONTENT_TYPE, self._control.moved)
        return facts

    def _inspect_readable(self, path: Path, family: str, video: Video, refusal: InputRejected) -> _Found:
        """Inspect a copy of the streams that can be read. Raises the refusal of the whole where nothing can."""
        copies = ReadableCopies(self._tools, self._control, self._budget, self._indexing.run)
        with temporary_folder(self._tools.scratch, "inspect-") as folder:
            copy = copies.make(path, family, DEMUXERS[family], folder, refusal)
            media = _cropped(self._with_light(WorkingCopy(copy.path), copy.demuxer, copy.media), path, family)
            _refuse_beyond_limits(media, self._tools, family)
            _refuse_other_codecs(media)
            condition = Condition(missing=_missing_share(path, family))
            if family in CLOCKED or (family in COUNTING and media.video_stream):
                indexed = self._indexing.copy(path, family, media.in_source, folder, openable=False)
                return _Found(family, media, self._measure_indexed(indexed, copy.source, condition, video))
            facts = self._measure_all(video, copy.path, copy.demuxer, media, condition, source=copy.source)
            self._tools.store.put_file(indexed_key(video.id), copy.path, INDEXED_CONTENT_TYPE, self._control.moved)
        return _Found(family, media, facts)

    def _media(self, copy: WorkingCopy, demuxer: str) -> MediaInfo:
        text = self._tools.ffprobe.streams(
            copy.path, demuxer=demuxer, on_stderr_line=copy.stderr_line, budget=self._budget
        )
        return self._with_light(copy, demuxer, parse_ffprobe(text))

    def _with_light(self, copy: WorkingCopy, demuxer: str, media: MediaInfo) -> MediaInfo:
        """Return the streams with what the video itself says of its light, if it has high dynamic range."""
        if media.video_stream is None or media.video.hdr is None:
            return media
        stream = media.video.index
        first = self._tools.ffprobe.first_frame(copy.path, demuxer=demuxer, stream=stream, budget=self._budget)
        return media.with_light(first_frame_metadata(first))

    def _measure_all(  # noqa: PLR0913 - as `source_facts`
        self,
        video: Video,
        path: Path,
        demuxer: str,
        media: MediaInfo,
        condition: Condition,
        *,
        source: MediaInfo | None = None,
        index: Mp4Index | None = None,
    ) -> SourceFacts:
        """Measure the chosen video track, those that a request may name instead, and the loudness if requested."""
        if media.video_stream is None:
            facts = self._measure_audio_alone(path, demuxer, media, condition, source=source, index=index)
        else:
            media = self._with_spans(path, demuxer, media)
            facts = self._measure(path, demuxer, media, condition, source=source)
        if video.measure_loudness and facts.audio:
            facts = replace(facts, loudness=self._loudness(path, facts))
        others = []
        for track in media.others:
            try:
                other = self._measure(path, demuxer, media.with_video(track), condition, source=source)
            except InputRejected as refusal:
                log.info("track left out", extra={"event": "video_track_left_out", "reason": str(refusal)})
                continue
            others.append(replace(other, streams=(), audio=()))
        return replace(facts, others=tuple(others))

    def _measure_audio_alone(  # noqa: PLR0913 - as `_measure_all`
        self,
        path: Path,
        demuxer: str,
        media: MediaInfo,
        condition: Condition,
        *,
        source: MediaInfo | None,
        index: Mp4Index | None,
    ) -> SourceFacts:
        """Measure a source without video. Raises WholeNeeded where packets of parts are not where its index says."""
        meters = []
        if index:
            track = media.audio[0]
            meters.append(AudioMeter.of(track))
            lines = self._tools.ffprobe.packets(
                path,
                demuxer=demuxer,
                stream=track.index,
                stop=self._control,
                parsed=False,
                cuts=True,
                budget=self._budget,
            )
            if not covers(index.audio(track.index), meters[0].packets(self._bounded(lines))):
                raise WholeNeeded("ffmpeg reads its index in another way")
        media = self._with_spans(path, demuxer, media, meters)
        shift = 0 if index else None
        return audio_facts(media, demuxer=demuxer, sample_shift=shift, source=source, condition=condition)

    def _loudness(self, path: Path, facts: SourceFacts) -> Loudness | None:
        """Decode the audio that players begin with, within its own budget. None where that fails: jobs say why."""
        limits = self._tools.config.limits
        if facts.duration > limits.max_duration_seconds:  # no job plans it
            return None
        seconds = limits.max_inspect_seconds + int(facts.duration) // _LOUDNESS_SPEED
        try:
            report = self._tools.ffmpeg.run(
                loudness_command(facts, str(path)),
                {NOTHING_TARGET: None},
                stop=self._control,
                on_frames=self._control.moved,
                budget=InspectionBudget(seconds),
            )
        except TranscodeError as error:
            log.info("loudness not measured", extra={"event": "loudness_not_measured", "reason": str(error)})
            return None
        return parse_loudness(report.stderr)

    def _measure(
        self, path: Path, demuxer: str, media: MediaInfo, condition: Condition, *, source: MediaInfo | None = None
    ) -> SourceFacts:
        """Walk all packets of the video track: ffmpeg's own idea of rate and length is an estimate.

        `source`: the streams of the uploaded file, if this is a copy. Raises ClockGoesBack for uploaded Matroska whose
        clock starts again.
        """
        lines = self._tools.ffprobe.packets(
            path, demuxer=demuxer, stream=media.video.index, stop=self._control, budget=self._budget
        )
        packets = parse_packets(self._bounded(lines))
        if demuxer == _INDEXED_DEMUXER and source is None:
            packets = going_forward(packets, media.video.time_base)
        timing = self._timing(packets, media, exact=demuxer in FROM_BEGINNING)
        if demuxer not in FROM_BEGINNING:
            samples = self._samples(path, demuxer)
            video, timing = samples.measure(media.video, timing)
            media = replace(media, video_stream=video)
            if source:
                media = replace(media, audio=tuple(samples.audio(track, video, timing) for track in media.audio))
        remuxed = source is not None
        return source_facts(media, timing, demuxer=demuxer, remuxed=remuxed, source=source, condition=condition)

    def _measure_parts(self, copy: WorkingCopy, index: Mp4Index, media: MediaInfo, condition: Condition) -> SourceFacts:
        """Measure like `_measure`, without the packets' bytes, which do not matter to their times; check the index.

        Every packet that ffmpeg will ever read must be where the index says. Raises WholeNeeded otherwise.
        """
        if media.video.codec not in READABLE_CODECS:
            raise WholeNeeded(f"{media.video.codec} cannot be read in parts")

        def opened(stream: int, *, parsed: bool = False, meter: AudioMeter | None = None) -> Iterator[Packet]:
            lines = self._tools.ffprobe.open_packets(
                copy.path,
                demuxer=DEMUXERS["mov"],
                stream=stream,
                stop=self._control,
                parsed=parsed,
                cuts=meter is not None,
                budget=self._budget,
            )
            bounded = self._bounded(running.enter_context(lines))
            return meter.packets(bounded) if meter else parse_packets(bounded)

        def packets(stream: int, *, parsed: bool = False, meter: AudioMeter | None = None) -> Iterator[Packet]:
            """Start the program now, or for a long film when its first packet is read."""
            if len(index.frames.offsets) > _OPENED_TOGETHER_FRAMES:
                return chain.from_iterable(opened(stream, parsed=parsed, meter=meter) for _ in range(1))
            return opened(stream, parsed=parsed, meter=meter)

        with ExitStack() as running:
            parsed, contained = packets(media.video.index, parsed=True), packets(media.video.index)
            meters = {track.index: AudioMeter.of(track) for track in media.audio[:1]}
            audio = [(stream, packets(stream, meter=meter)) for stream, meter in meters.items()]
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
        media = self._with_spans(copy.path, DEMUXERS["mov"], media, [*meters.values()])
        samples = self._samples(
            copy.path, DEMUXERS["mov"], lambda start, end: copy.fetch(index.video(seek=start, until=end, shift=shift))
        )
        video, timing = samples.measure(media.video, timing)
        media = replace(media, video_stream=video)
        facts = source_facts(media, timing, demuxer=DEMUXERS["mov"], remuxed=False, condition=condition)
        return replace(facts, sample_shift=shift)

    def _samples(self, path: Path, demuxer: str, fetch: Fetch | None = None) -> FrameSamples:
        return FrameSamples(
            tools=self._tools, control=self._control, budget=self._budget, path=path, demuxer=demuxer, fetch=fetch
        )

    @property
    def _max_packets(self) -> int:
        limits = self._tools.config.limits
        return min(limits.max_duration_seconds * limits.max_frame_rate, MAX_SAMPLES)

    def _bounded(self, lines: Iterator[str]) -> Iterator[str]:
        """Pass on lines of packets. Raises InputRejected for more than the longest video has."""
        return first_lines(self._max_packets, moving(lines, self._control))

    def _with_spans(self, path: Path, demuxer: str, media: MediaInfo, meters: Sequence[AudioMeter] = ()) -> MediaInfo:
        """Add the time that audio tracks fill. `meters` have seen all packets of the first tracks."""

        def lines(track: AudioStream) -> Iterator[str]:
            packets = self._tools.ffprobe.packets(
                path, demuxer=demuxer, stream=track.index, stop=self._control, cuts=True, budget=self._budget
            )
            return self._bounded(packets)

        return replace(media, audio=with_spans(media.audio, meters, lines))

    def _timing(self, packets: Iterable[Packet], media: MediaInfo, *, exact: bool = False) -> FrameTiming:
        max_rate, stated = self._tools.config.limits.max_frame_rate, media.mean_rate
        return measure_timing(packets, media.video.time_base, stated=stated, max_rate=max_rate, exact=exact)


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
        if family == _INDEXED_DEMUXER:
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
    return family in READ_AS_THEY_ARE or (family == _INDEXED_DEMUXER and media.duration is not None)
