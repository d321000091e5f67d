"""The real path of a job on one machine: inspect, plan, encode every chunk, join; and reading back what came out."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner, Sink
from execution.ffprobe import Ffprobe
from tests.ffmpeg import sources
from transcoding.commands.audio import audio_command
from transcoding.commands.chunk import analysis_command, chunk_command
from transcoding.commands.remux import index_command
from transcoding.containers.boxes import read_init
from transcoding.containers.segments import AudioSegmenter, Segment, VideoSegmenter
from transcoding.containers.verification import PublishedRun
from transcoding.manifests.hls.master import master_playlist
from transcoding.manifests.hls.media import media_playlist, target_seconds
from transcoding.manifests.names import INIT_NAME, segment_name
from transcoding.manifests.planned import NOT_MEASURED, planned_presentation
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest, PlanPolicy
from transcoding.planning.tracks import AudioRendition
from transcoding.probing.audio_timing import AudioMeter
from transcoding.probing.color import first_frame_metadata
from transcoding.probing.facts import SourceFacts, source_facts
from transcoding.probing.media import parse_ffprobe
from transcoding.probing.streams import AudioStream
from transcoding.probing.timing import Packet, measure_timing, parse_packets
from transcoding.sniffing.container import DEMUXERS, HEAD_BYTES, sniff

NEVER = threading.Event()
INDEXED = frozenset({"mov", "matroska"})
FFPROBE = ExecutionConfig().ffprobe_path
POLICY = PlanPolicy(
    preset="veryfast",
    chunk_work_seconds=60,
    min_chunk_seconds=4,
    max_chunk_seconds=4,
    assumed_pixels_per_second=40_000_000,
    max_seconds=600,
    max_chunks=100,
    max_renditions=12,
)
QUICK = replace(POLICY, preset="ultrafast")
"""For all codecs but AV1, in which the numbers on the frames are not legible then."""
BEEP_RATE = 8000
_BEEP_LEVEL = 3000


@dataclass(kw_only=True)
class Encoded:
    """Outputs of one rendition: the init segments of all runs, the segments, and the file they join to."""

    path: Path
    inits: list[bytes] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)

    def write(self) -> None:
        self.path.write_bytes(self.inits[0] + b"".join(segment.data for segment in self.segments))

    @property
    def as_run(self) -> PublishedRun:
        return PublishedRun(
            first_segment=self.segments[0].number,
            durations=[segment.duration for segment in self.segments],
            frames=[segment.frames for segment in self.segments],
            sizes=[len(segment.data) for segment in self.segments],
        )


@dataclass(kw_only=True)
class Golden:
    """A transcoded test video."""

    source: Path
    working_copy: Path
    plan: EncodePlan
    folder: Path
    renditions: dict[str, Encoded]


def transcode(source: Path, folder: Path, *, policy: PlanPolicy | None = None, codec: str = "h264") -> Golden:
    """Take a source through everything that the steps of a job do, chunk after chunk; by default with little effort."""
    policy = policy or (POLICY if codec == "av1" else QUICK)
    folder.mkdir(parents=True, exist_ok=True)
    working_copy, facts = inspect(source, folder)
    plan = small_plan(facts, policy, codec)
    golden = Golden(source=source, working_copy=working_copy, plan=plan, folder=folder, renditions={})
    for rendition in plan.renditions:
        golden.renditions[rendition.name] = Encoded(path=folder / f"{rendition.name}.mp4")
    for chunk in plan.chunks:
        encode_chunk(golden, first_segment=chunk.first_segment, segments=chunk.segments, into=golden.renditions)
    for track in plan.audio:
        golden.renditions[track.name] = encode_audio(golden, track)
    for encoded in golden.renditions.values():
        encoded.write()
    return golden


def inspect(source: Path, folder: Path) -> tuple[Path, SourceFacts]:
    """The inspect step: facts, and the indexed copy for sources that have no index of their own."""
    with source.open("rb") as opened:
        family = sniff(opened.read(HEAD_BYTES))
    if family is None:
        raise ValueError(f"{source} is no video")
    demuxer = DEMUXERS[family]
    uploaded = None
    if demuxer not in INDEXED:
        indexed = folder / "indexed.mkv"
        uploaded = parse_ffprobe(prober().streams(source, demuxer=demuxer))
        videos = (uploaded.video, *uploaded.others)
        command = index_command(str(source), demuxer=demuxer, videos=videos, audio=uploaded.audio, max_streams=64)
        runner().run(command, {"indexed": indexed}, stop=NEVER)
        source, demuxer = indexed, "matroska"
    media = parse_ffprobe(prober().streams(source, demuxer=demuxer))
    if media.video.hdr:
        first = prober().first_frame(source, demuxer=demuxer, stream=media.video.index)
        media = media.with_light(first_frame_metadata(first))
    media = media.as_copied_from(uploaded) if uploaded else media
    lines = prober().packets(source, demuxer=demuxer, stream=media.video.index, stop=NEVER)
    timing = measure_timing(parse_packets(lines), media.video.time_base)
    media = replace(media, audio=tuple(_measured(source, demuxer, track) for track in media.audio))
    return source, source_facts(media, timing, demuxer=demuxer, remuxed=uploaded is not None, source=uploaded)


def _measured(source: Path, demuxer: str, track: AudioStream) -> AudioStream:
    """Return a track with the time that it fills."""
    meter = AudioMeter.of(track)
    lines = prober().packets(source, demuxer=demuxer, stream=track.index, stop=NEVER, cuts=True)
    deque(meter.packets(lines), maxlen=0)
    return replace(track, span=meter.span)


def small_plan(facts: SourceFacts, policy: PlanPolicy, codec: str = "h264") -> EncodePlan:
    """A plan with two small rungs: the source's own size and half of it, where the real ladder would have one."""
    size = facts.video.display
    whole = JobRequest(codec=codec, resolution=f"{size.width}x{size.height}", bitrate=400_000)
    plan = plan_job(facts, whole, policy)
    half = plan_job(facts, replace(whole, resolution=f"{size.width // 2}x{size.height // 2}", bitrate=150_000), policy)
    return replace(plan, renditions=plan.renditions + half.renditions, groups=())


