"""Plans and manifests of several codecs in one job."""

import json
from dataclasses import replace
from fractions import Fraction
from xml.etree import ElementTree as ET

import pytest

from tests.unit.transcoding.builders import PQ, a_plan, a_policy, a_source, an_audio_source
from transcoding.commands.chunk import chunk_command
from transcoding.encoders import ENCODERS, HardwarePath, cpu_encoder
from transcoding.errors import BesideRefused, PlanTooLarge, ResolutionUnavailable
from transcoding.explanation.estimates import estimate
from transcoding.explanation.reasons import explain
from transcoding.explanation.steps import planned_steps
from transcoding.manifests.dash.manifest import dash_manifest
from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.hls.master import master_playlist
from transcoding.manifests.planned import NOT_MEASURED, planned_presentation
from transcoding.planning.beside import refuse_beside
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.planning.sizing import Throughput

BOTH = JobRequest(codecs=["av1", "h264"], resolutions=["720p", "360p"])
DASH = "{urn:mpeg:dash:schema:mpd:2011}"


def names(plan: EncodePlan) -> list[str]:
    return [rendition.name for rendition in plan.renditions]


def test_the_codec_that_every_player_plays_comes_first_and_keeps_its_names() -> None:
    plan = plan_job(a_source(), BOTH, a_policy())
    assert names(plan) == ["720p", "360p", "720p-av1", "360p-av1"]
    assert [(encoding.codec, encoding.encoder_name) for encoding in plan.encodings] == [
        ("h264", "libx264"),
        ("av1", "libsvtav1"),
    ]
    assert (plan.first_names, plan.later_names) == (("720p", "360p"), ("720p-av1", "360p-av1"))
    alone = plan_job(a_source(), replace(BOTH, codecs=None), a_policy())
    assert plan.renditions[:2] == alone.renditions
    assert EncodePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_others_stay_in_the_order_of_the_request() -> None:
    plan = plan_job(a_source(), JobRequest(codecs=["vp9", "av1"], resolution="360p"), a_policy())
    assert names(plan) == ["360p", "360p-av1"]
    assert [rendition.codecs for rendition in plan.renditions] == ["vp09.00.21.08", "av01.0.04M.08"]


def test_all_chunks_of_the_first_codec_come_before_those_of_others() -> None:
    source = a_source(frames=400)
    nvenc = EncoderChoice(encoder=ENCODERS["h264_nvenc"], sessions=1)
    plan = plan_job(source, BOTH, a_policy(), encoders=[nvenc, EncoderChoice(encoder=cpu_encoder("av1"))])
    assert [(run.ordinal, run.chunk.ordinal, run.group, run.of_first_codec) for run in plan.chunk_runs()] == [
        (0, 0, ("720p",), True),
        (1, 0, ("360p",), True),
        (2, 1, ("720p",), True),
        (3, 1, ("360p",), True),
        (4, 0, ("720p-av1", "360p-av1"), False),
        (5, 1, ("720p-av1", "360p-av1"), False),
    ]
    assert [encoding.hardware_path for encoding in plan.encodings] == [HardwarePath.UPLOAD, HardwarePath.CPU]


def test_a_run_of_ffmpeg_makes_one_codec() -> None:
    plan = plan_job(a_source(), BOTH, a_policy())
    command = chunk_command(plan, "s", first_segment=0, segments=1, renditions=plan.later_names)
    assert [output.options["c:v"] for output in command.outputs] == ["libsvtav1"] * 2
    with pytest.raises(ValueError, match="of one codec"):
        chunk_command(plan, "s", first_segment=0, segments=1)
    with pytest.raises(ValueError, match="of one codec"):
        replace(plan, groups=(("720p", "720p-av1"), ("360p",), ("360p-av1",)))
    with pytest.raises(ValueError, match="not those of the renditions"):
        replace(plan, encodings=plan.encodings[:1])


