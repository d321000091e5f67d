import pytest

from transcoding.sniffing.packed import has_packed_b_frames


@pytest.mark.parametrize(
    ("data", "packed"),
    [
        (b"\0\0\1\xb2DivX503b1393p\0", True),
        (b"x" * 20_000 + b"\0\0\1\xb2DivX999Build2816p", True),
        (b"\0\0\1\xb2DivX503b1393\0", False),
        (b"DivX503b1393p", False),
        (b"\0\0\1\xb2Lavc59.37.100", False),
        (b"", False),
    ],
)
def test_user_data_says_that_b_frames_are_packed(data: bytes, *, packed: bool) -> None:
    assert has_packed_b_frames(data) is packed
