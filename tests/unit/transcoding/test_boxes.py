import io
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.transcoding.builders import a_fragment, a_video_entry, an_audio_stream, an_init, box
from transcoding.color import ColorSpace
from transcoding.containers.boxes import (
    InitSegment,
    MalformedBoxes,
    as_upright,
    find,
    iterate_boxes,
    read_init,
    top_level_kinds,
)
from transcoding.containers.fragments import Fragment, FragmentReader, Sample, join_fragments, read_fragment

GOP = a_fragment(0, [(1000, b"key", True), (1000, b"", False), (1000, b"delta", False)])
NEXT_GOP = a_fragment(3000, [(1000, b"key2", True)])
STREAM = an_init() + GOP + NEXT_GOP


BT601 = ColorSpace.of_codes(6, 6, 6, full=False)


def fragments_of(*parts: bytes) -> list[Fragment]:
    reader = FragmentReader()
    return [fragment for part in parts for fragment in reader.feed(part)]


@pytest.mark.parametrize("version", [0, 1])
def test_an_init_segment_of_frames(version: int) -> None:
    assert read_init(an_init(version=version)) == InitSegment(
        timescale=25_000, codecs="avc1.64001e", width=640, height=360, edit_start=2000, color=BT601
    )


def test_a_color_space_is_read_from_the_sample_entry() -> None:
    assert read_init(an_init(color=(9, 16, 9), full_range=True)).color == ColorSpace.of_codes(9, 16, 9, full=True)
    plain = a_video_entry("avc1", "avcC", bytes.fromhex("0164001eff"))
    assert read_init(an_init(video=plain)).color is None
    with pytest.raises(MalformedBoxes):
        read_init(an_init(video=a_video_entry("avc1", "avcC", bytes.fromhex("0164001eff"), box("colr", b"nclx"))))


@pytest.mark.parametrize("version", [0, 1])
def test_an_init_segment_of_audio(version: int) -> None:
    data = an_init(timescale=48_000, width=0, height=0, edit_start=1024, audio=True, version=version)
    assert read_init(data) == InitSegment(timescale=48_000, codecs="mp4a.40.2", width=0, height=0, edit_start=1024)


@pytest.mark.parametrize(
    ("kind", "configuration", "payload", "codecs"),
    [
        ("hvc1", "hvcC", "0101600000009000000000005a", "hvc1.1.6.L90.90"),  # what x265 writes for Main at level 3.0
        ("hvc1", "hvcC", "012160000000b0000000000078", "hvc1.1.6.H120.B0"),
        ("hvc1", "hvcC", "014220000000000000000000bb", "hvc1.A2.4.L187"),
        ("hvc1", "hvcC", "0101600000009000080000005d", "hvc1.1.6.L93.90.0.8"),
        ("vp09", "vpcC", "01000000001f8201010100", "vp09.00.31.08"),
        ("av01", "av1C", "81040c00", "av01.0.04M.08"),  # what SVT-AV1 writes at level 3.0
        ("av01", "av1C", "8109cc00", "av01.0.09H.10"),
        ("av01", "av1C", "814e6c00", "av01.2.14M.12"),
    ],
)
def test_other_codecs_are_named_by_their_configuration(
    kind: str, configuration: str, payload: str, codecs: str
) -> None:
    data = an_init(video=a_video_entry(kind, configuration, bytes.fromhex(payload)))
    assert read_init(data).codecs == codecs
    with pytest.raises(MalformedBoxes):
        read_init(an_init(video=a_video_entry(kind, configuration, b"\x01")))


def test_two_edits_are_refused() -> None:
    once = bytes(4) + struct.pack(">I", 1)
    data = an_init().replace(once + struct.pack(">Ii", 0, 2000), bytes(4) + struct.pack(">IIi", 2, 0, 2000))
    with pytest.raises(MalformedBoxes, match="one edit, found 2"):
        read_init(data)


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(MalformedBoxes, match="unknown sample entry hev1"):
        read_init(an_init().replace(b"avc1", b"hev1"))


def test_every_broken_off_init_segment_is_refused() -> None:
    for data in (an_init(), an_init(audio=True)):
        for length in range(len(data)):
            with pytest.raises(MalformedBoxes):
                read_init(data[:length])


@pytest.mark.parametrize(
    "track",
    [
        box("tkhd", bytes(7)),
        box("tkhd", bytes(84)) + box("mdia", box("mdhd")),
        box("tkhd", bytes(84)) + box("mdia", box("mdhd", bytes(10))),
        box("tkhd", bytes(84)) + box("mdia", box("mdhd", bytes(24)) + box("minf", box("stbl", box("stsd", bytes(8))))),
    ],
    ids=["tkhd", "empty mdhd", "mdhd", "no sample entry"],
)
def test_an_init_segment_with_a_box_that_is_too_short_is_refused(track: bytes) -> None:
    with pytest.raises(MalformedBoxes, match="too short"):
        read_init(box("moov", box("trak", track)))


