import pytest

from transcoding.hdr import (
    USUAL_PEAK,
    ContentLight,
    DolbyVision,
    HdrMetadata,
    MasteringDisplay,
    pq_luminance,
    pq_value,
)

DISPLAY = {
    "side_data_type": "Mastering display metadata",
    "red_x": "34000/50000",
    "red_y": "16000/50000",
    "green_x": "13250/50000",
    "green_y": "34500/50000",
    "blue_x": "7500/50000",
    "blue_y": "3000/50000",
    "white_point_x": "15635/50000",
    "white_point_y": "16450/50000",
    "min_luminance": "50/10000",
    "max_luminance": "40000000/10000",
}
LIGHT = {"side_data_type": "Content light level metadata", "max_content": 1200, "max_average": 300}


@pytest.mark.parametrize(("luminance", "value"), [(0, 0.0), (100, 0.508), (203, 0.581), (1000, 0.752), (10_000, 1.0)])
def test_pq_is_that_of_the_standard(luminance: int, value: float) -> None:
    assert pq_value(luminance) == pytest.approx(value, abs=0.0006)
    assert pq_luminance(pq_value(luminance)) == pytest.approx(luminance, abs=0.01)


def test_the_metadata_of_a_master_are_read() -> None:
    metadata = HdrMetadata.of_side_data([{"rotation": -90}, DISPLAY, LIGHT])
    assert metadata.display == MasteringDisplay(
        chromaticities=(13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450),
        min_luminance=50,
        max_luminance=40_000_000,
    )
    assert metadata.light == ContentLight(max_content=1200, max_average=300)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_luminance": "1/0"},
        {"max_luminance": "99999999999/1"},
        {"max_luminance": "50/10000"},
        {"red_x": "2/1"},
        {"red_y": "-1/50000"},
        {"white_point_x": "1e9"},
        {"green_x": None},
    ],
    ids=str,
)
def test_a_display_that_cannot_be_is_none(wrong: dict[str, object]) -> None:
    assert HdrMetadata.of_side_data([{**DISPLAY, **wrong}]).display is None


@pytest.mark.parametrize("wrong", [{"max_content": 0}, {"max_content": 70_000}, {"max_average": "many"}], ids=str)
def test_light_that_cannot_be_is_none(wrong: dict[str, object]) -> None:
    assert HdrMetadata.of_side_data([{**LIGHT, **wrong}]).light is None


@pytest.mark.parametrize(
    ("entries", "peak"),
    [
        ([], USUAL_PEAK),
        ([DISPLAY], 4000),
        ([DISPLAY, LIGHT], 1200),
        ([LIGHT], 1200),
        ([{**LIGHT, "max_content": 150, "max_average": 20}], 150),
        ([{**LIGHT, "max_content": 90, "max_average": 20}], 100),
    ],
)
def test_the_peak_is_that_of_the_content_else_of_the_display(entries: list[dict[str, object]], peak: int) -> None:
    assert HdrMetadata.of_side_data(entries).peak == peak


def test_what_one_place_does_not_say_another_may() -> None:
    container, stream = HdrMetadata.of_side_data([LIGHT]), HdrMetadata.of_side_data([DISPLAY])
    assert stream.or_else(container) == HdrMetadata(display=stream.display, light=container.light)


@pytest.mark.parametrize(
    ("profile", "compatibility", "has_base"),
    [(5, 0, False), (7, 6, True), (7, 0, True), (8, 1, True), (8, 4, True), (10, 0, False), (10, 1, True)],
)
def test_dolby_vision_has_a_base_for_others_or_none(profile: int, compatibility: int, has_base: bool) -> None:  # noqa: FBT001 - a column of the table
    record = DolbyVision.of_side_data([{"dv_profile": profile, "dv_bl_signal_compatibility_id": compatibility}])
    assert record is not None
    assert record.has_base is has_base