def test_the_work_of_all_codecs_counts_and_the_slowest_decides_about_chunks() -> None:
    policy = replace(a_policy(), min_chunk_seconds=4, max_chunk_seconds=400)
    source = a_source(frames=25 * 600)
    quick, slow = (Throughput(pixels_per_second=speed, samples=9) for speed in (40_000_000, 10_000_000))
    choices = [
        EncoderChoice(encoder=cpu_encoder("h264"), measured=quick),
        EncoderChoice(encoder=cpu_encoder("av1"), measured=slow),
    ]
    plan = plan_job(source, BOTH, policy, encoders=choices)
    alone = plan_job(source, replace(BOTH, codecs=["av1"]), policy, encoders=choices[1:])
    assert plan.chunks == alone.chunks
    assert [encoding.speed for encoding in plan.encodings] == [1.29, 0.322]
    assert plan.work is not None
    assert plan.work_seconds == pytest.approx(600 / 1.29 + 600 / 0.322)
    assert plan.work.step_seconds == pytest.approx(plan.chunks[0].segments * 4 / 0.322)
    expected = estimate(plan, slots=1)
    assert expected is not None
    assert (expected.seconds, expected.speed) == (round(plan.work_seconds, 1), 0.258)
    with pytest.raises(PlanTooLarge, match="4 renditions; at most 3"):
        plan_job(source, BOTH, replace(policy, max_renditions=3))


def test_the_plan_says_what_players_get_and_shows_every_run() -> None:
    plan = plan_job(a_source(frames=300), BOTH, a_policy())
    reasons = {each.choice: each for each in explain(plan, BOTH)}
    assert reasons["codecs"].value == "h264, av1"
    assert "players begin with h264" in reasons["codecs"].because
    assert [each.value for each in explain(plan, BOTH) if each.choice == "encoder"] == [
        "libx264, preset veryfast",
        "libsvtav1, preset veryfast",
    ]
    shown = [step for step in planned_steps(plan, max_pixels=1) if step.kind == "chunk"]
    assert [(step.ordinal, step.command[-1]) for step in shown] == [
        (0, "{360p}"),
        (1, "{360p}"),
        (0, "{360p-av1}"),
        (1, "{360p-av1}"),
    ]


def test_only_codecs_of_ten_bits_keep_high_dynamic_range() -> None:
    request = JobRequest(codecs=["h264", "av1"], resolution="360p", dynamic_range="source")
    plan = plan_job(a_source(color=PQ), request, a_policy())
    assert names(plan) == ["360p", "360p-av1", "360p-av1-hdr"]


# --- a chosen ladder --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "planned"),
    [
        (["1080p", "720p"], ["720p"]),
        (["360p", "720p"], ["720p", "360p"]),
        (["720p", "1280x720"], ["720p"]),
        (["1920x1080", "640x360"], ["360p"]),
        (["640x2000"], ["360p"]),
        (["40x40", "36x36"], ["22p"]),  # both would cost the least that there is
    ],
)
def test_sizes_that_are_larger_than_the_source_are_left_out(requested: list[str], planned: list[str]) -> None:
    request = JobRequest(resolutions=requested)
    plan = plan_job(a_source(), request, a_policy())
    assert names(plan) == planned
    (reason,) = (each for each in explain(plan, request) if each.choice == "renditions")
    assert ("but 1080p: the source is 1280x720" in reason.because) == ("1080p" in requested)


def test_a_ladder_without_a_rung_is_refused() -> None:
    with pytest.raises(ResolutionUnavailable, match="the source is 1280x720"):
        plan_job(a_source(), JobRequest(resolutions=["1080p", "4k"]), a_policy())


# --- manifests --------------------------------------------------------------------------------------------------------


def presentation_of(plan: EncodePlan) -> tuple[str, ET.Element]:
    tracks = [*names(plan), *(track.name for track in plan.audio)]
    presentation = planned_presentation(plan, dict.fromkeys(tracks, NOT_MEASURED))
    timeline = Timeline.of_samples([100, 100], timescale=25)
    text = dash_manifest(presentation, dict.fromkeys(tracks, timeline), duration=Fraction(8))
    return master_playlist(presentation), ET.fromstring(text.partition("\n")[2])  # noqa: S314


