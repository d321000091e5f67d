"""Values of the pure core with only what matters in a test said, and streams of boxes as ffmpeg would write them."""

import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from transcoding.color import ColorRange, ColorSpace, Matrix, Primaries, Transfer
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest, PlanPolicy
from transcoding.planning.sizing import ChunkSizing, SizedBy
from transcoding.planning.tracks import audio_renditions
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import AudioStream, Resolution, VideoStream
from transcoding.probing.warnings import Notice

PAL = Fraction(25)
NTSC = Fraction(30000, 1001)
FILM = Fraction(24000, 1001)
NTSC_DOUBLE = Fraction(60000, 1001)
UNTAGGED = ColorSpace()
PQ = ColorSpace(primaries=Primaries.BT2020, transfer=Transfer.PQ, matrix=Matrix.BT2020NC, range=ColorRange.LIMITED)
BT709_CODES, BT601_CODES = (1, 1, 1), (6, 6, 6)


def a_video(
    width: int = 1280,
    height: int = 720,
    *,
    index: int = 0,
    interlaced: bool = False,
    color: ColorSpace | None = UNTAGGED,
) -> VideoStream:
    return VideoStream(
        index=index,
        codec="h264",
        display=Resolution(width=width, height=height),
        rotation=0,
        pixel_format="yuv420p",
        interlaced=interlaced,
        color=color,
        time_base=Fraction(1, 90_000),
        bit_rate=None,
    )


def some_audio(*, index: int = 1, language: str = "") -> AudioStream:
    return AudioStream(index=index, codec="aac", channels=2, sample_rate=48_000, language=language)


def a_source(
    width: int = 1280,
    height: int = 720,
    *,
    rate: Fraction = PAL,
    frames: int = 1000,
    first: Fraction = Fraction(0),
    constant: bool = True,
    interlaced: bool = False,
    color: ColorSpace | None = UNTAGGED,
    silent: bool = False,
    warnings: tuple[Notice, ...] = (),
) -> SourceFacts:
    return SourceFacts(
        demuxer="mov",
        remuxed=False,
        video_stream=a_video(width, height, interlaced=interlaced, color=color),
        audio=() if silent else (some_audio(),),
        first=first,
        rate=rate,
        constant=constant,
        total_frames=frames,
        warnings=warnings,
    )


def an_audio_source(*, seconds: int = 10) -> SourceFacts:
    """A source of audio alone."""
    audio = a_source(frames=25 * seconds)
    return replace(audio, demuxer="mp3", video_stream=None, audio=(some_audio(index=0),))


def a_policy(*, chunk_seconds: int = 8, max_seconds: int = 43_200, max_chunks: int = 2000) -> PlanPolicy:
    """Chunks of this length, however fast the machine is."""
    return PlanPolicy(
        preset="veryfast",
        chunk_work_seconds=60,
        min_chunk_seconds=chunk_seconds,
        max_chunk_seconds=chunk_seconds,
        assumed_pixels_per_second=40_000_000,
        max_seconds=max_seconds,
        max_chunks=max_chunks,
        max_renditions=12,
    )


def a_sizing(segments: int) -> ChunkSizing:
    """Chunks of so many segments, for no reason."""
    return ChunkSizing(segments=segments, speed=1.0, samples=0, work_seconds=60, sized_by=SizedBy.WORK)


def a_plan(source: SourceFacts | None = None, *, resolution: str | None = "360p") -> EncodePlan:
    """One rung and audio unless set otherwise."""
    return plan_job(source or a_source(), JobRequest(resolution=resolution), a_policy())


def ffprobe_json(*streams: dict[str, object], format_name: str = "mov,mp4") -> str:
    """ffprobe's answer about a file with these streams."""
    numbered = [{"index": index, "time_base": "1/90000", **stream} for index, stream in enumerate(streams)]
    return json.dumps({"streams": numbered, "format": {"format_name": format_name}})


def a_video_track(**fields: object) -> dict[str, object]:
    return {"codec_type": "video", "codec_name": "h264", "width": 1280, "height": 720, "pix_fmt": "yuv420p", **fields}


def an_audio_track(**fields: object) -> dict[str, object]:
    return {"codec_type": "audio", "codec_name": "aac", "channels": 2, "sample_rate": "48000", **fields}


def box(kind: str, payload: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(payload)) + kind.encode() + payload


def an_init(
    *,
    timescale: int = 25_000,
    width: int = 640,
    height: int = 360,
    profile: bytes = bytes.fromhex("64001e"),
    edit_start: int = 2000,
    audio: bool = False,
    version: int = 0,
    video: bytes = b"",
    color: tuple[int, int, int] = BT601_CODES,
    full_range: bool = False,
) -> bytes:
    """`ftyp` and `moov` of one track, with the fields that are read where the standard puts them."""
    wide = version == 1
    tkhd = bytes([version, 0, 0, 7]) + bytes(84 if wide else 72) + struct.pack(">II", width << 16, height << 16)
    times = bytes(16 if wide else 8)
    mdhd = bytes([version, 0, 0, 0]) + times + struct.pack(">I", timescale) + bytes(12 if wide else 8)
    edit = struct.pack(">QqI" if wide else ">IiI", 0, edit_start, 0x0001_0000)
    elst = bytes([version, 0, 0, 0]) + struct.pack(">I", 1) + edit
    entry = _audio_entry() if audio else video or _avc_entry(profile, color, full_range=full_range)
    stsd = bytes(4) + struct.pack(">I", 1) + entry
    minf = box("minf", box("stbl", box("stsd", stsd)))
    track = box("tkhd", tkhd) + box("edts", box("elst", elst)) + box("mdia", box("mdhd", mdhd) + minf)
    return box("ftyp", b"iso6") + box("moov", box("mvhd", bytes(100)) + box("trak", track))


