import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.planning.ladder import RUNGS, Ladder, RenditionSize, fit, parse_size, plan_ladder, single_rung
from transcoding.probing.streams import Resolution

sources = st.builds(Resolution, width=st.integers(1, 8192), height=st.integers(1, 8192))


def ladder_of(width: int, height: int) -> list[tuple[str, int, int]]:
    return [(rung.name, rung.width, rung.height) for rung in plan_ladder(Resolution(width=width, height=height)).rungs]


def rung_of(
    width: int, height: int, *, requested: str | None = None, bitrate: int | None = None
) -> tuple[str, int, int, int]:
    (rung,) = single_rung(Resolution(width=width, height=height), requested=requested, bitrate=bitrate).rungs
    return rung.name, rung.width, rung.height, rung.bitrate


def test_the_table_is_the_promised_one() -> None:
    assert {rung.name: rung.bitrate for rung in RUNGS if 360 <= rung.short_side <= 1080} == {
        "1080p": 5_000_000,
        "720p": 3_000_000,
        "576p": 2_000_000,
        "480p": 1_500_000,
        "360p": 800_000,
    }


@pytest.mark.parametrize(
    ("source", "rungs"),
    [
        ((3840, 2160), ["2160p", "1440p", "1080p", "720p", "480p", "360p"]),
        ((1920, 1080), ["1080p", "720p", "480p", "360p"]),
        ((1280, 720), ["720p", "480p", "360p"]),
        ((1279, 719), ["718p", "480p", "360p"]),
        ((1920, 1088), ["1088p", "720p", "480p", "360p"]),
        ((1920, 1200), ["1200p", "1080p", "720p", "480p", "360p"]),
        ((1600, 900), ["900p", "720p", "480p", "360p"]),
        ((1920, 800), ["800p", "720p", "480p", "360p"]),
        ((1080, 608), ["608p", "480p", "360p"]),
        ((1024, 576), ["576p", "480p", "360p"]),
        ((1024, 577), ["576p", "480p", "360p"]),
        ((720, 486), ["486p", "360p"]),
        ((7680, 4320), ["2160p", "1440p", "1080p", "720p", "480p", "360p"]),
        ((640, 360), ["360p"]),
        ((640, 350), ["350p"]),
        ((480, 270), ["270p"]),
        ((426, 240), ["240p"]),
        ((320, 180), ["180p"]),
        ((16, 16), ["16p"]),
        ((1, 1), ["1p"]),
    ],
)
def test_rungs_are_chosen_by_the_short_side_and_never_upscale(source: tuple[int, int], rungs: list[str]) -> None:
    assert [name for name, _, _ in ladder_of(*source)] == rungs
    assert [name for name, _, _ in ladder_of(*reversed(source))] == rungs


@pytest.mark.parametrize(
    ("source", "sizes"),
    [
        ((1280, 720), [(1280, 720), (854, 480), (640, 360)]),
        ((720, 1280), [(720, 1280), (480, 854), (360, 640)]),
        ((1920, 800), [(1920, 800), (1728, 720), (1152, 480), (864, 360)]),
        ((641, 361), [(640, 360)]),
        ((333, 251), [(332, 250)]),
        ((1024, 576), [(1024, 576), (854, 480), (640, 360)]),
        ((101, 51), [(100, 50)]),
        ((16384, 100), [(8192, 50)]),
        ((20000, 1000), [(8172, 408), (7210, 360)]),
    ],
)
def test_sizes_keep_the_shape_and_are_even(source: tuple[int, int], sizes: list[tuple[int, int]]) -> None:
    assert [(width, height) for _, width, height in ladder_of(*source)] == sizes


@given(sources)
def test_a_ladder_never_upscales_and_has_even_sides(source: Resolution) -> None:
    for rung in plan_ladder(source).rungs:
        assert rung.width % 2 == rung.height % 2 == 0
        assert rung.width <= max(2, source.width)
        assert rung.height <= max(2, source.height)


