"""Measure a file that ffmpeg reads: what its headers say, and when each of its frames is shown."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

from execution.budget import InspectionBudget
from transcoding.commands.loudness import NOTHING_TARGET, loudness_command, parse_loudness
from transcoding.containers.bounds import MAX_SAMPLES
from transcoding.containers.mp4_index import READABLE_CODECS, Mp4Index
from transcoding.containers.spans import covers
from transcoding.errors import InputRejected, TranscodeError
from transcoding.probing.audio_facts import audio_facts
from transcoding.probing.audio_timing import AudioMeter
from transcoding.probing.clock_packets import going_forward
from transcoding.probing.color import first_frame_metadata
from transcoding.probing.facts import HEALTHY, Condition, SourceFacts, source_facts
from transcoding.probing.media import MediaInfo, parse_ffprobe
from transcoding.probing.streams import AudioStream, Loudness
from transcoding.probing.timing import FrameTiming, Packet, first_lines, measure_timing, parse_packets
from transcoding.sniffing.container import DEMUXERS, FROM_BEGINNING
from workers.lease.control import StepControl
from workers.source.working_copy import WholeNeeded, WorkingCopy
from workers.steps.audio_spans import with_spans
from workers.steps.frame_samples import Fetch, FrameSamples
from workers.steps.indexing import moving
from workers.tools import Tools

INDEXED_DEMUXER = "matroska"
"""The demuxer of copies with an index."""
_LOUDNESS_SPEED = 10
"""Seconds of audio that are measured in a second of processor time, at least: a tenth of what was measured."""
_OPENED_TOGETHER_FRAMES = 300_000
"""Frames of an index up to which several programs have it in memory at a time, which is faster."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFile:
    """A file to measure, the upload or a copy of it: its demuxer, its streams, and the faults that are known."""

    path: Path
    demuxer: str
    media: MediaInfo
    condition: Condition = HEALTHY
    source: MediaInfo | None = None
    """The streams of the upload, if this is a copy."""
    index: Mp4Index | None = None
    """Set for parts of an upload that has audio alone."""


class Measuring:
    """The programs that measure files, within the budget of an inspection."""

    def __init__(
        self, tools: Tools, control: StepControl, budget: InspectionBudget, least_rate: Fraction | None = None
    ) -> None:
        self._tools = tools
        self._control = control
        self._budget = budget
        self._least_rate = least_rate

    def media(self, copy: WorkingCopy, demuxer: str) -> MediaInfo:
        """Read the headers of a file."""
        text = self._tools.ffprobe.streams(
            copy.path, demuxer=demuxer, on_stderr_line=copy.stderr_line, budget=self._budget
        )
        return self.with_light(copy, demuxer, parse_ffprobe(text))

    def with_light(self, copy: WorkingCopy, demuxer: str, media: MediaInfo) -> MediaInfo:
        """Return the streams with what the video itself says of its light, if it has high dynamic range."""
        if media.video_stream is None or media.video.hdr is None:
            return media
        stream = media.video.index
        first = self._tools.ffprobe.first_frame(copy.path, demuxer=demuxer, stream=stream, budget=self._budget)
        return media.with_light(first_frame_metadata(first))

    def facts(self, file: MeasuredFile, *, loudness: bool) -> SourceFacts:
        """Measure the chosen video track, those that a request may name instead, and the loudness if requested."""
        media = file.media
        if media.video_stream is None:
            facts = self._measure_audio_alone(file)
        else:
            media = self._with_spans(file.path, file.demuxer, media)
            facts = self._measure(replace(file, media=media))
        if loudness and facts.audio:
            facts = replace(facts, loudness=self._loudness(file.path, facts))
        others = []
        for track in media.others:
            try:
                other = self._measure(replace(file, media=media.with_video(track)))
            except InputRejected as refusal:
                log.info("track left out", extra={"event": "video_track_left_out", "reason": str(refusal)})
                continue
            others.append(replace(other, streams=(), audio=()))
        return replace(facts, others=tuple(others))

    def _measure_audio_alone(self, file: MeasuredFile) -> SourceFacts:
        """Measure a source without video. Raises WholeNeeded where packets of parts are not where its index says."""
        meters = []
        if file.index:
            track = file.media.audio[0]
            meters.append(AudioMeter.of(track))
            lines = self._tools.ffprobe.packets(
                file.path,
                demuxer=file.demuxer,
                stream=track.index,
                stop=self._control,
                parsed=False,
                cuts=True,
                budget=self._budget,
            )
            if not covers(file.index.audio(track.index), meters[0].packets(self._bounded(lines))):
                raise WholeNeeded("ffmpeg reads its index in another way")
        media = self._with_spans(file.path, file.demuxer, file.media, meters)
        return audio_facts(
            media,
            demuxer=file.demuxer,
            sample_shift=0 if file.index else None,
            source=file.source,
            condition=file.condition,
        )

    def _loudness(self, path: Path, facts: SourceFacts) -> Loudness | None:
        """Decode the audio that players begin with, within its own budget. None where that fails: jobs say why."""
        limits = self._tools.config.limits
        if facts.duration > limits.max_duration_seconds:  # no job plans it
            return None
        seconds = limits.max_inspect_seconds + int(facts.duration) // _LOUDNESS_SPEED
        try:
            report = self._tools.ffmpeg.run(
                loudness_command(facts, str(path), max_streams=limits.max_streams),
                {NOTHING_TARGET: None},
                stop=self._control,
                on_frames=self._control.moved,
                budget=InspectionBudget(seconds),
            )
        except TranscodeError as error:
            log.info("loudness not measured", extra={"event": "loudness_not_measured", "reason": str(error)})
            return None
        return parse_loudness(report.stderr)

    def _measure(self, file: MeasuredFile) -> SourceFacts:
        """Walk all packets of the video track: ffmpeg's own idea of rate and length is an estimate.

        Raises ClockGoesBack for uploaded Matroska whose clock starts again.
        """
        path, demuxer, media = file.path, file.demuxer, file.media
        lines = self._tools.ffprobe.packets(
            path, demuxer=demuxer, stream=media.video.index, stop=self._control, budget=self._budget
        )
        packets = parse_packets(self._bounded(lines))
        if demuxer == INDEXED_DEMUXER and file.source is None:
            packets = going_forward(packets, media.video.time_base)
        timing = self._timing(packets, media, exact=demuxer in FROM_BEGINNING)
        if demuxer in FROM_BEGINNING:
            media = replace(media, video_stream=self._samples(path, demuxer).transparency(media.video))
        else:
            samples = self._samples(path, demuxer)
            video, timing = samples.measure(media.video, timing)
            media = replace(media, video_stream=video)
            if file.source:
                media = replace(media, audio=tuple(samples.audio(track, video, timing) for track in media.audio))
        return source_facts(
            media,
            timing,
            demuxer=demuxer,
            remuxed=file.source is not None,
            source=file.source,
            condition=file.condition,
        )

    def parts(self, copy: WorkingCopy, index: Mp4Index, media: MediaInfo, condition: Condition) -> SourceFacts:
        """Measure parts of a file: without the packets' bytes, which do not matter to their times; check the index.

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
        return measure_timing(
            packets, media.video.time_base, stated=stated, max_rate=max_rate, least=self._least_rate, exact=exact
        )
