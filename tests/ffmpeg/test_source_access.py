"""Reading a source in parts gives what reading all of it gives, whatever fills the holes."""

import os
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest

from storage.local import LocalStore
from storage.sparse import SparseSource
from tests.ffmpeg import golden
from tests.ffmpeg.cases import (
    JITTERED,
    KEEP_TIMES,
    PAL,
    STANDING,
    X264_OPEN_GOP,
    X265_OPEN_GOP,
    Maker,
    _delayed,
    _of,
    _outlasted,
    _recut,
)
from tests.ffmpeg.golden import NEVER, POLICY, prober, runner
from tests.ffmpeg.sources import AAC, H264, SILENT, Card, converted, make
from transcoding.commands.audio import audio_command
from transcoding.commands.chunk import chunk_command, read_until, seek_time
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.diagnosis import is_of_a_seek
from transcoding.containers.boxes import find
from transcoding.containers.mp4_index import READABLE_CODECS, Mp4Index
from transcoding.containers.segments import AudioSegmenter, Segment
from transcoding.containers.spans import Span, covers
from transcoding.errors import TranscodeError
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.planning.tracks import AudioRendition, audio_renditions
from transcoding.probing.facts import SourceFacts
from transcoding.probing.timing import measure_timing, parse_packets
from workers.source.working_copy import WorkingCopy
from workers.steps.audio import beginning_of_audio

FILLS = (0x00, 0xFF)
"""Bytes in the place of what was not read: of one source these, of the next those."""
MANY_FRAMES = 250
FIRST_SEGMENTS = 1
LONG = Card(rate=Fraction(25), frames=350)
"""14 s: four chunks, of which the second and the third have something before them and behind them that is left out."""
LONG_GOPS = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "180", "-keyint_min", "180", *AAC)
PCM_AUDIO = ("-c:a", "pcm_s16le")
SIZE = "320x180"
"""One rung, as what is compared is what is read."""


def _two_audio_tracks_and_a_timecode(folder: Path) -> Path:
    plain = make(folder / "plain.mp4", PAL, *H264, *AAC)
    maps = ("-map", "0:v", "-map", "0:a", "-map", "0:a", "-timecode", "01:00:00:00")
    return converted(plain, folder / "source.mov", maps)


def _with_chapters(folder: Path) -> Path:
    plain = make(folder / "plain.mp4", LONG, *H264, *AAC)
    chapters = folder / "chapters.txt"
    marks = "".join(f"[CHAPTER]\nTIMEBASE=1/1\nSTART={at}\nEND={at + 5}\ntitle=at {at}\n" for at in (0, 5, 9))
    chapters.write_text(f";FFMETADATA1\n{marks}")
    return converted(plain, folder / "source.mp4", ("-map_metadata", "1"), opening=("-i", f"file:{chapters}"))


def _beyond_four_gigabytes(folder: Path) -> Path:
    """The media of a small file behind a hole of 5 GB, under a 64-bit box and 64-bit chunk offsets."""
    plain = make(folder / "plain.mp4", PAL, *H264, *SILENT).read_bytes()
    media, moov = plain.index(b"mdat") - 4, plain.rindex(b"moov") - 4
    shift = 5 << 30
    path = folder / "source.mp4"
    with path.open("wb") as file:
        file.write(plain[:media] + struct.pack(">I4sQ", 1, b"mdat", moov - media + shift))
        file.seek(media + shift)
        file.write(plain[media:moov] + _with_large_offsets(plain[moov:], shift))
    return path


def _with_large_offsets(moov: bytes, shift: int) -> bytes:
    """The same `moov` with `co64` for `stco`; every box around it grows."""
    path = ("moov", "trak", "mdia", "minf", "stbl", "stco")
    small = bytes(find(moov, *path))
    (count,) = struct.unpack_from(">I", small, 4)
    offsets = [offset + shift for offset in struct.unpack_from(f">{count}I", small, 8)]
    large = small[:8] + struct.pack(f">{count}Q", *offsets)
    grown = moov.replace(b"stco" + small, b"co64" + large)
    for kind in path:
        at = grown.index({"stco": b"co64"}.get(kind, kind.encode())) - 4
        (size,) = struct.unpack_from(">I", grown, at)
        grown = grown[:at] + struct.pack(">I", size + len(large) - len(small)) + grown[at + 4 :]
    return grown