def test_fragments_say_when_they_start_and_what_is_in_them() -> None:
    first, second = fragments_of(STREAM)
    assert first.decode_time == 0
    assert first.samples == (Sample(1000, 3, sync=True), Sample(1000, 0, sync=False), Sample(1000, 5, sync=False))
    assert (first.duration, first.data) == (3000, GOP)
    assert (second.decode_time, second.duration, second.data) == (3000, 1000, NEXT_GOP)


def test_decode_times_of_both_lengths_are_read() -> None:
    assert fragments_of(an_init(), a_fragment(7, [(1, b"x", True)], version=0))[0].decode_time == 7
    assert fragments_of(an_init(), a_fragment(1 << 40, [(1, b"x", True)]))[0].decode_time == 1 << 40


def test_a_stream_fed_byte_by_byte_gives_the_same() -> None:
    assert fragments_of(*(STREAM[n : n + 1] for n in range(len(STREAM)))) == fragments_of(STREAM)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_a_stream_split_anywhere_gives_the_same(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    parts = [STREAM[start:end] for start, end in pairwise(edges)]
    assert fragments_of(*parts) == fragments_of(STREAM)


def test_a_fragment_comes_as_soon_as_it_is_whole() -> None:
    """Also one whose last box is hardly longer than its header, as those of silence are."""
    reader = FragmentReader()
    tiny = a_fragment(0, [(1024, b"x", True)])
    assert list(reader.feed(an_init() + tiny[:-1])) == []
    assert [fragment.data for fragment in reader.feed(tiny[-1:])] == [tiny]
    assert reader.leftover == 0


def test_the_init_segment_is_there_when_its_last_byte_is() -> None:
    reader = FragmentReader()
    init = an_init()
    assert list(reader.feed(init[:-1])) == []
    assert reader.init is None
    assert list(reader.feed(init[-1:])) == []
    assert reader.init == init


def test_what_is_broken_off_is_left_over() -> None:
    for length in range(1, len(GOP)):
        reader = FragmentReader()
        assert list(reader.feed(an_init() + GOP[:length])) == []
        assert reader.leftover == length


@pytest.mark.parametrize(
    "stream",
    [
        b"\x00\x00\x00\x00mdat",
        b"\x00\x00\x00\x07moof",
        box("mdat", b"x"),
        box("moof") + box("mdat"),
        GOP[:-1] + b"!" + GOP.partition(b"mdat")[0][:-4] + GOP.partition(b"mdat")[0][:-4],
        a_fragment(0, []),
        GOP.replace(b"delta", b"delt").replace(struct.pack(">I", 16) + b"mdat", struct.pack(">I", 15) + b"mdat"),
        box("moof", box("traf", box("tfhd", bytes(8)) + box("tfdt") + box("trun", bytes(8)))) + box("mdat"),
        box("moof", box("traf", box("tfhd") + box("tfdt", bytes(8)) + box("trun", bytes(8)))) + box("mdat"),
        box("moof", box("traf", box("tfhd", bytes(8)) + box("tfdt", bytes(8)) + box("trun"))) + box("mdat"),
        box("moof", box("traf", box("tfhd", bytes(8)) + box("tfdt", bytes(8)))) + box("mdat"),
    ],
    ids=[
        *("a box without end", "a box shorter than its header", "media without a moof", "an empty moof"),
        *("a moof after a moof", "no samples", "less media than announced"),
        *("a short tfdt", "a short tfhd", "a short trun", "no trun"),
    ],
)
def test_what_no_muxer_of_ours_writes_is_refused(stream: bytes) -> None:
    with pytest.raises(MalformedBoxes):
        fragments_of(an_init(), stream)


def test_a_fragment_that_lists_fewer_samples_than_it_announces_is_refused() -> None:
    rows = struct.pack(">II", 1000, 1)
    trun = struct.pack(">III", 0x301, 2, 0) + rows
    traf = box("tfhd", bytes(8)) + box("tfdt", bytes(8)) + box("trun", trun)
    with pytest.raises(MalformedBoxes, match="announces 2 samples and lists 1"):
        fragments_of(an_init(), box("moof", box("traf", traf)) + box("mdat", b"x"))


def test_values_that_all_samples_share_are_taken_from_the_header() -> None:
    """Duration, size and flags of every sample in tfhd, the flags of the first one in trun."""
    tfhd = struct.pack(">IIIII", 0x02_0038, 1, 500, 2, 0x0101_0000)
    trun = struct.pack(">IIiI", 0x5, 3, 0, 0x0200_0000)
    traf = box("tfhd", tfhd) + box("tfdt", bytes(8)) + box("trun", trun)
    (fragment,) = fragments_of(an_init(), box("moof", box("traf", traf)) + box("mdat", b"aabbcc"))
    assert fragment.samples == (Sample(500, 2, sync=True), Sample(500, 2, sync=False), Sample(500, 2, sync=False))


def test_a_long_header_is_understood() -> None:
    """With a base offset and a sample description in front of the values."""
    tfhd = struct.pack(">IIQII", 0x00_000B, 1, 0, 1, 500)
    trun = struct.pack(">III", 0x200, 1, 2)
    traf = box("tfhd", tfhd) + box("tfdt", bytes(8)) + box("trun", trun)
    moof = box("moof", box("traf", traf))
    assert read_fragment(find(moof, "moof"), moof + box("mdat", b"aa")).samples == (Sample(500, 2, sync=True),)


def test_joined_fragments_are_one_with_all_their_samples() -> None:
    fragments = fragments_of(an_audio_stream(3000))
    joined = join_fragments(fragments[1:], sequence=2)
    (fragment,) = fragments_of(an_init(), joined)
    assert fragment.decode_time == 1024
    assert fragment.samples == tuple(sample for part in fragments[1:] for sample in part.samples)
    assert bytes(find(joined, "mdat")) == b"".join(bytes(find(part.data, "mdat")) for part in fragments[1:])
    assert struct.unpack(">II", find(joined, "moof", "mfhd")) == (0, 2)


def test_the_data_offset_of_joined_fragments_points_at_their_first_byte() -> None:
    joined = join_fragments(fragments_of(an_audio_stream(3000)), sequence=1)
    (offset,) = struct.unpack_from(">i", find(joined, "moof", "traf", "trun"), 8)
    assert joined[offset:].startswith(b"aac0")


def test_boxes_of_more_than_4_gigabytes_have_a_longer_header() -> None:
    large = struct.pack(">I4sQ", 1, b"free", 20) + b"four"
    assert [(found.kind, bytes(found.payload)) for found in iterate_boxes(large)] == [("free", b"four")]


def test_a_missing_box_is_named() -> None:
    with pytest.raises(MalformedBoxes, match="no box trak on the way to moov/trak"):
        find(box("moov", box("mvhd")), "moov", "trak")


def test_the_kinds_at_the_top_are_read_without_their_payloads() -> None:
    data = box("ftyp", b"isom") + box("mdat", bytes(1000)) + box("moov", box("trak")) + box("free", bytes(8))
    assert top_level_kinds(io.BytesIO(data)) == ["ftyp", "mdat", "moov", "free"]
    assert top_level_kinds(io.BytesIO(data), max_boxes=2) == ["ftyp", "mdat"]


@pytest.mark.parametrize("media", [8, (1 << 20) + 1])
def test_a_fragment_is_refused_before_its_samples_are_listed(media: int) -> None:
    """Samples that take no byte in the boxes: a fragment of 100 bytes could announce four thousand million of them."""
    trun = struct.pack(">III", 0, 1 << 17, 0)
    traf = box("tfhd", bytes(8)) + box("tfdt", bytes(8)) + box("trun", trun)
    with pytest.raises(MalformedBoxes, match="announces 131072 samples"):
        fragments_of(an_init(), box("moof", box("traf", traf)) + box("mdat", bytes(media)))


@pytest.mark.parametrize(
    ("kind", "size"),
    [("mdat", 1 << 31), ("mdat", 1001), ("moof", (1 << 20) + 1), ("moov", 1 << 31), ("free", (1 << 32) - 1)],
)
def test_a_box_that_says_it_is_too_large_is_refused_at_its_header(kind: str, size: int) -> None:
    reader = FragmentReader(max_media_bytes=1000)
    with pytest.raises(MalformedBoxes, match=f"a box {kind} of {size} bytes"):
        list(reader.feed(an_init() + struct.pack(">I4s", size, kind.encode())))


def test_an_init_segment_without_end_is_refused() -> None:
    reader = FragmentReader()
    with pytest.raises(MalformedBoxes, match="without end"):
        for _ in range(64):
            list(reader.feed(box("ftyp", bytes(1 << 16))))


def test_an_init_segment_turns_nothing() -> None:
    for version in (0, 1):
        init = an_init(version=version)
        turned = bytearray(init)
        at = turned.index(b"tkhd") + 4 + (96 if version else 84) - 44
        turned[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
        upright = as_upright(bytes(turned))
        assert upright[at : at + 36] == struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
        assert upright[:at] + upright[at + 36 :] == init[:at] + init[at + 36 :]
        assert as_upright(upright) == upright
    with pytest.raises(MalformedBoxes, match="too few"):
        as_upright(box("moov", box("trak", box("tkhd", bytes(40)))))
