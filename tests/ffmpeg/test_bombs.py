"""Files that are small and announce much: inspected in little memory and time, or refused, whatever they contain."""

import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.crafted import (
    CraftedTrack,
    box,
    compressed,
    crafted,
    flash_index,
    matroska_tracks,
    ogg_streams,
    tiled,
    transport_streams,
)
from tests.ffmpeg.sources import AAC, Card, make
from tests.inspected import Inspected, inspected

MAX_MIB = 300
MAX_SECONDS = 60
MANY = CraftedTrack(samples=80_000_000)
SMALL_BYTES = 3 << 20

Maker = Callable[[Path], Path]


def _chunks_upon_each_other(path: Path) -> Path:
    """Two megabytes that would be an hour of 4320 lines."""
    frames = 108_000
    sizes = struct.pack(">I", 1_500_000) * frames
    track = CraftedTrack(samples=frames, size=0, sizes=sizes, chunks=[40] * frames, chunk_samples=1, timescale=30)
    return crafted(path, replace(track, width=4320, height=4320), media=bytes(1_500_000))


def _fragment(path: Path) -> Path:
    run = box("trun", bytes(4), struct.pack(">I", 80_000_000))
    header = box("tfhd", struct.pack(">I", 0x20000), struct.pack(">I", 1))
    moof = box("moof", box("mfhd", bytes(8)), box("traf", header, run))
    extends = box("mvex", box("trex", bytes(4), struct.pack(">IIIII", 1, 1, 1, 1, 0)))
    return crafted(path, replace(CraftedTrack(), tables={"mvex": extends}), fragments=[moof, box("mdat", bytes(10))])


BOMBS: dict[str, tuple[str, Maker]] = {
    "80 million samples of one size": ("mp4", lambda path: crafted(path, MANY)),
    "two tracks of them": ("mp4", lambda path: crafted(path, MANY, MANY)),
    "as many audio packets": (
        "mp4",
        lambda path: crafted(path, CraftedTrack(), replace(MANY, handler="soun", durations=[(80_000_000, 1024)])),
    ),
    "chunks upon each other": ("mp4", _chunks_upon_each_other),
    "edits that repeat 10,000 samples 600 times": (
        "mp4",
        lambda path: crafted(
            path,
            CraftedTrack(samples=10_000, size=0, sizes=struct.pack(">I", 1) * 10_000, edits=[(10_000, 0)] * 600),
            media=bytes(10_000),
        ),
    ),
    "a thousand tracks": ("mp4", lambda path: crafted(path, *[CraftedTrack()] * 1000)),
    "a fragment of 80 million samples": ("mp4", _fragment),
    "80 million samples in a compressed index": ("mov", lambda path: compressed(path, MANY)),
    "a thousand tracks of Matroska": ("mkv", lambda path: matroska_tracks(path, 1000)),
    "a thousand streams of Ogg": ("ogv", lambda path: ogg_streams(path, 1000)),
    "thousands of transport streams": ("ts", lambda path: transport_streams(path, 40)),
    "200 million key frames of Flash": ("flv", lambda path: flash_index(path, 200_000_000)),
}


def is_bounded(found: Inspected) -> bool:
    return max(found.own_mib, found.program_mib) <= MAX_MIB and found.processor_seconds <= MAX_SECONDS


@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_before_it_costs_anything(bomb: str, parts: bool, tmp_path: Path) -> None:  # noqa: FBT001
    extension, maker = BOMBS[bomb]
    source = maker(tmp_path / f"bomb.{extension}")
    assert source.stat().st_size <= SMALL_BYTES
    found = inspected(source, tmp_path, parts=parts)
    assert found.refusal
    assert is_bounded(found), found


def test_a_bomb_is_refused_without_its_media(tmp_path: Path) -> None:
    source = crafted(tmp_path / "bomb.mp4", replace(MANY, chunks=[40]), media=bytes(30 << 20))
    found = inspected(source, tmp_path, parts=True)
    assert "announces 80000000 frames" in found.refusal
    assert found.fetched < 64 << 10


HOURS = 1


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour of 60 frames per second with B-frames and audio, each frame with bytes of its own."""
    folder = tmp_path_factory.mktemp("film")
    options = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "120", "-crf", "51", *AAC)
    clip = make(folder / "clip.mp4", Card(rate=Fraction(60), frames=600, width=64, height=64), *options)
    return tiled(folder / "film.mp4", clip, HOURS * 360)


@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
def test_a_long_film_is_measured_exactly(film: Path, parts: bool, tmp_path: Path) -> None:  # noqa: FBT001
    found = inspected(film, tmp_path, parts=parts)
    assert found.refusal == ""
    assert found.facts is not None
    assert (found.facts["total_frames"], found.facts["rate"]) == (HOURS * 3600 * 60, "60/1")
    assert (found.facts["sample_shift"] is not None) == parts
    assert is_bounded(found), found


def test_every_sample_of_pcm_is_counted_by_quicktime(tmp_path: Path) -> None:
    """Cameras and editors write such files; ffmpeg joins their samples."""
    card = Card(rate=Fraction(5), frames=1000, width=64, height=64)  # 200 seconds
    found = inspected(make(tmp_path / "pcm.mov", card, "-c:v", "mpeg4", "-c:a", "pcm_s16le"), tmp_path)
    assert found.refusal == ""
    assert is_bounded(found), found