SOURCES: dict[str, Maker] = {
    "b_frames": _of("mp4", LONG, *H264, *AAC),
    "index_first": _of("mp4", LONG, *H264, *AAC, "-movflags", "+faststart"),
    "open_gop": _of("mp4", LONG, *X264_OPEN_GOP),
    "hevc_open_gop": _of("mp4", LONG, *X265_OPEN_GOP),
    "long_gops": _of("mp4", Card(rate=Fraction(25), frames=400), *LONG_GOPS),
    "audio_in_long_chunks": _of("mp4", LONG, *H264, *AAC, "-chunk_duration", "1000000"),
    "audio_at_the_end": _of("mp4", LONG, *H264, *AAC, "-chunk_duration", "100000000"),
    "plain_audio": _of("mov", LONG, *H264, *PCM_AUDIO),
    "two_audio_tracks_and_a_timecode": _two_audio_tracks_and_a_timecode,
    "chapters": _with_chapters,
    "silent": _of("mp4", LONG, *H264, *SILENT),
    "varying": _of("mp4", Card(rate=Fraction(30), frames=390, video_filter=JITTERED), *H264, *AAC, *KEEP_TIMES),
    "standing": _of("mp4", Card(rate=Fraction(30), frames=390, video_filter=STANDING), *H264, *AAC, *KEEP_TIMES),
    "late_edit": _recut((), opening=("-ss", "1.24")),
    "late_video": _delayed("v"),
    "very_late_video": _delayed("v", "5"),
    "late_audio": _delayed("a"),
    "audio_is_much_longer": _outlasted(LONG, 750, *LONG_GOPS),
    "negative_offsets": _of("mp4", LONG, *H264, *AAC, "-movflags", "+negative_cts_offsets"),
    "no_edit_list": _of("mp4", LONG, *H264, *AAC, "-use_editlist", "0"),
    "beyond_four_gigabytes": _beyond_four_gigabytes,
    "one_frame": _of("mp4", Card(rate=Fraction(30), frames=1), *H264, *AAC),
    "ten_frames": _of("mp4", Card(rate=Fraction(30), frames=10), *H264, *AAC),
    "av1": _of("mp4", LONG, "-c:v", "libsvtav1", "-preset", "12", "-g", "60", *AAC),
    "mpeg4": _of("mp4", LONG, "-c:v", "mpeg4", "-bf", "2", "-g", "50", "-q:v", "4", *AAC),
    "prores": _of("mov", PAL, "-c:v", "prores", "-profile:v", "0", *PCM_AUDIO),
    "mjpeg": _of("mov", PAL, "-c:v", "mjpeg", "-q:v", "8", "-pix_fmt", "yuvj420p", *PCM_AUDIO),
    "mp3": _of("mp4", LONG, *H264, "-c:a", "libmp3lame"),
    "ac3": _of("mp4", LONG, *H264, "-c:a", "ac3"),
}

ALIKE = {"audio_in_long_chunks", "late_video", "mjpeg", "mp3", "standing", "ten_frames"}
"""Sources that are to a reader what another one is, for `--thorough` only."""


@dataclass(frozen=True)
class Parts:
    """A source in a store, to be copied in parts into files whose holes are filled, and what is known of the whole."""

    whole: Path
    facts: SourceFacts
    lines: list[str]
    shift: int
    plan: EncodePlan
    store: LocalStore
    key: str
    folder: Path
    fill: int

    def copy(self, requirement: Callable[[Mp4Index], Sequence[Span]]) -> tuple[Path, Mp4Index]:
        """The path of a partial copy, and the source's index."""
        stored = self.store.head(self.key)
        path = self.folder / "parts"
        with path.open("w+b") as file:
            source = SparseSource(self.store, self.key, stored.etag, stored.size, file, lambda _: None)
            index = source.index()
            source.fetch(requirement(index))
            if self.fill and stored.size < 1 << 30:
                _fill_holes(file.fileno(), source.fetched, stored.size, self.fill)
        return path, index


def _fill_holes(file: int, there: Sequence[Span], size: int, fill: int) -> None:
    position = 0
    for start, end in [*there, (size, size)]:
        os.pwrite(file, bytes([fill]) * (start - position), position)
        position = end


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.thorough if name in ALIKE else ()) for name in SOURCES],
)
def parts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    folder = tmp_path_factory.mktemp(request.param)
    whole = SOURCES[request.param](folder)
    store = LocalStore(folder / "store", part_bytes=5 << 20)
    (folder / "store" / "objects").mkdir(parents=True)
    (folder / "store" / "objects" / "source").hardlink_to(whole)
    _, facts = golden.inspect(whole, folder)
    lines = _packets(whole, facts.video.index)
    with (folder / "index").open("w+b") as file:
        stored = store.head("source")
        index = SparseSource(store, "source", stored.etag, stored.size, file, lambda _: None).index()
    shift = index.shift_to(parse_packets(lines))
    assert shift is not None
    plan = plan_job(facts, JobRequest(resolution=SIZE, bitrate=400_000), replace(POLICY, preset="ultrafast"))
    plan = replace(plan, audio=audio_renditions(facts.audio, plan.grid, JobRequest()))
    fill = FILLS[list(SOURCES).index(request.param) % 2]
    yield Parts(whole, facts, lines, shift, plan, store, "source", folder, fill)
    shutil.rmtree(folder, ignore_errors=True)