def encode_chunk(golden: Golden, *, first_segment: int, segments: int, into: dict[str, Encoded]) -> None:
    """The chunk step: one run of ffmpeg, every rung through its own segmenter."""
    cutters = {
        rendition.name: VideoSegmenter(golden.plan, rendition, first_segment=first_segment, segments=segments)
        for rendition in golden.plan.renditions
    }

    def taking(name: str) -> Sink:
        return lambda data: into[name].segments.extend(cutters[name].feed(data))

    source = str(golden.working_copy)
    statistics = _analyse(golden, first_segment, segments) if golden.plan.encodings[0].two_pass else ""
    folder = golden.folder if statistics else None
    command = chunk_command(
        golden.plan, source, first_segment=first_segment, segments=segments, threads=2, statistics=statistics
    )
    report = runner().run(command, {name: taking(name) for name in cutters}, stop=NEVER, folder=folder)
    if report.stderr:
        print(f"segments {first_segment}+{segments}: {report.stderr}")  # noqa: T201 - shown when the test fails
    for name, cutter in cutters.items():
        cutter.finish()
        into[name].inits.append(cutter.init or b"")


def _analyse(golden: Golden, first_segment: int, segments: int) -> str:
    """The first of two passes; the prefix of its findings in the folder of the case."""
    statistics = f"pass-{first_segment}"
    command = analysis_command(
        golden.plan,
        str(golden.working_copy),
        first_segment=first_segment,
        segments=segments,
        threads=2,
        statistics=statistics,
    )
    runner().run(command, dict.fromkeys(command.targets), stop=NEVER, folder=golden.folder)
    return statistics


def encode_audio(golden: Golden, track: AudioRendition) -> Encoded:
    """The audio step."""
    cutter = AudioSegmenter(golden.plan, track)
    encoded = Encoded(path=golden.folder / f"{track.name}.mp4")
    command = audio_command(golden.plan, track, str(golden.working_copy))
    runner().run(command, {track.name: lambda data: encoded.segments.extend(cutter.feed(data))}, stop=NEVER)
    encoded.segments.append(cutter.finish())
    encoded.inits.append(cutter.init or b"")
    return encoded