def a_video_entry(kind: str, configuration: str, payload: bytes, *more: bytes) -> bytes:
    return box(kind, bytes(78) + box(configuration, payload) + b"".join(more))


def a_colr(color: tuple[int, int, int] = BT601_CODES, *, full_range: bool = False) -> bytes:
    """The box of a color space, of the code points of primaries, transfer function and matrix."""
    return box("colr", b"nclx" + struct.pack(">HHHB", *color, full_range << 7))


def _avc_entry(profile: bytes, color: tuple[int, int, int], *, full_range: bool) -> bytes:
    return a_video_entry("avc1", "avcC", b"\x01" + profile + b"\xff", a_colr(color, full_range=full_range))


def _audio_entry() -> bytes:
    """AAC-LC at 48 kHz, its descriptors' lengths in the four-byte form that ffmpeg writes."""
    long = b"\x80\x80\x80"
    specific = b"\x05" + long + b"\x02" + bytes.fromhex("1190")
    config = b"\x04" + long + bytes([13 + len(specific)]) + bytes(13) + specific
    descriptor = b"\x03" + long + bytes([3 + len(config)]) + bytes(3) + config
    return box("mp4a", bytes(28) + box("esds", bytes(4) + descriptor))


def a_fragment(decode_time: int, samples: Sequence[tuple[int, bytes, bool]], *, version: int = 1) -> bytes:
    """`moof` and `mdat` of samples as (ticks, bytes, whether it is a key frame)."""
    tfhd = struct.pack(">II", 0x02_0000, 1)
    tfdt = bytes([version, 0, 0, 0]) + struct.pack(">Q" if version else ">I", decode_time)
    rows = b"".join(
        struct.pack(">IIII", ticks, len(data), 0x0200_0000 if key else 0x0101_0000, 0) for ticks, data, key in samples
    )
    trun = struct.pack(">III", 0xF01, len(samples), 0) + rows
    traf = box("traf", box("tfhd", tfhd) + box("tfdt", tfdt) + box("trun", trun))
    return box("moof", box("mfhd", bytes(8)) + traf) + box("mdat", b"".join(data for _, data, _ in samples))


def a_gop(plan: EncodePlan, first_frame: int, frames: int | None = None) -> bytes:
    """The fragment of the GOP that begins at a frame of the plan's grid."""
    grid = plan.grid
    count = frames or grid.gop_length(first_frame)
    samples = [(grid.frame_ticks, b"%d" % (first_frame + number), number == 0) for number in range(count)]
    return a_fragment(first_frame * grid.frame_ticks, samples)


def a_video_stream(plan: EncodePlan, *, first_segment: int = 0, segments: int | None = None) -> bytes:
    """Output of a flawless run of ffmpeg for the plan's first rung."""
    grid = plan.grid
    rendition = plan.renditions[0]
    first = grid.first_frame(first_segment)
    end = grid.first_frame(first_segment + (segments or grid.total_segments))
    init = an_init(
        timescale=grid.timescale,
        width=rendition.width,
        height=rendition.height,
        profile=bytes.fromhex(rendition.codecs.removeprefix("avc1.")),
        color=BT709_CODES if plan.color and plan.color.matrix == Matrix.BT709 else BT601_CODES,
    )
    return init + b"".join(a_gop(plan, frame) for frame in range(first, end, grid.gop_frames))


def an_audio_stream(samples: int, *, missing: int = -1, shortened: int = -1) -> bytes:
    """AAC frames for so many samples of presentation and the priming before them, each frame a fragment.

    The one that starts at `missing` is not there; the one at `shortened` lasts for a sample only.
    """
    total = samples + 1024
    starts = [start for start in range(0, total, 1024) if start != missing]
    if shortened >= 0:
        starts = [start if start <= shortened else start - 1023 for start in starts]
    ends = [*starts[1:], total] if shortened >= 0 else [min(start + 1024, total) for start in starts]
    lengths = ((start, end - start) for start, end in zip(starts, ends, strict=True))
    frames = (a_fragment(start, [(length, b"aac%d" % start, True)]) for start, length in lengths)
    return an_init(timescale=48_000, width=0, height=0, edit_start=1024, audio=True) + b"".join(frames)


def without_audio(plan: EncodePlan) -> EncodePlan:
    return replace(plan, audio=())


def with_two_languages(plan: EncodePlan) -> EncodePlan:
    """The plan with two audio tracks, of streams 1 and 2 of its source."""
    streams = (some_audio(index=1, language="eng"), some_audio(index=2, language="deu"))
    return replace(
        plan, source=replace(plan.source, audio=streams), audio=audio_renditions(streams, plan.grid, JobRequest())
    )