def test_inspecting_needs_no_media(parts: Parts) -> None:
    facts = parts.facts
    assert facts.video.codec in READABLE_CODECS
    said = prober().streams(parts.whole, demuxer="mov")
    packets = list(parse_packets(_packets(parts.whole, facts.video.index, parsed=True)))
    audio = {track.index: _packets(parts.whole, track.index) for track in facts.audio}
    path, index = parts.copy(Mp4Index.opening)
    stderr_lines: list[str] = []
    streams = prober().streams(path, demuxer="mov", on_stderr_line=stderr_lines.append)
    assert streams.replace(str(path), str(parts.whole)) == said
    assert stderr_lines == []
    lines = _packets(path, facts.video.index)
    assert lines == parts.lines
    assert index.shift_to(parse_packets(lines)) == parts.shift
    found = list(parse_packets(_packets(path, facts.video.index, parsed=True)))
    # A parser calls frames of a recovery point key frames, if it sees them; only the first one's flag counts.
    assert [packet._replace(key=True) for packet in found] == [packet._replace(key=True) for packet in packets]
    assert found[0].key == packets[0].key
    measured = measure_timing(found, facts.video.time_base)
    assert (measured.first, measured.rate, measured.total_frames) == (facts.first, facts.rate, facts.total_frames)
    for stream, packets_of_it in audio.items():
        assert _packets(path, stream) == packets_of_it
        assert covers(index.audio(stream), parse_packets(packets_of_it))


def test_a_chunk_of_parts_is_the_chunk_of_the_whole(parts: Parts) -> None:
    plan, shift = parts.plan, parts.shift
    for chunk in plan.chunks:
        first, segments = chunk.first_segment, chunk.segments

        def requirement(index: Mp4Index, first: int = first, segments: int = segments) -> Sequence[Span]:
            return index.video(seek=seek_time(plan, first), until=read_until(plan, first, segments), shift=shift)

        def command(path: Path, first: int = first, segments: int = segments) -> FfmpegCommand:
            return chunk_command(plan, str(path), first_segment=first, segments=segments, threads=1)

        expected, _ = _encode(command(parts.whole))
        encoded, stderr_lines = _encode(command(parts.copy(requirement)[0]))
        assert encoded == expected
        assert [line for line in stderr_lines if not is_of_a_seek(line)] == []


def test_the_audio_of_parts_is_the_audio_of_the_whole(parts: Parts) -> None:
    plan = parts.plan
    for track in plan.audio:
        expected, _ = _encode(audio_command(plan, track, str(parts.whole)))
        path, _ = parts.copy(lambda index: index.audio(track.stream))  # noqa: B023 - called at once
        encoded, stderr_lines = _encode(audio_command(plan, track, str(path)))
        assert encoded == expected
        assert stderr_lines == []


def test_the_first_segments_of_audio_are_the_same_from_parts(parts: Parts) -> None:
    plan = parts.plan
    if plan.total_segments <= 2 * FIRST_SEGMENTS:
        return
    for track in plan.audio:
        expected = _audio_segments(plan, track, _encode(audio_command(plan, track, str(parts.whole)))[0])
        path, index = parts.copy(Mp4Index.opening)
        packets = prober().packets(path, demuxer="mov", stream=track.stream, stop=NEVER, parsed=False)
        spans = beginning_of_audio(WorkingCopy(path, index), plan, track, FIRST_SEGMENTS, packets)
        path, _ = parts.copy(lambda _: spans)  # noqa: B023 - called at once
        encoded, stderr_lines = _encode(audio_command(plan, track, str(path), segments=FIRST_SEGMENTS))
        assert _audio_segments(plan, track, encoded)[:FIRST_SEGMENTS] == expected[:FIRST_SEGMENTS]
        assert stderr_lines == []


def _audio_segments(plan: EncodePlan, track: AudioRendition, encoded: dict[str, bytes]) -> list[Segment]:
    return list(AudioSegmenter(plan, track).feed(encoded[track.name]))


def test_a_hole_that_is_read_is_heard_of(parts: Parts) -> None:
    """All frames but the opening ones are holes: whatever a decoder says of that is not what it says of a seek."""
    plan = parts.plan
    if plan.total_frames < MANY_FRAMES:
        return
    last = plan.chunks[-1]
    path, _ = replace(parts, fill=0).copy(Mp4Index.opening)
    command = chunk_command(plan, str(path), first_segment=last.first_segment, segments=last.segments, threads=2)
    received: list[str] = []
    with suppress(TranscodeError):
        runner().run(
            command,
            dict.fromkeys(command.targets),
            stop=NEVER,
            on_stderr_line=received.append,
        )
    assert [line for line in received if not is_of_a_seek(line)] != []


def _packets(path: Path, stream: int, *, parsed: bool = False) -> list[str]:
    return list(prober().packets(path, demuxer="mov", stream=stream, stop=NEVER, parsed=parsed))


def _encode(command: FfmpegCommand) -> tuple[dict[str, bytes], list[str]]:
    taken = {target: bytearray() for target in command.targets}
    stderr_lines: list[str] = []
    runner().run(
        command,
        {target: data.extend for target, data in taken.items()},
        stop=NEVER,
        on_stderr_line=stderr_lines.append,
    )
    return {target: bytes(data) for target, data in taken.items()}, stderr_lines
