from collections.abc import Callable
from fractions import Fraction

import pytest

from transcoding.encoders import (
    CODEC_NAMES,
    ENCODERS,
    PRESETS,
    CodecLevel,
    EncodeTarget,
    Family,
    RateControl,
    VideoEncoder,
    cpu_encoder,
    hardware_encoders,
)
from transcoding.encoders.levels import (
    av1_codecs,
    av1_level,
    h264_codecs,
    h264_level,
    hevc_codecs,
    hevc_level,
    hevc_level_of_hardware,
    vp9_codecs,
    vp9_level,
)
from transcoding.encoders.traits import Options
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


@pytest.mark.parametrize(
    ("width", "height", "rate", "level"),
    [
        (320, 180, 25, "1.1"),
        (854, 480, 30, "3.0"),
        (1280, 720, 30, "3.1"),
        (1920, 1080, 30, "4.0"),
        (1920, 1080, 60, "4.1"),
        (3840, 2160, 60, "5.1"),
    ],
)
def test_levels_of_vp9(width: int, height: int, rate: int, level: str) -> None:
    assert vp9_level(width, height, Fraction(rate), USUAL) == CodecLevel(level)
    assert vp9_codecs("0", CodecLevel("3.1")) == "vp09.00.31.08"


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
        assert bool(hardware_encoders(choice.codec)) == (choice.codec != "vp9")
        assert all(encoder.codec == choice.codec for encoder in hardware_encoders(choice.codec))


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=lambda encoder: encoder.ffmpeg_name)
def test_every_encoder_knows_every_preset(encoder: VideoEncoder) -> None:
    assert set(encoder.presets) == set(PRESETS)
    assert all(preset.speed > 0 for preset in encoder.presets.values())


def test_profiles_of_x264() -> None:
    presets = cpu_encoder("h264").presets
    assert (presets["ultrafast"].profile, presets["veryslow"].profile) == ("main", "high")


@pytest.mark.parametrize(
    ("width", "height", "rate", "hevc", "av1"),
    [
        (320, 180, 25, "3.0", "3.0"),
        (854, 480, 30, "3.0", "3.0"),
        (1280, 720, 30, "3.1", "3.1"),
        (720, 1280, 30, "3.1", "3.1"),
        (1280, 720, 60, "4.0", "4.0"),
        (1920, 1080, 30, "4.0", "4.0"),
        (1920, 1080, 60, "4.1", "4.1"),
        (2560, 1440, 60, "5.0", "5.0"),
        (3840, 2160, 30, "5.0", "5.0"),
        (3840, 2160, 60, "5.1", "5.1"),
        (7680, 4320, 30, "6.0", "6.0"),
        (7680, 4320, 60, "6.1", "6.1"),
        (4096, 128, 25, "4.0", "5.0"),  # too wide for less
    ],
)
def test_levels_of_hevc_and_av1(width: int, height: int, rate: int, hevc: str, av1: str) -> None:
    assert hevc_level(width, height, Fraction(rate), USUAL) == CodecLevel(hevc, "main")
    assert av1_level(width, height, Fraction(rate), USUAL) == CodecLevel(av1, "main")


@pytest.mark.parametrize(
    ("bitrate", "hevc", "av1"),
    [
        (3_000_000, ("3.0", "main"), ("3.0", "main")),  # HEVC counts the buffer, of two seconds, AV1 the peak rate
        (3_900_000, ("3.1", "main"), ("3.0", "main")),
        (7_000_000, ("4.0", "high"), ("4.0", "main")),
        (10_000_000, ("4.0", "high"), ("4.0", "high")),
        (40_000_000, ("5.0", "high"), ("5.0", "high")),
    ],
)
def test_rates_may_need_a_higher_level_or_tier(bitrate: int, hevc: tuple[str, str], av1: tuple[str, str]) -> None:
    control = RateControl.for_bitrate(bitrate)
    assert hevc_level(640, 360, Fraction(25), control) == CodecLevel(*hevc)
    assert av1_level(640, 360, Fraction(25), control) == CodecLevel(*av1)


