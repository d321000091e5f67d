from __future__ import annotations

from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

from transcoding.color import BT709
from transcoding.errors import InputRejected
from transcoding.flv.aac import AacConfig, read_aac_config, silent_frame
from transcoding.flv.amf import Value, amf_bytes
from transcoding.flv.facts import incoming_facts
from transcoding.flv.tags import FlvTag, TagKind

KEYFRAME = FlvTag(TagKind.VIDEO, 0, b"\x17\x01\x00\x00\x00N")
# Written by x264 and x265 for these sources.
PLAIN = bytes.fromhex("6742c01eda0280bfe5c05a808080a000007d20001d4c01e2c5d4")  # 640x360, 30000/1001, BT.709
FIELDS = bytes.fromhex("674d401ef405a126c104000003000400000300c87c50aa80")  # 720x576, pixels of 16:11
CROPPED = bytes.fromhex("67f40028919680780227b8bc0440000003004000000c83c60ca8")  # 1918x1078, 4:4:4
HEVC = bytes.fromhex(
    "42010101600000030090000003000003005aa006c201e1cde595952930bc05a02000000300200000030321"
)  # 854x480


def avc(sps: bytes) -> FlvTag:
    record = b"\x01" + sps[1:4] + b"\xff\xe1" + len(sps).to_bytes(2, "big") + sps + b"\x01\x00\x04\x68\xeb\xe3\xcb"
    return FlvTag(TagKind.VIDEO, 0, b"\x17\x00\x00\x00\x00" + record)


def declared(**fields: Value) -> FlvTag:
    return FlvTag(TagKind.DATA, 0, amf_bytes("onMetaData", fields))


def test_nothing_is_known_before_a_key_frame_and_its_parameters() -> None:
    assert incoming_facts([]) is None
    assert incoming_facts([KEYFRAME]) is None
    assert incoming_facts([avc(PLAIN)]) is None


def test_size_comes_from_the_video_and_rates_from_metadata() -> None:
    metadata = declared(width=1.0, height=1.0, framerate=29.97, videodatarate=2500.0, audiodatarate=128.0)
    facts = incoming_facts([metadata, avc(PLAIN), FlvTag(TagKind.AUDIO, 0, b"\xaf\x00\x11\x90"), KEYFRAME])
    assert facts is not None
    assert (facts.width, facts.height, facts.rate) == (640, 360, Fraction(30000, 1001))
    assert (facts.video_bitrate, facts.audio_bitrate) == (2_500_000, 128_000)
    assert (facts.audio_sample_rate, facts.audio_channels) == (48000, 2)
    assert (facts.video_codec, facts.interlaced, facts.sample_aspect) == ("h264", False, Fraction(1))


@pytest.mark.parametrize("rate", [0.0, -5.0, 1e9, True, "30", None])
def test_rates_that_are_none_are_not_believed(rate: Value) -> None:
    facts = incoming_facts([declared(framerate=rate, videodatarate=rate), avc(PLAIN), KEYFRAME])
    assert facts is not None
    assert facts.rate == Fraction(30000, 1001)
    assert facts.video_bitrate is None


@pytest.mark.parametrize("data", [b"\x12VIDEO", b"\x91av01NN", b"\x1fx"])
def test_other_codecs_are_rejected(data: bytes) -> None:
    with pytest.raises(InputRejected):
        incoming_facts([FlvTag(TagKind.VIDEO, 0, data)])


@given(st.binary(max_size=60))
def test_parameters_that_cannot_be_read_are_rejected(record: bytes) -> None:
    for start in (b"\x17\x00\x00\x00\x00", b"\x90hvc1"):
        try:
            facts = incoming_facts([FlvTag(TagKind.VIDEO, 0, start + b"x" + record), KEYFRAME])
        except InputRejected:
            continue
        assert facts is None or facts.width > 0


@pytest.mark.parametrize(
    ("record", "config"),
    [
        ("1190", AacConfig(48000, 2, 48000, 2)),
        ("119056e500", AacConfig(48000, 2, 48000, 2)),
        ("1208", AacConfig(44100, 1, 44100, 1)),
        ("2b920800", AacConfig(22050, 2, 44100, 2)),
        ("eb8a0800", AacConfig(22050, 1, 44100, 2)),
        ("11b8", AacConfig(48000, 7, 48000, 8)),
        ("1180", AacConfig(48000, 0, 48000, 0)),
        ("11b4", None),
        ("17", None),
        ("", None),
        ("1790", None),
    ],
)
def test_parameters_of_audio(record: str, config: AacConfig | None) -> None:
    assert read_aac_config(bytes.fromhex(record)) == config


@given(st.binary(max_size=12))
def test_parameters_of_audio_raise_nothing(record: bytes) -> None:
    config = read_aac_config(record)
    if config is not None:
        silent_frame(config)


@pytest.mark.parametrize(
    ("sequence", "size", "aspect", "interlaced", "rate"),
    [
        (PLAIN, (640, 360), Fraction(1), False, Fraction(30000, 1001)),
        (FIELDS, (720, 576), Fraction(16, 11), True, Fraction(25)),
        (CROPPED, (1918, 1078), Fraction(1), False, Fraction(25)),
    ],
)
def test_frames_of_h264(
    sequence: bytes, size: tuple[int, int], aspect: Fraction, *, interlaced: bool, rate: Fraction
) -> None:
    facts = incoming_facts([avc(sequence), KEYFRAME])
    assert facts is not None
    assert (facts.width, facts.height) == size
    assert (facts.sample_aspect, facts.interlaced, facts.rate) == (aspect, interlaced, rate)


def test_color_of_h264() -> None:
    facts = incoming_facts([avc(PLAIN), KEYFRAME])
    assert facts is not None
    assert facts.color == BT709


def test_frames_of_hevc() -> None:
    record = b"\x01" + bytes(21) + b"\x02" + b"\x20\x00\x01\x00\x02@\x01"
    record += b"\x21\x00\x01" + len(HEVC).to_bytes(2, "big") + HEVC
    header, keyframe = (
        FlvTag(TagKind.VIDEO, 0, start + rest) for start, rest in ((b"\x90hvc1", record), (b"\x93hvc1", b"N"))
    )
    facts = incoming_facts([header, keyframe])
    assert facts is not None
    assert (facts.video_codec, facts.width, facts.height) == ("hevc", 854, 480)
