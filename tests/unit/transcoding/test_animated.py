from hypothesis import given
from hypothesis import strategies as st

from transcoding.sniffing.animated import delay_edits

HEADER = b"GIF89a\x10\x00\x10\x00\x80\x00\x00" + bytes(6)
LOOP = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
FRAME = b"\x2c" + bytes(8) + b"\x80" + bytes(6) + b"\x02\x03\x21\xf9\x04\x02\x00\x00\x00"


def _control(delay: int) -> bytes:
    return b"\x21\xf9\x04\x00" + delay.to_bytes(2, "little") + b"\x00\x00"


def test_frames_get_the_delay_of_browsers_where_they_have_none() -> None:
    delays = (0, 1, 2, None, 10)
    frames = [b"" if delay is None else _control(delay) for delay in delays]
    image = HEADER + LOOP + b"".join(control + FRAME for control in frames) + b";" + bytes(20)
    changed, shift = bytearray(image), 0
    for offset, replaced, new in filter(None, delay_edits(image)):
        changed[offset + shift : offset + shift + replaced] = new
        shift += len(new) - replaced
    right = b"".join(_control(delay) + FRAME for delay in (10, 10, 2, 10, 10))
    assert bytes(changed) == HEADER + LOOP + right + b";" + bytes(20)


@given(data=st.binary(max_size=300))
def test_damage_is_no_error(data: bytes) -> None:
    for edit in delay_edits(HEADER + data):
        assert edit is None or edit[0] + edit[1] <= len(HEADER + data)