@pytest.mark.parametrize("level", [hevc_level, av1_level])
def test_beyond_every_level_of_the_others(level: Callable[[int, int, Fraction, RateControl], CodecLevel]) -> None:
    for size, bitrate in ((16_384, 1_000_000), (640, 700_000_000)):
        with pytest.raises(InputRejected, match="level allows"):
            level(size, size, Fraction(25), RateControl.for_bitrate(bitrate))


def test_hardware_has_high_tier_where_it_is_legal() -> None:
    assert hevc_level_of_hardware(1280, 720, Fraction(30), USUAL) == CodecLevel("3.1", "main")
    assert hevc_level_of_hardware(1920, 1080, Fraction(30), USUAL) == CodecLevel("4.0", "high")


def test_codecs_of_hevc_and_av1() -> None:
    assert hevc_codecs("main", CodecLevel("3.1", "main")) == "hvc1.1.6.L93.90"
    assert hevc_codecs("main", CodecLevel("5.1", "high")) == "hvc1.1.6.H153.90"
    assert av1_codecs("main", CodecLevel("3.0", "main")) == "av01.0.04M.08"
    assert av1_codecs("main", CodecLevel("5.1", "high")) == "av01.0.13H.08"


# --- NVENC, as the replaced system had it -----------------------------------------------------------------------------


def options_of(
    name: str, *, preset: str = "medium", bitrate_requested: bool, size: tuple[int, int] = (1920, 1080)
) -> Options:
    encoder = ENCODERS[name]
    control = RateControl.for_bitrate(5_000_000, constant_quality=not bitrate_requested)
    level = encoder.level(*size, Fraction(30), control)
    return encoder.options(
        EncodeTarget(preset=preset, profile=encoder.presets[preset].profile, level=level, control=control, gop=60)
    )


@pytest.mark.parametrize(
    ("preset", "own"),
    [
        ("ultrafast", "p1"),
        ("superfast", "p2"),
        ("veryfast", "p3"),
        ("faster", "p4"),
        ("fast", "p5"),
        ("medium", "p6"),
        ("slow", "p6"),
        ("slower", "p7"),
        ("veryslow", "p7"),
    ],
)
def test_presets_of_nvenc(preset: str, own: str) -> None:
    for name in ("h264_nvenc", "hevc_nvenc", "av1_nvenc"):
        assert options_of(name, preset=preset, bitrate_requested=True)["preset"] == own


@pytest.mark.parametrize("name", ["h264_nvenc", "hevc_nvenc", "av1_nvenc"])
def test_a_quality_never_goes_with_a_bitrate(name: str) -> None:
    """NVENC would throw the bitrate and the buffer away."""
    quality = options_of(name, bitrate_requested=False)
    assert (quality["rc"], quality["cq"], quality["maxrate"]) == ("vbr", "23", "7500000")
    assert not {"b:v", "bufsize"} & set(quality)
    bitrate = options_of(name, bitrate_requested=True)
    rates = (bitrate["rc"], bitrate["b:v"], bitrate["maxrate"], bitrate["bufsize"])
    assert rates == ("vbr", "5000000", "7500000", "10000000")
    assert "cq" not in bitrate


def test_frames_and_profiles_of_nvenc() -> None:
    h264, hevc = options_of("h264_nvenc", bitrate_requested=False), options_of("hevc_nvenc", bitrate_requested=False)
    assert (h264["bf"], h264["b_ref_mode"], h264["profile:v"], h264["level:v"]) == ("3", "middle", "high", "4.0")
    assert (hevc["bf"], hevc["profile:v"], hevc["tier"], hevc["tag:v"]) == ("4", "main", "high", "hvc1")
    assert options_of("h264_nvenc", bitrate_requested=False, size=(3840, 2160))["level:v"] == "5.1", (
        "4.1 would be illegal"
    )
    for options in (h264, hevc):
        assert (options["g"], options["forced-idr"], options["no-scenecut"]) == ("60", "1", "1")
