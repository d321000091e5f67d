import pytest

from transcoding.color import Transfer
from transcoding.hdr import SDR_WHITE, pq_value
from transcoding.tone_mapping import ToneCurve, in_bt709, tone_table


@pytest.mark.parametrize("peak", [SDR_WHITE, 400, 1000, 4000, 10_000])
def test_the_curve_keeps_dark_tones_and_ends_at_white(peak: int) -> None:
    curve = ToneCurve(peak=peak)
    assert curve.mapped(pq_value(peak)) == pytest.approx(pq_value(SDR_WHITE))
    assert curve.mapped(1.0) == pytest.approx(pq_value(SDR_WHITE)), "brighter light than the master has is white"
    dark = curve.knee * curve.source * 0.99
    assert curve.mapped(dark) == pytest.approx(dark)
    steps = [curve.mapped(step / 500) for step in range(501)]
    assert steps == sorted(steps)


@pytest.mark.parametrize(
    ("light", "coded"),
    [
        ((0.0, 0.0, 0.0), (0, 0, 0)),
        ((1.0, 1.0, 1.0), (255, 255, 255)),
        ((0.18, 0.18, 0.18), (125, 125, 125)),
        ((0.6274, 0.0691, 0.0164), (255, 1, 2)),
        ((1.0, 0.0, 0.0), (190, 0, 0)),
        ((0.0, 1.0, 0.0), (0, 213, 0)),
        ((0.0, 0.0, 1.0), (0, 0, 187)),
    ],
    ids=str,
)
def test_light_in_bt2020_is_coded_in_bt709(light: tuple[float, float, float], coded: tuple[int, int, int]) -> None:
    """Red of BT.709 keeps its value. Primaries of BT.2020 lie outside, and are darkened."""
    assert in_bt709(light) == pytest.approx([part / 255 for part in coded], abs=0.004)


@pytest.mark.parametrize("transfer", [Transfer.PQ, Transfer.HLG])
def test_a_table_goes_from_black_to_white_by_way_of_greys(transfer: Transfer) -> None:
    size, *rows = tone_table(transfer, 1000).splitlines()
    assert (size, len(rows)) == ("LUT_3D_SIZE 33", 33**3)
    greys = [[float(part) for part in rows[node * (1 + 33 + 33**2)].split()] for node in range(33)]
    assert greys[0] == [0, 0, 0]
    assert greys[-1] == pytest.approx([1, 1, 1], abs=0.001)
    assert all(max(grey) - min(grey) < 0.001 for grey in greys)
    assert greys == sorted(greys)


def test_white_is_as_bright_as_the_brightest_pixel_of_a_dim_master() -> None:
    """100 cd/m2 is half way up in PQ."""
    middle = 16 * (1 + 33 + 33**2)
    dim, usual = (tone_table(Transfer.PQ, peak).splitlines()[1 + middle].split()[0] for peak in (100, 1000))
    assert float(dim) == pytest.approx(0.97, abs=0.01)
    assert float(usual) == pytest.approx(0.72, abs=0.01)


def test_few_tables_are_cached() -> None:
    for peak in range(1001, 1006):
        tone_table(Transfer.PQ, peak)
    assert tone_table.cache_info().currsize <= 4
