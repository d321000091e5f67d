from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from transcoding.flv.tags import FLV_HEADER, FlvTag, TagKind, flv_bytes


def video(data: bytes, at: int = 0) -> FlvTag:
    return FlvTag(TagKind.VIDEO, at, data)


def audio(data: bytes) -> FlvTag:
    return FlvTag(TagKind.AUDIO, 0, data)


@pytest.mark.parametrize(
    ("tag", "codec", "kind", "payload"),
    [
        (video(b"\x17\x00\x00\x00\x00AVCC"), "h264", "header", b"AVCC"),
        (video(b"\x17\x01\x00\x00\x00NALS"), "h264", "key frame", b"NALS"),
        (video(b"\x27\x01\x00\x00\x00NALS"), "h264", "frame", b"NALS"),
        (video(b"\x17\x02\x00\x00\x00"), "h264", "other", b""),
        (video(b"\x1c\x01\x00\x00\x00NALS"), "hevc", "key frame", b"NALS"),
        (video(b"\x90hvc1HVCC"), "hevc", "header", b"HVCC"),
        (video(b"\x91hvc1\x00\x00\x21NALS"), "hevc", "key frame", b"NALS"),
        (video(b"\xa3hvc1NALS"), "hevc", "frame", b"NALS"),
        (video(b"\x91av01OBUS"), "av1", "key frame", b"OBUS"),
        (video(b"\x57\x00"), "h264", "other", b""),
        (video(b"\x12h263"), "flv1", "key frame", b"h263"),
        (video(b"\x1f?"), "", "key frame", b"?"),
        (audio(b"\xaf\x00\x11\x90"), "aac", "header", b"\x11\x90"),
        (audio(b"\xaf\x01\x21"), "aac", "frame", b"\x21"),
        (audio(b"\x2fMP3."), "mp3", "frame", b"MP3."),
        (audio(b"\x90OpusHEAD"), "opus", "header", b"HEAD"),
        (audio(b""), "", "other", b""),
        (audio(b"\xaf\x00"), "aac", "other", b""),
    ],
)
def test_what_tags_say(tag: FlvTag, codec: str, kind: str, payload: bytes) -> None:
    assert (tag.codec, tag.payload) == (codec, payload)
    assert tag.is_keyframe == (kind == "key frame")
    assert tag.is_sequence_header == (kind == "header")
    assert tag.is_frame == (kind in ("key frame", "frame"))


def test_frames_are_presented_later_than_decoded() -> None:
    assert video(b"\x17\x01\x00\x00\x42N").composition_ms == 66
    assert video(b"\x17\x01\xff\xff\xffN").composition_ms == -1
    assert video(b"\x91hvc1\x00\x00\x21N").composition_ms == 33
    assert video(b"\x93hvc1NNNN").composition_ms == 0
    assert audio(b"\xaf\x01\x00\x00\x21").composition_ms == 0


def test_presentation_can_be_set_to_decoding() -> None:
    assert video(b"\x17\x01\x12\x34\x56N").without_composition().data == b"\x17\x01\x00\x00\x00N"
    assert video(b"\x91hvc1\x12\x34\x56N").without_composition().data == b"\x91hvc1\x00\x00\x00N"
    assert audio(b"\xaf\x01NN").without_composition().data == b"\xaf\x01NN"


def test_a_tag_in_a_file() -> None:
    written = flv_bytes(video(b"\x17abcd", at=0x12345678))
    assert written == b"\x09\x00\x00\x05\x34\x56\x78\x12\x00\x00\x00" + b"\x17abcd" + b"\x00\x00\x00\x10"
    assert len(FLV_HEADER) == 13


@given(st.sampled_from(TagKind), st.binary(max_size=12))
def test_nothing_that_comes_raises(kind: TagKind, data: bytes) -> None:
    tag = FlvTag(kind, 0, data)
    said = tag.codec, tag.is_keyframe, tag.is_header, tag.is_frame, tag.composition_ms, tag.payload
    assert len(said) == 6
    assert len(tag.without_composition().data) >= len(data)
