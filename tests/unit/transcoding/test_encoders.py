from fractions import Fraction

import pytest

from transcoding.encoders import (
    CODEC_NAMES,
    ENCODERS,
    PRESETS,
    CodecLevel,
    Family,
    RateControl,
    VideoEncoder,
    cpu_encoder,
    hardware_encoders,
)
from transcoding.encoders.levels import h264_codecs, h264_level
from transcoding.errors import InputRejected

USUAL = RateControl.for_bitrate(1_000_000)


@pytest.mark.parametrize(
    ("width", "height", "rate", "level"),
    [
        (320, 180, 25, "3.0"),
        (720, 480, 30, "3.0"),  # 45x30 macroblocks: 40,500 a second
        (720, 576, 25, "3.0"),  # the most that 3.0 allows
        (854, 480, 30, "3.1"),
        (1280, 720, 30, "3.1"),
        (1280, 720, 60, "3.2"),
        (720, 1280, 30, "3.1"),
        (1920, 1080, 30, "4.0"),
        (1920, 1080, 60, "4.2"),
        (2560, 1440, 30, "5.0"),
        (2560, 1440, 60, "5.1"),
        (3840, 2160, 30, "5.1"),
        (3840, 2160, 60, "5.2"),
        (7680, 4320, 60, "6.2"),
    ],
)
def test_the_level_is_the_lowest_that_allows_size_and_rate(width: int, height: int, rate: int, level: str) -> None:
    assert h264_level(width, height, Fraction(rate), USUAL) == CodecLevel(level)


@pytest.mark.parametrize(("bitrate", "level"), [(8_000_000, "3.0"), (9_000_000, "3.1"), (100_000_000, "5.0")])
def test_the_level_allows_the_peak_bit_rate(bitrate: int, level: str) -> None:
    assert h264_level(320, 180, Fraction(25), RateControl.for_bitrate(bitrate)) == CodecLevel(level)


def test_beyond_every_level() -> None:
    with pytest.raises(InputRejected, match="level allows 16384x16384"):
        h264_level(16_384, 16_384, Fraction(25), USUAL)


@pytest.mark.parametrize(
    ("profile", "level", "codecs"),
    [("high", "3.1", "avc1.64001f"), ("main", "3.0", "avc1.4d401e"), ("high", "5.2", "avc1.640034")],
)
def test_codecs_name_profile_and_level(profile: str, level: str, codecs: str) -> None:
    assert h264_codecs(profile, CodecLevel(level)) == codecs


def test_rate_control_of_a_bitrate() -> None:
    control = RateControl.for_bitrate(3_000_000)
    assert control == RateControl(bitrate=3_000_000, max_rate=4_500_000, buffer_size=6_000_000)
    assert control.peak(Fraction(4)) == 6_000_000


def test_names_of_a_codec() -> None:
    """The name of an encoder for the CPU is a codec, too, and forces the CPU."""
    for name, choice in CODEC_NAMES.items():
        assert cpu_encoder(choice.codec).family == Family.CPU
        assert choice.cpu_only == (name in ENCODERS)
        assert hardware_encoders(choice.codec)
        assert {encoder.codec for encoder in hardware_encoders(choice.codec)} == {choice.codec}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=lambda encoder: encoder.ffmpeg_name)
def test_every_encoder_knows_every_preset(encoder: VideoEncoder) -> None:
    assert set(encoder.presets) == set(PRESETS)
    assert all(preset.speed > 0 for preset in encoder.presets.values())


def test_profiles_of_x264() -> None:
    presets = cpu_encoder("h264").presets
    assert (presets["ultrafast"].profile, presets["veryslow"].profile) == ("main", "high")
