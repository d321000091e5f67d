"""A part of a video, far from its beginning: audio to the sample, and no more bytes than it takes."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from storage.local import LocalStore
from storage.sparse import SparseSource
from tests.ffmpeg import golden
from tests.ffmpeg.golden import NEVER, POLICY, prober, runner
from tests.ffmpeg.sources import AAC, H264, Card, converted, make
from transcoding.commands.audio import audio_command
from transcoding.commands.chunk import chunk_command, read_until, seek_time
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.diagnosis import is_of_a_seek
from transcoding.containers.spans import total
from transcoding.encoders import AAC as ENCODED
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from transcoding.probing.timing import parse_packets
from workers.source.working_copy import WorkingCopy
from workers.steps.audio import beginning_of_audio

START, END = 16.28, 20.04
SAMPLE_BYTES = 4


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 s with two key frames in ten seconds, B-frames, and a beep every two seconds."""
    folder = tmp_path_factory.mktemp("cutting")
    card = Card(rate=Fraction(25), frames=1250)
    return make(folder / "source.mp4", card, *H264, "-bf", "3", "-g", "125", *AAC)


def _planned(facts: SourceFacts, **times: float) -> EncodePlan:
    request = JobRequest(resolution="160x90", bitrate=200_000, **times)  # type: ignore[arg-type]
    return plan_job(facts, request, replace(POLICY, preset="ultrafast"))


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_the_audio_of_a_part_is_that_of_the_whole_to_the_sample(source: Path, extension: str, tmp_path: Path) -> None:
    path = source if extension == "mp4" else converted(source, tmp_path / "source.mkv", ())
    _, facts = golden.inspect(path, tmp_path)
    whole, part = (_samples(_planned(facts, **times), path) for times in ({}, {"start": START, "end": END}))
    first, last = (int(time * ENCODED.sample_rate) * SAMPLE_BYTES for time in (START, END))
    assert len(part) == last - first
    assert part == whole[first:last] if extension == "mp4" else _like(part, whole, first)


def _like(part: bytes, whole: bytes, first: int) -> bool:
    """Matroska rounds times to a millisecond: samples may be shifted by half of that."""
    allowed = ENCODED.sample_rate // 2000 + 1
    starts = (first + shift * SAMPLE_BYTES for shift in range(-allowed, allowed + 1))
    return any(whole[start : start + len(part)] == part for start in starts)


def _samples(plan: EncodePlan, path: Path) -> bytes:
    """Return the audio as it goes into the encoder."""
    command = audio_command(plan, plan.audio[0], str(path))
    plain = replace(command.outputs[0], options={"c:a": "pcm_s16le", "bitexact": None, "f": "s16le"})
    return _run(replace(command, outputs=(plain,)))


def test_a_part_is_made_of_its_own_bytes(source: Path, tmp_path: Path) -> None:
    _, facts = golden.inspect(source, tmp_path)
    (tmp_path / "store" / "objects").mkdir(parents=True)
    (tmp_path / "store" / "objects" / "source").hardlink_to(source)
    store = LocalStore(tmp_path / "store", part_bytes=5 << 20)
    stored = store.head("source")
    with (tmp_path / "parts").open("w+b") as file:
        sparse = SparseSource(store, "source", stored.etag, stored.size, file, lambda _: None)
        index = sparse.index()
        shift = index.shift_to(parse_packets(_packets(source, facts.video.index)))
        plan = _planned(replace(facts, sample_shift=shift), start=START, end=END)
        track = plan.audio[0]
        sparse.fetch(
            index.video(seek=seek_time(plan, 0), until=read_until(plan, 0, plan.total_segments), shift=shift or 0)
        )
        copy = WorkingCopy(tmp_path / "parts", index)
        sparse.fetch(beginning_of_audio(copy, plan, track, plan.total_segments, _packets(copy.path, track.stream)))
        assert total(sparse.fetched) < stored.size * 2 / 3
    assert _run(_chunk(plan, copy.path)) == _run(_chunk(plan, source))
    assert _run(audio_command(plan, track, str(copy.path))) == _run(audio_command(plan, track, str(source)))


def _chunk(plan: EncodePlan, path: Path) -> FfmpegCommand:
    return chunk_command(plan, str(path), first_segment=0, segments=plan.total_segments, threads=1)


def _packets(path: Path, stream: int) -> list[str]:
    return list(prober().packets(path, demuxer="mov", stream=stream, stop=NEVER, parsed=False))


def _run(command: FfmpegCommand) -> bytes:
    """The only output of a command, which says nothing that matters."""
    taken, lines = bytearray(), list[str]()
    runner().run(command, {command.targets[0]: taken.extend}, stop=NEVER, on_stderr_line=lines.append)
    assert [line for line in lines if not is_of_a_seek(line)] == []
    return bytes(taken)
