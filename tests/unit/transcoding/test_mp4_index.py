"""Byte ranges of an MP4 file that a step needs; no file can make them wrong."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.containers.mp4_index import Mp4Index, read_index, read_top_box
from transcoding.containers.mp4_tables import UnusableIndex
from transcoding.containers.spans import bridged, covers, merge, missing, total, union
from transcoding.probing.timing import Packet

FILE_SIZE = 10_000_000
FRAME = 1000
AUDIO = 100
OPENING = 40
TICKS = 25
"""Ticks per second of the video, and so frames: times are frame numbers."""


def box(kind: str, *payload: bytes) -> bytes:
    data = b"".join(payload)
    return struct.pack(">I4s", 8 + len(data), kind.encode()) + data


def table(kind: str, *rows: Sequence[int], row: str = "I", head: bytes = b"") -> bytes:
    packed = b"".join(struct.pack(f">{row}", *values) for values in rows)
    return box(kind, bytes(4), head, struct.pack(">I", len(rows)), packed)


def a_track(handler: str, boxes: Mapping[str, bytes]) -> bytes:
    mdhd = box("mdhd", struct.pack(">IIIII", 0, 0, 0, TICKS, 0))
    hdlr = box("hdlr", bytes(8), handler.encode(), bytes(12))
    return box("trak", box("mdia", mdhd, hdlr, box("minf", box("stbl", *boxes.values()))))


def video_tables(frames: int = 300, *, gop: int = 50, at: int = 40) -> dict[str, bytes]:
    """Frames of 1,000 bytes in chunks of ten, each chunk followed by one of audio."""
    chunks = range(-(-frames // 10))
    return {
        "stsz": box("stsz", bytes(4), struct.pack(">II", 0, frames), struct.pack(">I", FRAME) * frames),
        "stco": table("stco", *([at + number * (10 * FRAME + AUDIO)] for number in chunks)),
        "stsc": table("stsc", (1, 10, 1), row="III"),
        "stts": table("stts", (frames, 1), row="II"),
        "stss": table("stss", *([number] for number in range(1, frames + 1, gop))),
    }


def audio_tables(chunks: int = 30, *, at: int = 40, size: int = 0) -> dict[str, bytes]:
    sizes = b"" if size else struct.pack(">I", AUDIO) * chunks
    return {
        "stsz": box("stsz", bytes(4), struct.pack(">II", size, chunks), sizes),
        "stco": table("stco", *([at + 10 * FRAME + number * (10 * FRAME + AUDIO)] for number in range(chunks))),
        "stsc": table("stsc", (1, 1, 1), row="III"),
        "stts": table("stts", (chunks, 10), row="II"),
    }


def a_moov(*tracks: bytes) -> bytes:
    return b"".join(tracks) or (a_track("vide", video_tables()) + a_track("soun", audio_tables()))


def an_index(*tracks: bytes) -> Mp4Index:
    return read_index(a_moov(*tracks), FILE_SIZE)


def packets_of(index: Mp4Index, shift: int) -> list[Packet]:
    frames = index.frames
    return [
        Packet(time + shift, 1, key=bool(sync), discard=False, size=size, position=offset)
        for time, sync, size, offset in zip(frames.times, frames.sync, frames.sizes, frames.offsets, strict=True)
    ]


def frames_in(index: Mp4Index, spans: Sequence[tuple[int, int]]) -> list[int]:
    """The frames whose bytes are all there, but for those that ffmpeg reads on opening."""
    packets = packets_of(index, 0)
    return [number for number, packet in enumerate(packets) if number >= OPENING and covers(spans, [packet])]


def test_a_frame_lies_where_the_tables_say() -> None:
    frames = an_index().frames
    assert len(frames.offsets) == 300
    assert frames.offsets[:2].tolist() == [40, 1040]  # type: ignore[attr-defined]
    assert frames.offsets[10] == 40 + 10 * FRAME + AUDIO
    assert [number for number in range(300) if frames.sync[number]] == [0, 50, 100, 150, 200, 250]


def test_a_chunk_begins_at_the_key_frame_before_its_seek_and_reads_on_a_little() -> None:
    index = an_index()
    spans = index.video(seek=Fraction(110, TICKS), until=Fraction(150, TICKS), shift=0)
    # 110 lies in the group from 100 on; 151 is the first frame after 150, and 64 are read ahead of it
    assert frames_in(index, spans) == list(range(100, 151 + 1 + 64))


def test_a_seek_to_a_key_frame_is_not_relied_on_to_the_microsecond() -> None:
    index = an_index()
    spans = index.video(seek=Fraction(100, TICKS), until=Fraction(150, TICKS), shift=0)
    assert frames_in(index, spans)[0] == 50


def test_times_are_those_of_ffmpeg() -> None:
    index = an_index()
    spans = index.video(seek=Fraction(110 + 75, TICKS), until=Fraction(150 + 75, TICKS), shift=75)
    assert frames_in(index, spans)[0] == 100


def test_reordered_frames_are_read_up_to_the_last_in_decoding_order() -> None:
    tables = video_tables()
    # groups of I P B B: frame 1 is shown third after its B-frames
    offsets = [(1, 1), (1, 3), (1, 0), (1, 0)] * 75
    index = an_index(a_track("vide", {**tables, "ctts": table("ctts", *offsets, row="Ii")}))
    assert list(index.frames.times[:4]) == [1, 4, 2, 3]
    spans = index.video(seek=None, until=Fraction(102, TICKS), shift=0)
    # 103 is shown next, and decoded last of its group; 104 frames, then 64 more
    assert frames_in(index, spans)[-1] == 103 + 64


def test_the_last_chunk_reads_to_the_end_and_the_first_from_the_start() -> None:
    index = an_index()
    spans = index.video(seek=None, until=Fraction(1000), shift=0)
    assert frames_in(index, spans) == list(range(40, 300))


def test_audio_is_read_whole_and_little_else() -> None:
    index = an_index()
    spans = index.audio(1)
    audio = index.tracks[1]
    assert bytes_of(audio.chunks) <= bytes_of(spans)
    assert total(spans) == 30 * AUDIO + OPENING * FRAME


def test_plain_audio_goes_on_to_the_next_chunk_of_any_track() -> None:
    index = an_index(a_track("vide", video_tables()), a_track("soun", audio_tables(size=2)))
    assert index.tracks[1].ends[0] - index.tracks[1].starts[0] == AUDIO
    assert index.tracks[1].ends[-1] == FILE_SIZE


def test_the_index_is_relied_on_when_ffmpeg_reads_it_alike() -> None:
    index = an_index()
    assert index.shift_to(packets_of(index, 75)) == 75
    assert index.shift_to(packets_of(index, -3)[20:200]) == -3, "an edit list may hide some"


@pytest.mark.parametrize(
    "change",
    [
        {"pts": 1000},
        {"size": 7},
        {"position": 41},
        {"position": -1},
        {"key": False},
    ],
)
def test_an_index_that_ffmpeg_reads_in_another_way_is_not_relied_on(change: dict[str, int]) -> None:
    index = an_index()
    packets = packets_of(index, 0)
    given = packets[100]
    fields = {name: getattr(given, name) for name in ("pts", "duration", "key", "discard", "size", "position")}
    packets[100] = Packet(**{**fields, **change})
    assert index.shift_to(packets) is None


def test_a_frame_that_is_shown_twice_is_not_understood() -> None:
    index = an_index()
    packets = packets_of(index, 0)
    assert index.shift_to(packets + packets[-10:]) is None
    assert index.shift_to([]) is None


@pytest.mark.parametrize(
    ("kind", "instead"),
    [
        ("stsz", b""),
        ("stsz", box("stsz", bytes(4), struct.pack(">II", 0, 0xFFFF_FFFF))),
        ("stsz", box("stsz", bytes(4), struct.pack(">II", 1, 0xFFFF_FFFF))),
        ("stco", b""),
        ("stco", box("stco", bytes(4), struct.pack(">I", 0xFFFF_FFFF))),
        ("stco", table("stco", *([FILE_SIZE - 5] for _ in range(30)))),
        ("stco", table("co64", *([2**64 - 1] for _ in range(30)), row="Q")),
        ("stsc", b""),
        ("stsc", table("stsc", (2, 10, 1), row="III")),
        ("stsc", table("stsc", (1, 10, 1), (0xFFFF_FFFF, 1, 1), row="III")),
        ("stsc", table("stsc", (1, 0xFFFF_FFFF, 1), row="III")),
        ("stsc", table("stsc", (1, 9, 1), row="III")),
        ("stts", b""),
        ("stts", table("stts", (0xFFFF_FFFF, 1), row="II")),
        ("stts", table("stts", (299, 1), row="II")),
        ("stss", table("stss", [301])),
        ("stss", table("stss", [0])),
        ("stss", box("stss", bytes(4), struct.pack(">I", 9))),
        ("ctts", table("ctts", (0xFFFF_FFFF, 1), row="Ii")),
    ],
)
def test_tables_that_do_not_fit_make_an_index_unusable(kind: str, instead: bytes) -> None:
    with pytest.raises(UnusableIndex):
        an_index(a_track("vide", {**video_tables(), kind: instead}))


def test_fragmented_files_and_several_videos_are_read_whole() -> None:
    with pytest.raises(UnusableIndex, match="fragmented"):
        an_index(a_moov(), box("mvex"))
    with pytest.raises(UnusableIndex, match="2 video tracks"):
        an_index(a_track("vide", video_tables()), a_track("vide", video_tables()))
    with pytest.raises(UnusableIndex, match="boxes"):
        an_index(*([box("free")] * 2000))


@given(st.data())
def test_no_damage_gets_further_than_an_unusable_index(data: st.DataObject) -> None:
    moov = bytearray(a_moov())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(moov) - 1))
        moov[at] = data.draw(st.integers(0, 255))
    try:
        index = read_index(bytes(moov[: data.draw(st.integers(0, len(moov)))]), FILE_SIZE)
        spans = [
            *index.video(seek=Fraction(4), until=Fraction(9), shift=0),
            *index.audio(1),
        ]
    except UnusableIndex:
        return
    assert all(0 <= start <= end <= FILE_SIZE for start, end in spans)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (struct.pack(">I4s", 100, b"moov"), ("moov", 50, 58, 150)),
        (struct.pack(">I4sQ", 1, b"mdat", 900), ("mdat", 50, 66, 950)),
        (struct.pack(">I4s", 0, b"mdat"), ("mdat", 50, 58, 1000)),
    ],
)
def test_a_box_says_where_it_ends(head: bytes, expected: tuple[str, int, int, int]) -> None:
    found = read_top_box(head.ljust(16, b"\0"), 50, 1000)
    assert (found.kind, found.start, found.payload, found.end) == expected


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0\0\0",
        struct.pack(">I4s", 7, b"moov"),
        struct.pack(">I4s", 951, b"mdat"),
        struct.pack(">I4sQ", 1, b"mdat", 2**63),
        struct.pack(">I4sQ", 1, b"mdat", 15),
        struct.pack(">I4s", 100, b"moof"),
    ],
)
def test_a_box_that_cannot_be_makes_the_file_unusable(head: bytes) -> None:
    with pytest.raises(UnusableIndex):
        read_top_box(head, 50, 1000)


def test_near_spans_are_read_as_one() -> None:
    assert merge([(50, 60), (0, 10), (12, 20), (15, 18)], gap=5) == [(0, 20), (50, 60)]


def test_too_many_spans_become_fewer_at_the_smallest_gaps() -> None:
    spans = [(0, 10), (30, 40), (45, 50), (90, 99)]
    assert merge(spans, gap=0, max_spans=3) == [(0, 10), (30, 50), (90, 99)]
    assert merge(spans, gap=0, max_spans=1) == [(0, 99)]
    assert len(merge([(at * 10, at * 10 + 1) for at in range(500)], gap=0, max_spans=100)) <= 100


def test_gaps_are_bridged_from_the_first_one_on_while_bytes_are_to_spare() -> None:
    spans = [(0, 10), (14, 20), (23, 30), (31, 40)]
    assert bridged(spans, 0) == spans
    assert bridged(spans, 4) == [(0, 20), (23, 30), (31, 40)]
    assert bridged(spans, 5) == [(0, 20), (23, 40)]
    assert bridged(spans, 8) == [(0, 40)]
    assert bridged([], 8) == []


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda pair: (pair[0], pair[0] + pair[1])))


def bytes_of(spans: Iterable[tuple[int, int]]) -> set[int]:
    return {byte for start, end in spans for byte in range(start, end)}


@given(SPANS, SPANS)
def test_what_is_missing_is_what_is_not_there(requested: list[tuple[int, int]], there: list[tuple[int, int]]) -> None:
    found = missing(requested, union(there))
    assert bytes_of(found) == bytes_of(requested) - bytes_of(there)
    assert total(found) == len(bytes_of(found))


@given(SPANS, st.integers(0, 5), st.integers(1, 4))
def test_merging_loses_nothing(spans: list[tuple[int, int]], gap: int, max_spans: int) -> None:
    merged = merge(spans, gap=gap, max_spans=max_spans)
    assert bytes_of(spans) <= bytes_of(merged)
    assert len(merged) <= max_spans
    assert all(earlier[1] < later[0] for earlier, later in pairwise(merged))
