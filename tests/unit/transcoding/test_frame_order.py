import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.transcoding.nal_writer import (
    h264_sequence,
    h264_set,
    h264_slice,
    hevc_sets,
    hevc_slice,
    recovery_point,
)
from transcoding.errors import InputRejected
from transcoding.probing.frame_order import coded_frames
from transcoding.sniffing.container import sniff

SETS = h264_sequence() + h264_set()
IDR, TRAIL, TRAIL_UNUSED, RASL, CRA = 19, 1, 0, 9, 21


def _positions(data: bytes, codec: str = "h264") -> list[int]:
    return list(coded_frames(data, codec, max_frames=1000).positions())


def test_frames_are_shown_in_the_order_of_their_counts() -> None:
    coded = (0, 8, 4, 2, 6)
    slices = (h264_slice(order, number=n, idr=n == 0) for n, order in enumerate(coded))
    assert _positions(SETS + b"".join(slices)) == [0, 4, 2, 1, 3]


def test_order_counts_go_on_when_their_bits_run_over() -> None:
    slices = (h264_slice(2 * n, number=n, idr=n == 0) for n in range(40))
    assert _positions(SETS + b"".join(slices)) == list(range(40))


def test_frames_behind_a_new_start_are_shown_behind_all_before_it() -> None:
    group = h264_slice(0, idr=True) + h264_slice(4, number=1) + h264_slice(2, number=2, reference=False)
    assert _positions(SETS + group + group) == [0, 2, 1, 3, 5, 4]


def test_slices_of_a_frame_are_one_frame() -> None:
    frame = h264_slice(0, idr=True) + h264_slice(0, idr=True, first_block=10)
    following = h264_slice(2, number=1) + h264_slice(2, number=1, first_block=10)
    assert _positions(SETS + frame + following) == [0, 1]


def test_a_frame_whose_first_slice_is_lost_is_a_frame() -> None:
    lost = h264_slice(2, number=1, first_block=10)
    assert _positions(SETS + h264_slice(0, idr=True) + lost + h264_slice(4, number=2)) == [0, 1, 2]


def test_two_fields_are_one_frame() -> None:
    sets = h264_sequence(frames_only=False) + h264_set()
    fields = b"".join(
        h264_slice(2 * n + bottom, number=n, idr=n == 0, field=bool(bottom)) for n in range(4) for bottom in range(2)
    )
    assert _positions(sets + fields) == [0, 1, 2, 3]


def test_streams_without_reordering_say_no_order() -> None:
    sets = h264_sequence(order_type=2) + h264_set()
    slices = (h264_slice(0, number=n, idr=n == 0, order_type=2) for n in range(20))
    assert _positions(sets + b"".join(slices)) == list(range(20))


def test_an_expected_order_is_worked_out_from_the_cycle() -> None:
    """Each reference frame is expected four counts behind the one before it, and one that is none a count before."""
    sets = h264_sequence(order_type=1, cycle=(4,)) + h264_set()
    frames = [(0, True), (1, True), (2, False), (2, True), (3, False)]
    slices = (
        h264_slice(0, number=number, idr=n == 0, reference=reference, order_type=1)
        for n, (number, reference) in enumerate(frames)
    )
    assert _positions(sets + b"".join(slices)) == [0, 2, 1, 4, 3]


def test_frames_begin_with_what_belongs_to_them() -> None:
    first, second = SETS + h264_slice(0, idr=True), recovery_point() + h264_slice(2, number=1)
    found = coded_frames(first + second + h264_slice(4, number=2), "h264", max_frames=10)
    assert list(found.starts) == [1, len(first) + 1, len(first) + len(second) + 1]
    assert list(found.keys) == [1, 1, 0]


def test_hevc_frames_are_shown_in_the_order_of_their_counts() -> None:
    frames = [hevc_slice(IDR), hevc_slice(TRAIL, 4), hevc_slice(TRAIL_UNUSED, 2, temporal=1), hevc_slice(TRAIL, 8)]
    again = hevc_slice(TRAIL, 8, first=False)
    assert _positions(hevc_sets() + b"".join(frames) + again, "hevc") == [0, 2, 1, 3]


def test_hevc_order_counts_go_on_behind_a_clean_access_point() -> None:
    frames = [hevc_slice(IDR), hevc_slice(TRAIL, 6), hevc_slice(CRA, 12), hevc_slice(RASL, 10), hevc_slice(TRAIL, 18)]
    found = coded_frames(hevc_sets() + b"".join(frames), "hevc", max_frames=10)
    assert list(found.positions()) == [0, 1, 3, 2, 4]
    assert list(found.keys) == [1, 0, 1, 0, 0]


def test_what_cannot_be_decoded_yet_is_left_out() -> None:
    lead = recovery_point() + h264_slice(2, number=1)
    found = coded_frames(lead + SETS + h264_slice(0, idr=True) + h264_slice(2, number=1), "h264", max_frames=10)
    assert (list(found.positions()), found.starts[0]) == ([0, 1], len(lead) + 1)


def test_a_stream_without_a_frame_is_rejected() -> None:
    with pytest.raises(InputRejected, match="no frame"):
        coded_frames(SETS, "h264", max_frames=10)


def test_more_frames_than_allowed_are_rejected() -> None:
    slices = b"".join(h264_slice(2 * n, number=n, idr=n == 0) for n in range(20))
    with pytest.raises(InputRejected, match="more than 10"):
        coded_frames(SETS + slices, "h264", max_frames=10)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@given(data=st.binary(max_size=300), seed=st.integers(0, 1 << 30))
def test_damage_is_no_error(codec: str, data: bytes, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a repeatable test, no secret
    good = SETS + h264_slice(0, idr=True) if codec == "h264" else hevc_sets() + hevc_slice(IDR)
    damaged = bytearray(good * 3)
    for _ in range(chance.randrange(8)):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    try:
        positions = _positions(bytes(damaged) + data, codec)
    except InputRejected:
        return
    assert sorted(positions) == list(range(len(positions)))


def test_raw_streams_are_known_by_their_first_units() -> None:
    assert sniff(SETS + h264_slice(0, idr=True)) == "h264"
    assert sniff(bytes(7) + SETS + h264_slice(0, idr=True)) == "h264"
    assert sniff(hevc_sets() + hevc_slice(IDR)) == "hevc"
    assert sniff(SETS) is None
    assert sniff(b"\x00\x00\x01\x67\x99" + SETS) is None


def test_order_counts_of_any_size_are_no_error() -> None:
    sets = h264_sequence(order_type=1, cycle=((1 << 31) - 1,), number_bits=16) + h264_set()
    pair = b"".join(h264_slice(0, number=n, number_bits=16, order_type=1) for n in (1, 0))
    assert coded_frames(sets + pair * ((1 << 16) + 100), "h264", max_frames=1 << 18).starts
