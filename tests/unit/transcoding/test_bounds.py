"""Indexes that announce more than a file holds are refused by their boxes; others pass, whatever their bytes are."""

import io
import struct
import tracemalloc
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crafted import CraftedTrack, box, crafted, table
from transcoding.containers.bounds import MAX_SAMPLES, refuse_unbounded
from transcoding.errors import InputRejected, ResourceExceeded

MAX_TRACKS = 64
TEN_HOURS = 10 * 3600


def look(path: Path) -> None:
    with path.open("rb") as file:
        refuse_unbounded(file, path.stat().st_size, max_tracks=MAX_TRACKS)


def sizes(samples: int, size: int) -> bytes:
    return struct.pack(">I", size) * samples


BOMBS: dict[str, tuple[Sequence[CraftedTrack], bytes, str]] = {
    "80 million samples of one size": ([CraftedTrack(samples=80_000_000)], b"", "announces 80000000 frames"),
    "two tracks of them": ([CraftedTrack(samples=80_000_000)] * 2, b"", "announces 80000000 frames"),
    "as many audio packets": (
        [CraftedTrack(handler="soun", samples=80_000_000, durations=[(80_000_000, 1024)])],
        b"",
        "announces 80000000 frames",
    ),
    "chunks upon each other": (
        [CraftedTrack(samples=10_000, size=0, sizes=sizes(10_000, 100_000), chunks=[40] * 10_000, chunk_samples=1)],
        bytes(100_000),
        "same bytes over and over",
    ),
    "chunks of one size upon each other": (
        [CraftedTrack(samples=10_000, size=100_000, chunks=[40] * 10_000, chunk_samples=1)],
        bytes(100_000),
        "same bytes over and over",
    ),
    "edits that repeat": (
        [CraftedTrack(samples=10_000, size=0, sizes=sizes(10_000, 1), edits=[(10_000, 0)] * 600)],
        bytes(10_000),
        "as if they were",
    ),
    "edits of a tick at the end of a long group": (
        [CraftedTrack(samples=10_000, size=0, sizes=sizes(10_000, 1), sync=[1], edits=[(1, 9_999)] * 600)],
        bytes(10_000),
        "as if they were",
    ),
    "edits over frames that last no time": (
        [
            CraftedTrack(
                samples=10_000,
                size=0,
                sizes=sizes(10_000, 1),
                durations=[(1, 1000), (9_999, 0)],
                sync=[1],
                edits=[(1, 1000)] * 600,
            )
        ],
        bytes(10_000),
        "as if they were",
    ),
    "a thousand tracks": ([CraftedTrack()] * 1000, b"", "1000 streams"),
    "sizes that are not there": ([CraftedTrack(samples=1_000_000, size=0)], b"", "sizes of more frames than it has"),
}


@pytest.mark.parametrize("quicktime", [False, True])
@pytest.mark.parametrize("bomb", BOMBS)
def test_an_index_that_announces_too_much_is_refused(bomb: str, quicktime: bool, tmp_path: Path) -> None:  # noqa: FBT001
    tracks, media, sentence = BOMBS[bomb]
    tracks = [replace(track, quicktime=quicktime) for track in tracks]
    with pytest.raises(InputRejected, match=sentence):
        look(crafted(tmp_path / "bomb.mp4", *tracks, media=media))


def test_a_fragment_announces_samples_without_rows(tmp_path: Path) -> None:
    run = box("trun", bytes(4), struct.pack(">I", 80_000_000))
    moof = box("moof", box("mfhd", bytes(8)), box("traf", box("tfhd", bytes(4), struct.pack(">I", 1)), run))
    with pytest.raises(InputRejected, match="announces 80000001 frames"):
        look(crafted(tmp_path / "bomb.mp4", CraftedTrack(), fragments=[moof]))