def publish(golden: Golden, folder: Path) -> None:
    """Write playlists, init segments and segments as the addresses of a player lay them out."""
    plan = golden.plan
    for name, encoded in golden.renditions.items():
        (folder / name).mkdir(parents=True)
        (folder / name / INIT_NAME).write_bytes(encoded.inits[0])
        for segment in encoded.segments:
            (folder / name / segment_name(segment.number)).write_bytes(segment.data)
        timescale = read_init(encoded.inits[0]).timescale
        lengths = [Fraction(segment.duration, timescale) for segment in encoded.segments]
        target = target_seconds(plan.grid.segment_frames / plan.grid.rate)
        (folder / name / "index.m3u8").write_text(media_playlist(lengths, target_seconds=target, complete=True))
    presentation = planned_presentation(plan, dict.fromkeys(golden.renditions, NOT_MEASURED))
    (folder / "master.m3u8").write_text(master_playlist(presentation))


def runner() -> FfmpegRunner:
    return FfmpegRunner(ExecutionConfig(), LimitConfig())


def prober() -> Ffprobe:
    return Ffprobe(ExecutionConfig(), LimitConfig())


def shown_numbers(path: Path, *, turned: str = "null") -> list[int]:
    """The frame numbers that a decoder shows, in order. `turned` undoes a rotation before they are read."""
    reading = f"{turned},crop=iw:ih/4:0:ih/8,scale={sources.COLUMNS}:1:flags=area,format=gray"
    chosen = ("-map", "0:v:0", "-vf", reading, "-fps_mode", "passthrough")
    raw = sources.run(["-i", f"file:{path}", *chosen, "-f", "rawvideo", "-"])
    rows = (raw[start : start + sources.COLUMNS] for start in range(0, len(raw), sources.COLUMNS))
    return [sources.number_in(row) for row in rows]


def shown_frames(path: Path) -> list[tuple[Fraction, int]]:
    """Presentation time of each frame of a file, from its packets, and the number on it."""
    read = probe(path)
    times = sorted(Fraction(packet.pts) * read.time_base for packet in read.packets if not packet.discard)
    return list(zip(times, shown_numbers(path), strict=True))


def beep_seconds(path: Path) -> list[float]:
    """Starts of the beeps of a file, in seconds on its own clock."""
    chosen = ("-map", "0:a:0", "-ac", "1", "-ar", str(BEEP_RATE))
    raw = sources.run(["-i", f"file:{path}", *chosen, "-f", "s16le", "-"])
    return list(_onsets(memoryview(raw).cast("h")))


def _onsets(samples: Sequence[int]) -> Iterator[float]:
    """The start of every stretch of loud samples that follows 0.1 s of quiet ones."""
    last_loud = -BEEP_RATE
    for position, sample in enumerate(samples):
        if abs(sample) > _BEEP_LEVEL:
            if position - last_loud > BEEP_RATE // 10:
                yield position / BEEP_RATE
            last_loud = position


@dataclass(frozen=True, kw_only=True)
class Probed:
    """First stream of a file as FFmpeg's libraries read it, its times in ticks."""

    time_base: Fraction
    start: Fraction
    """Time of the first packet that is shown, in seconds."""
    duration: Fraction
    tags: str
    packets: list[Packet]


def start_and_duration(path: Path) -> tuple[Fraction, Fraction]:
    """Start and length of the first stream of a file, in seconds, as FFmpeg's libraries read them."""
    return probe(path).start, probe(path).duration


def key_frame_seconds(path: Path) -> list[Fraction]:
    """Presentation times of the key frames of a file."""
    return [packet.pts * probe(path).time_base for packet in probe(path).packets if packet.key]


@cache
def probe(path: Path) -> Probed:
    """Read a file by PyAV, which needs no process; the result is cached, as the golden files never change."""
    with av.open(str(path)) as container:
        stream = container.streams[0]
        base = Fraction(stream.time_base or 0)
        packets = [packet for packet in container.demux(stream) if packet.size and packet.pts is not None]
        return Probed(
            time_base=base,
            start=min(packet.pts or 0 for packet in packets if not packet.is_discard) * base,
            duration=(stream.duration or 0) * base,
            tags=f"{stream.metadata} {container.metadata}",
            packets=[
                Packet(packet.pts or 0, 0, key=packet.is_keyframe, discard=packet.is_discard) for packet in packets
            ],
        )
