"""Points at which viewers may begin, in streams of a real muxer, however they are cut into blocks."""

from __future__ import annotations

import io

import av
import pytest

from relay.runs.joining import PACKET, Joining, NotOurs, Piece
from tests.live_media import Live, stream_of

FILM = Live(seconds=3, gop=25, audio="aac")
RADIO = Live(seconds=2, video="", audio="aac")


def pieces(stream: bytes, block: int, **options: int) -> list[Piece]:
    joining = Joining(**options)
    return [piece for start in range(0, len(stream), block) for piece in joining.feed(stream[start : start + block])]


@pytest.mark.parametrize("block", [1, 100, 1316, 1 << 16])
def test_all_packets_come_out_once_and_in_order(block: int) -> None:
    stream = stream_of(FILM)
    assert b"".join(piece.data for piece in pieces(stream, block)) == stream


@pytest.mark.parametrize("video", ["h264", "mpeg2"])
def test_every_key_frame_is_a_point_from_which_decoders_start(video: str) -> None:
    stream = stream_of(Live(seconds=3, gop=25, audio="aac", video=video))
    found = pieces(stream, 1316)
    points = [number for number, piece in enumerate(found) if piece.head is not None]
    assert len(points) >= 3
    for point in points:
        joined = found[point]
        assert joined.head is not None
        assert len(joined.head) == 2 * PACKET
        tail = joined.head + b"".join(piece.data for piece in found[point:])
        with av.open(io.BytesIO(tail), mode="r", format="mpegts") as container:
            packet = next(packet for packet in container.demux(video=0) if packet.size)
            assert packet.is_keyframe


def test_radio_may_be_joined_at_any_frame() -> None:
    found = pieces(stream_of(RADIO), 4 * PACKET)
    assert sum(piece.head is not None for piece in found) > 10


def test_video_without_marks_is_joined_anywhere_after_a_while() -> None:
    marked = stream_of(FILM)
    unmarked = bytearray(marked)
    for start in range(0, len(unmarked), PACKET):
        if unmarked[start + 3] & 0x20 and unmarked[start + 4]:
            unmarked[start + 5] &= ~0x40 & 0xFF
    assert all(piece.head is None for piece in pieces(bytes(unmarked), 1316))
    assert any(piece.head is not None for piece in pieces(bytes(unmarked), 1316, unmarked_limit_bytes=len(marked) // 2))


def test_what_is_no_transport_stream_is_refused() -> None:
    with pytest.raises(NotOurs):
        Joining().feed(b"<html>" * 100)