def test_variants_of_all_codecs_share_the_audio_and_the_first_codec_comes_first() -> None:
    lines, _ = presentation_of(plan_job(a_source(), BOTH, a_policy()))
    variants = [line for line in lines.splitlines() if line.startswith("#EXT-X-STREAM-INF")]
    assert [line.partition('CODECS="')[2][:4] for line in variants] == ["avc1", "avc1", "av01", "av01"]
    assert all('AUDIO="audio"' in line for line in variants)
    urls = [line for line in lines.splitlines() if line.endswith("index.m3u8")]
    assert urls == ["720p/index.m3u8", "360p/index.m3u8", "720p-av1/index.m3u8", "360p-av1/index.m3u8"]


def test_each_codec_is_an_adaptation_set_and_players_may_switch_between_them() -> None:
    _, root = presentation_of(plan_job(a_source(), BOTH, a_policy()))
    sets = list(root.iter(f"{DASH}AdaptationSet"))
    assert [(each.get("id"), each.get("contentType")) for each in sets] == [
        ("0", "video"),
        ("1", "audio"),
        ("2", "video"),
    ]
    assert [[each.get("id") for each in found.iter(f"{DASH}Representation")] for found in sets] == [
        ["720p", "360p"],
        ["audio"],
        ["720p-av1", "360p-av1"],
    ]
    properties = [found.find(f"{DASH}SupplementalProperty") for found in sets]
    assert [None if each is None else (each.get("schemeIdUri"), each.get("value")) for each in properties] == [
        ("urn:mpeg:dash:adaptation-set-switching:2016", "2"),
        None,
        ("urn:mpeg:dash:adaptation-set-switching:2016", "0"),
    ]
    assert [each.tag.removeprefix(DASH) for each in sets[2]] == [
        "SupplementalProperty",
        "SegmentTemplate",
        *["Representation"] * 2,
    ]


def test_players_do_not_switch_between_dynamic_ranges_by_codec() -> None:
    request = JobRequest(codecs=["h264", "av1"], resolution="360p", dynamic_range="source")
    _, root = presentation_of(plan_job(a_source(color=PQ), request, a_policy()))
    switching = "urn:mpeg:dash:adaptation-set-switching:2016"
    found = {
        each.get("id"): [own.get("value") for own in each if own.get("schemeIdUri") == switching]
        for each in root.iter(f"{DASH}AdaptationSet")
    }
    assert found == {"0": ["2"], "1": [], "2": ["0"], "3": []}


# --- beside -----------------------------------------------------------------------------------------------------------

AV1 = JobRequest(codec="av1", beside=True, resolution="360p")


def test_renditions_beside_others_have_names_of_their_own() -> None:
    assert names(plan_job(a_source(), AV1, a_policy())) == ["360p-av1"]
    refuse_beside(plan_job(a_source(), AV1, a_policy()), a_plan(), frozenset({"h264"}))


@pytest.mark.parametrize(
    ("plan", "part"),
    [
        (plan_job(a_source(frames=999), AV1, a_policy()), "number of frames"),
        (plan_job(a_source(first=Fraction(1)), AV1, a_policy()), "another time"),
        (plan_job(a_source(interlaced=True), AV1, a_policy()), "deinterlace"),
        (replace(a_plan(), segment_gops=1), "another length"),
        (plan_job(a_source(), JobRequest(codec="h264", beside=True), a_policy()), "renditions of h264 already"),
        (plan_job(an_audio_source(), AV1, a_policy()), "audio alone"),
    ],
)
def test_renditions_that_would_not_fit_are_refused(plan: EncodePlan, part: str) -> None:
    codecs = frozenset({"h264"}) if "already" in part else frozenset({"hevc"})
    with pytest.raises(BesideRefused, match=part):
        refuse_beside(plan, a_plan(), codecs)