@given(sources)
def test_every_rung_is_strictly_cheaper_than_the_one_above(source: Resolution) -> None:
    bitrates = [rung.bitrate for rung in plan_ladder(source).rungs]
    assert bitrates == sorted(set(bitrates), reverse=True)


@given(sources)
def test_a_rung_keeps_the_shape_to_within_a_pixel_or_two(source: Resolution) -> None:
    for size in plan_ladder(source).rungs:
        scale = size.width / source.width
        assert abs(size.height - source.height * scale) <= 2 * max(1.0, source.height / source.width) + 2


@pytest.mark.parametrize(
    ("requested", "rung"),
    [
        ("720p", ("720p", 1280, 720, 3_000_000)),
        ("480p", ("480p", 854, 480, 1_500_000)),
        ("240p", ("240p", 426, 240, 400_000)),
        ("1440p", ("1080p", 1920, 1080, 5_000_000)),  # no larger than the source
        ("1280x720", ("720p", 1280, 720, 3_000_000)),
        ("1280x1280", ("720p", 1280, 720, 3_000_000)),  # fits into the box
        ("4000x100", ("100p", 178, 100, 100_000)),
        ("1000x1000", ("562p", 1000, 562, 1_827_800)),
        (None, ("1080p", 1920, 1080, 5_000_000)),
    ],
)
def test_one_rung_of_a_requested_size(requested: str | None, rung: tuple[str, int, int, int]) -> None:
    assert rung_of(1920, 1080, requested=requested) == rung


def test_a_wanted_bitrate_replaces_that_of_the_table() -> None:
    assert rung_of(1920, 1080, requested="720p", bitrate=1_234_567) == ("720p", 1280, 720, 1_234_567)
    assert rung_of(1920, 1080, bitrate=900_000) == ("1080p", 1920, 1080, 900_000)


def test_a_portrait_source_fits_into_a_landscape_box() -> None:
    assert rung_of(1080, 1920, requested="1280x720")[1:3] == (404, 720)


@given(sources, st.sampled_from([rung.name for rung in RUNGS] + ["640x480", "100x2000", "7680x4320", "2x2"]))
def test_one_rung_never_upscales_and_has_even_sides(source: Resolution, requested: str) -> None:
    (rung,) = single_rung(source, requested=requested, bitrate=None).rungs
    assert rung.width % 2 == rung.height % 2 == 0
    assert rung.width <= max(2, source.width)
    assert rung.height <= max(2, source.height)


def test_4k_is_a_name_of_the_largest_rung() -> None:
    assert parse_size("4k") == parse_size("2160p") == RUNGS[0].short_side


@pytest.mark.parametrize(
    "text", ["", "p", "721p", "huge", "1280", "1280x", "x720", "1280x-720", "0x0", "1280x720p", "²x²"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - int's own words for some of them
        parse_size(text)


def test_a_ladder_cannot_get_dearer_downwards() -> None:
    upper = RenditionSize(name="720p", width=1280, height=720, bitrate=1000)
    with pytest.raises(ValueError, match="must cost less"):
        Ladder((upper, RenditionSize(name="480p", width=854, height=480, bitrate=1000)))
    with pytest.raises(ValueError, match="at least one"):
        Ladder(())


@pytest.mark.parametrize(("width", "height", "bitrate"), [(1279, 720, 1), (0, 720, 1), (1280, 720, 0)])
def test_a_rendition_cannot_have_odd_sides_or_no_bitrate(width: int, height: int, bitrate: int) -> None:
    with pytest.raises(ValueError, match="a rendition has"):
        RenditionSize(name="x", width=width, height=height, bitrate=bitrate)


def test_a_rung_as_large_as_the_source_is_the_source() -> None:
    size = fit(Resolution(width=1920, height=1080), RUNGS[2])
    assert (size.width, size.height) == (1920, 1080)
