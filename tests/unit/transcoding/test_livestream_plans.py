"""Plans of live streams: what a ladder becomes once the source is known."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from tests.unit.transcoding.builders import FILM, NTSC, PAL
from transcoding.color import BT709
from transcoding.encoders import ENCODERS, HardwarePath
from transcoding.errors import RequestUnfit
from transcoding.flv.facts import IncomingFacts
from transcoding.planning.fields import Deinterlacing
from transcoding.planning.latency import Latency
from transcoding.planning.livestream import ENCODER_CHOICES, RUNG_NAMES, LadderRequest, RungRequest, plan_livestream
from transcoding.planning.plan import EncodePlan

HD = IncomingFacts(width=1280, height=720, rate=Fraction(30), video_codec="h264")
SEED = ("auto", "x264", "x265", "nvenc_h264", "nvenc_h265", "amf_h264", "amf_h265")
"""Names of encoders in the system that this one replaces."""


def rungs(facts: IncomingFacts, *names: str) -> list[tuple[str, int, int]]:
    request = LadderRequest(rungs=tuple(RungRequest(size=name) for name in names))
    return [(rung.name, rung.width, rung.height) for rung in plan_livestream(facts, request).renditions]


def test_a_stream_has_the_ladder_of_its_size() -> None:
    assert rungs(HD) == [("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)]


def test_nothing_is_enlarged() -> None:
    assert rungs(HD, "1080p", "720p", "240p") == [("720p", 1280, 720), ("240p", 426, 240)]
    assert rungs(HD, "1080p", "1440p") == [("720p", 1280, 720)], "the source's own size where all are larger"


def test_a_portrait_stays_one() -> None:
    assert rungs(replace(HD, width=720, height=1280), "480p") == [("480p", 480, 854)]


def test_pixels_become_square() -> None:
    assert rungs(replace(HD, width=720, height=576, sample_aspect=Fraction(64, 45)), "576p") == [("576p", 1024, 576)]


def test_explicit_sizes_and_rates() -> None:
    request = LadderRequest.from_json({"rungs": [{"width": 960, "height": 540, "bitrate": 2_000_000}, "360p"]})
    plan = plan_livestream(HD, request)
    assert [(rung.name, rung.width, rung.height, rung.bitrate) for rung in plan.renditions] == [
        ("540p", 960, 540, 2_000_000),
        ("360p", 640, 360, 800_000),
    ]


def test_a_rung_that_costs_as_much_as_a_larger_one_is_left_out() -> None:
    box = {"width": 640, "height": 360, "bitrate": 3_000_000}
    assert [
        rung.name for rung in plan_livestream(HD, LadderRequest.from_json({"rungs": ["720p", box]})).renditions
    ] == ["720p"]


@pytest.mark.parametrize(
    ("rate", "planned"),
    [(PAL, PAL), (NTSC, NTSC), (FILM, FILM), (Fraction(60), Fraction(60)), (Fraction(2997, 100), NTSC), (None, 30)],
)
def test_the_rate_of_the_source_stays(rate: Fraction | None, planned: Fraction) -> None:
    assert plan_livestream(replace(HD, rate=rate), LadderRequest()).grid.rate == planned


def test_a_segment_is_a_gop_and_nobody_knows_how_many_there_will_be() -> None:
    plan = plan_livestream(HD, LadderRequest())
    assert (plan.open_ended, plan.grid.is_open, plan.grid.segment_seconds) == (True, True, Fraction(2))
    assert plan.closed(130).total_segments == 3
    assert plan.work is None


def test_there_is_always_one_audio_track() -> None:
    silent, surround = (plan_livestream(replace(HD, audio_channels=number), LadderRequest()) for number in (None, 6))
    for plan in (silent, surround):
        assert [(track.name, track.channels, track.codec) for track in plan.audio] == [("audio", 2, "aac")]


def test_parts_are_a_quarter_of_a_gop_in_low_latency_alone() -> None:
    for rate, frames in ((Fraction(30), 15), (PAL, 13), (FILM, 12)):
        plan = plan_livestream(replace(HD, rate=rate), LadderRequest(), latency=Latency.LOW)
        assert plan.part_frames == frames
    assert plan_livestream(HD, LadderRequest()).part_frames is None


def test_a_plan_is_stored_and_read() -> None:
    for latency in Latency:
        plan = plan_livestream(replace(HD, color=BT709, interlaced=True), LadderRequest(), latency=latency, mp4=True)
        assert EncodePlan.from_json(plan.to_json()) == plan
        assert (plan.color, plan.deinterlacing, plan.mp4) == (BT709, Deinterlacing.FRAME, True)


def test_rates_are_nearly_constant_with_a_buffer_of_a_second() -> None:
    (rung,) = plan_livestream(HD, LadderRequest(rungs=(RungRequest(size="720p"),))).renditions
    assert (rung.bitrate, rung.max_rate, rung.buffer_size) == (3_000_000, 3_750_000, 3_000_000)
    assert rung.peak_bandwidth == int(3_750_000 + 3_000_000 / 2) * 103 // 100


@pytest.mark.parametrize("name", ["h264_nvenc", "hevc_amf", "libx265"])
def test_the_plan_is_for_one_encoder_and_frames_are_decoded_on_the_cpu(name: str) -> None:
    plan = plan_livestream(HD, LadderRequest(preset="fast"), encoder=ENCODERS[name])
    (encoding,) = plan.encodings
    assert (encoding.encoder_name, encoding.preset) == (name, "fast")
    assert encoding.hardware_path == (HardwarePath.UPLOAD if encoding.encoder.hardware else HardwarePath.CPU)
    assert not any(rung.constant_quality for rung in plan.renditions), "the buffer must hold"


def test_the_seed_s_names_of_encoders_are_known_and_each_ends_on_the_cpu() -> None:
    assert tuple(ENCODER_CHOICES)[: len(SEED)] == SEED
    for name in ENCODER_CHOICES:
        *devices, last = LadderRequest(encoder=name).encoders
        assert all(encoder.hardware for encoder in devices)
        assert not last.hardware
        assert len({encoder.codec for encoder in (*devices, last)}) == 1
        assert (last.codec == "hevc") == name.endswith("265")


def test_a_ladder_is_stored_and_read() -> None:
    for data in (
        {"rungs": None, "encoder": "auto", "preset": None},
        {"rungs": ["1080p", {"width": 640, "height": 360, "bitrate": 500_000}], "encoder": "x265", "preset": "fast"},
    ):
        assert LadderRequest.from_json(data).to_json() == data
    assert LadderRequest.from_json({}) == LadderRequest()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"rungs": ["999p"]}, "ladder"),
        ({"rungs": ["144p"]}, "ladder"),
        ({"rungs": "720p"}, "ladder"),
        ({"rungs": [{"width": 640, "height": 360}]}, "ladder"),
        ({"rungs": [{"width": 640, "height": 360, "bitrate": True}]}, "ladder"),
        ({"rungs": [{"width": 0, "height": 360, "bitrate": 500_000}]}, "ladder"),
        ({"rungs": [{"width": 640, "height": 360, "bitrate": 5}]}, "ladder"),
        ({"rungs": [7]}, "ladder"),
        ({"rungs": list(RUNG_NAMES)[:1] * 7}, "ladder"),
        ({"size": "720p"}, "ladder"),
        ({"encoder": "mpeg2"}, "encoder"),
        ({"encoder": 3}, "encoder"),
        ({"encoder": []}, "encoder"),
        ({"preset": "placebo"}, "preset"),
        ({"preset": {}}, "preset"),
    ],
)
def test_a_ladder_of_which_nothing_can_be_made_names_the_field(data: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestUnfit) as caught:
        LadderRequest.from_json(data)
    assert caught.value.field == field
