from __future__ import annotations

import struct
from contextlib import suppress

import hypothesis.strategies as st
import pytest
from hypothesis import given

from transcoding.flv.amf import MAX_DEPTH, AmfInvalid, Value, amf_bytes, amf_values

values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(values, max_size=4))
def test_what_is_written_is_read(written: list[Value]) -> None:
    assert amf_values(amf_bytes(*written)) == written


def test_long_text() -> None:
    assert amf_values(amf_bytes("x" * 70_000)) == ["x" * 70_000]


@given(st.binary(max_size=300))
def test_garbage_raises_nothing_but_its_error(data: bytes) -> None:
    with suppress(AmfInvalid):
        amf_values(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00",
        b"\x02\xff\xffshort",
        b"\x0a\xff\xff\xff\xff" + b"\x05" * 5000,
        b"\x0a\x00\x00\x00\x01" * (MAX_DEPTH + 2) + b"\x05",
        b"\x07\x00\x01",
        b"\x11",
        b"\x05" * 5000,
    ],
)
def test_what_is_cut_deep_or_unknown_is_refused(data: bytes) -> None:
    with pytest.raises(AmfInvalid):
        amf_values(data)


def test_arrays_of_metadata_end_with_their_mark_or_with_the_data() -> None:
    entry = b"\x00\x05width" + b"\x00" + struct.pack(">d", 1280)
    for end in (b"\x00\x00\x09", b""):
        assert amf_values(b"\x08\x00\x00\x00\x00" + entry + end) == [{"width": 1280.0}]


def test_numbers_that_are_none_are_zero() -> None:
    assert amf_values(b"\x00" + struct.pack(">d", float("nan")) + b"\x00" + struct.pack(">d", float("inf"))) == [0, 0]
