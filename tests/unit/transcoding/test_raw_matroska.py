from collections.abc import Iterator
from fractions import Fraction

from tests.unit.transcoding.nal_writer import h264_sequence, h264_set, h264_slice
from transcoding.containers.raw_matroska import even_times, matroska_stream, slot_times
from transcoding.probing.frame_order import coded_frames
from transcoding.probing.streams import Resolution
from transcoding.sniffing.container import sniff

SEGMENT, CLUSTER, TIME, BLOCK, CUES, CUE, CUE_TIME, CUE_TRACK, CUE_AT = (
    *("18538067", "1f43b675", "e7", "a3", "1c53bb6b", "bb", "b3", "b7", "f1"),
)
CODED = (
    h264_sequence()
    + h264_set()
    + b"".join(h264_slice(order, number=n, idr=n == 0) for n, order in enumerate((0, 4, 2)))
)


def _file(coded: bytes) -> bytes:
    frames = coded_frames(coded, "h264", max_frames=100)
    rate, size = Fraction(25), Resolution(width=320, height=240)
    times = even_times(frames, rate)
    return b"".join(matroska_stream(coded, len(coded), frames, times, codec="h264", rate=rate, size=size))


def _elements(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The identifier of each element and its content; sizes are written in eight bytes."""
    position = 0
    while position < len(data):
        length = 9 - data[position].bit_length()
        begin = position + length + 8
        end = begin + int.from_bytes(data[position + length + 1 : begin], "big")
        assert end <= len(data)
        yield data[position : position + length].hex(), data[begin:end]
        position = end


def _number(data: bytes, *path: str) -> int:
    for kind in path:
        data = dict(_elements(data))[kind]
    return int.from_bytes(data, "big")


def test_frames_keep_their_bytes_and_get_the_times_at_which_they_are_shown() -> None:
    whole = _file(CODED)
    assert sniff(whole) == "matroska"
    clusters = [
        dict(_elements(content)) for kind, content in _elements(dict(_elements(whole))[SEGMENT]) if kind == CLUSTER
    ]
    assert [int.from_bytes(cluster[TIME], "big") for cluster in clusters] == [0, 80, 40]
    assert [cluster[BLOCK][:4].hex() for cluster in clusters] == ["81000080", "81000000", "81000000"]
    assert b"".join(cluster[BLOCK][4:] for cluster in clusters) == CODED[1:]


def test_frames_are_shown_in_the_slots_that_a_container_has() -> None:
    frames = coded_frames(CODED, "h264", max_frames=10)
    assert list(slot_times(frames, [40, 120, 160])) == [40, 160, 120]
    assert list(even_times(frames, Fraction(50), first=500)) == [500, 540, 520]


def test_the_index_leads_to_key_frames_half_a_second_apart() -> None:
    segment = dict(_elements(_file(CODED * 6)))[SEGMENT]
    (cues,) = [content for kind, content in _elements(segment) if kind == CUES]
    points = [content for kind, content in _elements(cues) if kind == CUE]
    assert [_number(point, CUE_TIME) for point in points] == [0, 600]
    for point in points:
        cluster = segment[_number(point, CUE_TRACK, CUE_AT) :]
        assert cluster.startswith(bytes.fromhex(CLUSTER))
        assert _number(next(_elements(cluster))[1], TIME) == _number(point, CUE_TIME)
