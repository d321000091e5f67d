import pytest

from transcoding.color import ColorRange, ColorSpace, Matrix, Primaries, Transfer, has_alpha, is_rgb

HD, PAL, SD = (1280, 720), (720, 576), (854, 480)


def color(names: str) -> ColorSpace:
    """Primaries, transfer function, matrix and range in a line; "-" is unknown."""
    primaries, transfer, matrix, range_ = names.split()
    return ColorSpace.of_names(primaries=primaries, transfer=transfer, matrix=matrix, range_=range_)


@pytest.mark.parametrize(
    ("source", "size", "encoded"),
    [
        ("- - - -", HD, "bt709 bt709 bt709 tv"),
        ("- - - tv", (1080, 1920), "bt709 bt709 bt709 tv"),
        ("- - - -", SD, "smpte170m smpte170m smpte170m tv"),
        ("- - - -", PAL, "bt470bg smpte170m bt470bg tv"),
        ("bt709 bt709 bt709 tv", SD, "bt709 bt709 bt709 tv"),
        ("smpte170m smpte170m smpte170m tv", HD, "smpte170m smpte170m smpte170m tv"),
        ("bt470bg - bt470bg -", HD, "bt470bg smpte170m bt470bg tv"),
        ("- - smpte170m tv", HD, "smpte170m smpte170m smpte170m tv"),
        ("smpte170m - - tv", HD, "smpte170m smpte170m smpte170m tv"),
        ("bt709 - smpte170m pc", HD, "bt709 bt709 smpte170m pc"),
        ("- - bt470bg pc", HD, "bt709 bt709 bt470bg pc"),
        ("- - - pc", SD, "bt709 bt709 smpte170m pc"),
        ("- - gbr pc", SD, "bt709 bt709 bt709 tv"),
        ("- iec61966-2-1 gbr pc", HD, "bt709 iec61966-2-1 bt709 tv"),
        ("bt2020 - gbr pc", HD, "bt2020 - bt2020nc tv"),
        ("smpte432 bt709 - tv", HD, "smpte432 bt709 bt709 tv"),
        ("bt2020 smpte2084 bt2020nc tv", HD, "bt2020 smpte2084 bt2020nc tv"),
        ("bt2020 arib-std-b67 bt2020nc tv", SD, "bt2020 arib-std-b67 bt2020nc tv"),
        ("- smpte2084 bt2020nc tv", HD, "bt2020 smpte2084 bt2020nc tv"),
        ("- smpte2084 - -", HD, "bt2020 smpte2084 bt2020nc tv"),
        ("bt2020 arib-std-b67 gbr pc", HD, "bt2020 arib-std-b67 bt2020nc tv"),
        ("bt2020 smpte2084 bt2020nc pc", HD, "bt2020 smpte2084 bt2020nc tv"),
        ("- - ycgco tv", HD, "- - ycgco tv"),
    ],
)
def test_what_is_encoded_keeps_what_the_source_says(source: str, size: tuple[int, int], encoded: str) -> None:
    assert color(source).encoded(long_side=max(size), short_side=min(size)) == color(encoded)


def test_what_is_known_already_stays() -> None:
    once = color("- - - -").encoded(long_side=854, short_side=480)
    assert once.encoded(long_side=1920, short_side=1080) == once


@pytest.mark.parametrize(
    ("codes", "full", "names"),
    [
        ((1, 1, 1), False, "bt709 bt709 bt709 tv"),
        ((6, 6, 6), False, "smpte170m smpte170m smpte170m tv"),
        ((5, 6, 5), True, "bt470bg smpte170m bt470bg pc"),
        ((9, 16, 9), False, "bt2020 smpte2084 bt2020nc tv"),
        ((9, 18, 10), False, "bt2020 arib-std-b67 bt2020c tv"),
        ((12, 13, 0), True, "smpte432 iec61966-2-1 gbr pc"),
        ((22, 14, 14), False, "ebu3213 bt2020-10 ictcp tv"),
        ((2, 2, 2), False, "- - - tv"),
        ((3, 19, 99), False, "- - - tv"),
    ],
)
def test_code_points_are_those_of_the_standard(codes: tuple[int, int, int], full: bool, names: str) -> None:  # noqa: FBT001 - a column of the table
    assert ColorSpace.of_codes(*codes, full=full) == color(names)


@pytest.mark.parametrize(
    ("names", "codes", "video_range"),
    [
        ("bt709 bt709 bt709 tv", (1, 1, 1), "SDR"),
        ("bt2020 smpte2084 bt2020nc tv", (9, 16, 9), "PQ"),
        ("bt2020 arib-std-b67 bt2020nc tv", (9, 18, 9), "HLG"),
        ("- - - -", (2, 2, 2), "SDR"),
    ],
)
def test_manifests_name_the_range_and_the_code_points(
    names: str, codes: tuple[int, int, int], video_range: str
) -> None:
    assert (color(names).codes, color(names).video_range) == (codes, video_range)


@pytest.mark.parametrize(
    ("pixel_format", "rgb", "alpha"),
    [
        *(("yuv420p", False, False), ("yuvj444p", False, False), ("nv12", False, False), ("gray10le", False, False)),
        *(("rgb24", True, False), ("bgr0", True, False), ("0rgb", True, False), ("x2rgb10le", True, False)),
        *(("gbrp12le", True, False), ("rgb565le", True, False), ("pal8", True, False), ("rgb48be", True, False)),
        *(("argb", True, True), ("bgra", True, True), ("rgba64be", True, True), ("gbrap16le", True, True)),
        *(("yuva444p12le", False, True), ("ya8", False, True), ("ayuv64le", False, True), ("unknown", False, False)),
    ],
)
def test_pixel_formats_say_rgb_and_transparency(pixel_format: str, rgb: bool, alpha: bool) -> None:  # noqa: FBT001 - columns of the table
    assert (is_rgb(pixel_format), has_alpha(pixel_format)) == (rgb, alpha)


def test_every_name_but_unknown_has_a_code_point() -> None:
    found = [ColorSpace.of_codes(code, code, code, full=False) for code in range(256)]
    assert {each.primaries for each in found} == set(Primaries)
    assert {each.transfer for each in found} == set(Transfer)
    assert {each.matrix for each in found} == set(Matrix)


def test_a_color_space_is_complete_without_its_range() -> None:
    assert color("bt709 bt709 bt709 -").complete
    assert color("bt709 bt709 bt709 -").range == ColorRange.UNKNOWN
    assert not color("bt709 - bt709 tv").complete
