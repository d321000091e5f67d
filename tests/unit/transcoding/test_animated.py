from hypothesis import given
from hypothesis import strategies as st

from transcoding.probing.animated import short_delays

HEADER = b"GIF89a\x10\x00\x10\x00\x80\x00\x00" + bytes(6)
LOOP = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
FRAME = b"\x2c" + bytes(8) + b"\x80" + bytes(6) + b"\x02\x03\x21\xf9\x04\x02\x00\x00\x00"


def _control(delay: int) -> bytes:
    return b"\x21\xf9\x04\x00" + delay.to_bytes(2, "little") + b"\x00\x00"


def test_short_delays_are_found_where_they_are() -> None:
    delays = (0, 1, 2, 10, 1)
    image = HEADER + LOOP + b"".join(_control(delay) + FRAME for delay in delays) + b";" + bytes(20)
    first, each = len(HEADER + LOOP) + 4, len(_control(0) + FRAME)
    assert [offset for offset in short_delays(image) if offset is not None] == [first, first + each, first + 4 * each]


@given(data=st.binary(max_size=300))
def test_damage_is_no_error(data: bytes) -> None:
    for offset in short_delays(HEADER + data):
        assert offset is None or offset + 2 <= len(HEADER + data)