def test_tables_may_lie_anywhere_in_a_track(tmp_path: Path) -> None:
    stsz = box("stsz", bytes(4), struct.pack(">II", 1, 80_000_000))
    hidden = CraftedTrack(tables={"stsz": box("edts", box("dinf", stsz))})
    with pytest.raises(InputRejected, match="announces 80000000 frames"):
        look(crafted(tmp_path / "bomb.mp4", hidden))


def pcm(hours: int) -> CraftedTrack:
    """PCM of 48 kHz, of which QuickTime counts every sample."""
    samples = hours * 3600 * 48_000
    return CraftedTrack(
        handler="soun", samples=samples, size=1, timescale=48_000, chunks=[40] * (hours * 3600), chunk_samples=48_000
    )


FRAMES = TEN_HOURS * 60
HONEST: dict[str, Sequence[CraftedTrack]] = {
    "ten hours of 60 frames per second with audio": (
        CraftedTrack(samples=FRAMES, size=0, sizes=sizes(FRAMES, 0), timescale=60, edits=[(TEN_HOURS * 1000, 0)]),
        CraftedTrack(
            handler="soun",
            samples=TEN_HOURS * 48_000 // 1024,
            size=0,
            sizes=sizes(TEN_HOURS * 48_000 // 1024, 0),
            durations=[(TEN_HOURS * 48_000 // 1024, 1024)],
            timescale=48_000,
            edits=[(TEN_HOURS * 1000, 1024)],
        ),
    ),
    "ten hours of PCM": (CraftedTrack(), pcm(10)),
    "a late start and a priming": (CraftedTrack(samples=1, edits=[(500, -1), (1, 0)]),),
    "a cut of many scenes": (
        CraftedTrack(
            samples=50_000,
            size=0,
            sizes=sizes(50_000, 0),
            sync=range(1, 50_001, 250),
            edits=[(100, start) for start in range(0, 50_000, 100)],
        ),
    ),
    "a loop": (CraftedTrack(samples=100, size=0, sizes=sizes(100, 0), edits=[(100, 0)] * 50),),
    "frames that are stored once": (
        CraftedTrack(samples=100, size=0, sizes=sizes(100, 100), chunks=[40] * 100, chunk_samples=1),
    ),
    "no track": (),
}


@pytest.mark.parametrize("quicktime", [False, True])
@pytest.mark.parametrize("honest", HONEST)
def test_an_honest_index_passes(honest: str, quicktime: bool, tmp_path: Path) -> None:  # noqa: FBT001
    tracks = [replace(track, quicktime=quicktime) for track in HONEST[honest]]
    look(crafted(tmp_path / "honest.mp4", *tracks, media=bytes(200)))


def test_a_truncated_file_is_left_to_the_inspection(tmp_path: Path) -> None:
    """It is refused there, as truncated."""
    chunks = [40 + number * 1_000_000 for number in range(1000)]
    look(
        crafted(
            tmp_path / "truncated.mp4",
            CraftedTrack(samples=1000, size=0, sizes=sizes(1000, 1_000_000), chunks=chunks, chunk_samples=1),
            media=bytes(500_000),
        )
    )


def test_a_long_index_is_read_in_little_memory(tmp_path: Path) -> None:
    film = crafted(tmp_path / "film.mp4", *HONEST["ten hours of 60 frames per second with audio"])
    tracemalloc.start()
    try:
        look(film)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
    assert film.stat().st_size > 8 << 20


@dataclass
class CountedFile:
    """A file in memory that counts what is read from it."""

    data: bytes
    reads: int = 0
    read_bytes: int = 0
    file: io.BytesIO = field(init=False)

    def __post_init__(self) -> None:
        self.file = io.BytesIO(self.data)

    def seek(self, position: int, whence: int = 0) -> int:
        return self.file.seek(position, whence)

    def read(self, size: int) -> bytes:
        found = self.file.read(size)
        self.reads += 1
        self.read_bytes += len(found)
        return found


KINDS = st.sampled_from(
    ("moov", "trak", "mdia", "minf", "stbl", "edts", "stsz", "stz2", "stsc", "stco", "co64", "stts", "stss", "elst")
) | st.sampled_from(("mvhd", "mdhd", "hdlr", "moof", "traf", "trun", "free"))
NUMBERS = st.sampled_from([0, 1, 2, 7, 100, MAX_SAMPLES, 2**31 - 1, 2**31, 2**32 - 1])
TABLES = st.builds(
    lambda numbers, tail: struct.pack(f">{len(numbers)}I", *numbers) + tail,
    st.lists(NUMBERS | st.integers(0, 2**32 - 1), max_size=12),
    st.binary(max_size=9),
)


def _nested(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(lambda kind, parts: box(kind, *parts), KINDS, st.lists(inner, max_size=5))


BOXES = st.recursive(st.builds(box, KINDS, TABLES | st.just(b"\0\0\0\0soun")), _nested, max_leaves=30)
FILES = st.one_of(
    st.binary(max_size=400),
    st.lists(BOXES, max_size=4).map(b"".join),
    st.lists(BOXES, max_size=6).map(lambda boxes: box("moov", table("mvhd", [], "I"), box("trak", *boxes))),
)


@given(data=FILES, lengths=st.lists(st.tuples(st.integers(0, 400), NUMBERS), max_size=3))
def test_no_bytes_take_more_reads_than_they_are(data: bytes, lengths: list[tuple[int, int]]) -> None:
    """Whatever the boxes are, they pass or are refused, after reading each byte a few times at most."""
    changed = bytearray(data)
    for position, number in lengths:
        if position + 4 <= len(changed):
            struct.pack_into(">I", changed, position, number)
    file = CountedFile(bytes(changed))
    with suppress(InputRejected):
        refuse_unbounded(cast("IO[bytes]", file), len(changed), max_tracks=MAX_TRACKS)
    assert file.reads <= 40 + 6 * len(changed)
    assert file.read_bytes <= 200 + 60 * len(changed)


def _many_boxes(kind: str, count: int) -> bytes:
    return box(kind, box("free") * count)


@dataclass
class Deadline:
    """A check that ends a walk after so many calls."""

    calls: int

    def check(self) -> None:
        self.calls -= 1
        if not self.calls:
            raise ResourceExceeded("enough")


@pytest.mark.parametrize(
    ("data", "calls"),
    [
        (box("free") * 2000, 20),
        (_many_boxes("moof", 2000), 20),
        (_many_boxes("moof", 1) * 200, 150),
        (_many_boxes("moov", 2000), 20),
        (box("moov", *[box("trak", box("mdia", box("minf")))] * 20, *[box("free")] * 2000), 20),
    ],
    ids=["boxes", "boxes in a fragment", "fragments", "boxes in an index", "boxes behind tracks"],
)
def test_a_walk_over_many_boxes_is_checked(data: bytes, calls: int) -> None:
    with pytest.raises(ResourceExceeded, match="enough"):
        refuse_unbounded(io.BytesIO(data), len(data), max_tracks=MAX_TRACKS, check=Deadline(calls).check)


@pytest.mark.parametrize("kind", ["sizes", "offsets", "edits"])
def test_a_walk_over_long_tables_is_checked(tmp_path: Path, kind: str) -> None:
    rows = 200_000
    edits = [(1, number) for number in range(2000)] if kind == "edits" else ()
    chunks = [40] * rows if kind == "offsets" else [40]
    samples = 300 if kind == "edits" else rows
    track = CraftedTrack(
        samples=samples,
        size=0,
        sizes=sizes(samples, 0),
        chunks=chunks,
        chunk_samples=rows if kind == "sizes" else 1,
        edits=edits,
    )
    path = crafted(tmp_path / "source.mp4", track)
    with path.open("rb") as file, pytest.raises(ResourceExceeded, match="enough"):
        refuse_unbounded(file, path.stat().st_size, max_tracks=MAX_TRACKS, check=Deadline(10).check)
