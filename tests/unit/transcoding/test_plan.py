import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.transcoding.builders import (
    NTSC,
    PAL,
    PQ,
    a_plan,
    a_policy,
    a_sizing,
    a_source,
    some_audio,
    with_two_languages,
)
from transcoding.color import BT709, ColorSpace
from transcoding.encoders import CODEC_NAMES, ENCODERS, HardwarePath, VideoEncoder
from transcoding.errors import InputRejected, PlanTooLarge
from transcoding.grid import STANDARD_RATES, FrameGrid
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_chunks, plan_job
from transcoding.planning.request import JobRequest
from transcoding.planning.sizing import SizedBy
from transcoding.planning.tracks import AudioRendition, Mix
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import AudioRole
from transcoding.probing.warnings import Notice, SourceWarning

warnings = st.builds(Notice, code=st.sampled_from(SourceWarning), seconds=st.none() | st.fractions())
sources = st.builds(
    a_source,
    st.integers(2, 4096),
    st.integers(2, 4096),
    rate=st.sampled_from(STANDARD_RATES),
    frames=st.integers(1, 20_000),
    first=st.fractions(0, 100_000),
    constant=st.booleans(),
    interlaced=st.booleans(),
    color=st.sampled_from((None, ColorSpace(), BT709, PQ)),
    silent=st.booleans(),
    warnings=st.lists(warnings).map(tuple),
)


def chunks_of(frames: int, *, segments: int = 2) -> list[tuple[int, int]]:
    grid = FrameGrid(rate=PAL, total_frames=frames)
    chunks = plan_chunks(grid, a_sizing(segments))
    return [(chunk.first_segment, chunk.segments) for chunk in chunks]


@pytest.mark.parametrize(
    ("frames", "chunks"),
    [
        (1, [(0, 1)]),
        (100, [(0, 1)]),
        (110, [(0, 1)]),
        (150, [(0, 2)]),  # 4 s and a tail of 2 s
        (200, [(0, 2)]),
        (250, [(0, 3)]),  # the tail joins the chunk before it
        (300, [(0, 2), (2, 1)]),
        (400, [(0, 2), (2, 2)]),
        (499, [(0, 2), (2, 3)]),
        (500, [(0, 2), (2, 2), (4, 1)]),
        (1000, [(0, 2), (2, 2), (4, 2), (6, 2), (8, 2)]),
    ],
)
def test_chunks_of_two_segments(frames: int, chunks: list[tuple[int, int]]) -> None:
    assert chunks_of(frames) == chunks


def test_chunks_of_one_segment() -> None:
    assert chunks_of(400, segments=1) == [(0, 1), (1, 1), (2, 1), (3, 1)]


@given(
    st.builds(FrameGrid, rate=st.sampled_from(STANDARD_RATES), total_frames=st.integers(1, 500_000)),
    st.integers(1, 200),
)
def test_chunks_partition_the_segments(grid: FrameGrid, segments: int) -> None:
    chunks = plan_chunks(grid, a_sizing(segments))
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    covered = [
        segment for chunk in chunks for segment in range(chunk.first_segment, chunk.first_segment + chunk.segments)
    ]
    assert covered == list(range(grid.total_segments))
    assert max(chunk.segments for chunk in chunks) <= segments + 1
    sizes = [chunk.segments for chunk in chunks]
    assert max(sizes) - min(sizes) <= 2  # one by division, one for the tail


@given(sources)
def test_a_plan_survives_its_way_through_json(source: SourceFacts) -> None:
    plan = plan_job(source, JobRequest(), a_policy())
    assert EncodePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@given(sources)
def test_every_rendition_is_even_and_promises_no_less_than_it_costs(source: SourceFacts) -> None:
    plan = plan_job(source, JobRequest(), a_policy())
    for rendition in plan.renditions:
        assert rendition.width % 2 == rendition.height % 2 == 0
        assert rendition.bitrate < rendition.max_rate < rendition.peak_bandwidth


@pytest.mark.parametrize(
    ("request_", "renditions"),
    [
        (JobRequest(), ["720p", "480p", "360p"]),
        (JobRequest(resolution="480p"), ["480p"]),
        (JobRequest(resolution="640x360"), ["360p"]),
        (JobRequest(bitrate=1_000_000), ["720p"]),
    ],
)
def test_a_request_for_one_rendition_gets_one(request_: JobRequest, renditions: list[str]) -> None:
    plan = plan_job(a_source(1280, 720), request_, a_policy())
    assert [rendition.name for rendition in plan.renditions] == renditions


def test_the_rendition_of_a_plan() -> None:
    (rendition,) = a_plan(a_source(1920, 1080), resolution="720p").renditions
    assert (rendition.bitrate, rendition.max_rate, rendition.buffer_size) == (3_000_000, 4_500_000, 6_000_000)
    assert (rendition.profile, rendition.level, rendition.codecs) == ("high", "3.1", "avc1.64001f")
    assert rendition.peak_bandwidth == 6_180_000  # (4.5 Mb/s + 6 Mb / 4 s) and 3 % of boxes


def test_the_preset_is_the_request_s_or_the_usual_one() -> None:
    assert a_plan().encodings[0].preset == "veryfast"
    plan = plan_job(a_source(), JobRequest(preset="ultrafast"), a_policy())
    assert (plan.encodings[0].preset, {rendition.profile for rendition in plan.renditions}) == ("ultrafast", {"main"})


def test_audio_is_one_rendition() -> None:
    track = AudioRendition(
        name="audio",
        stream=1,
        language="",
        default=True,
        channels=2,
        bitrate=128_000,
        codecs="mp4a.40.2",
        peak_bandwidth=156_876,  # 4 frames more than the rate in 4 s, and a fifth of boxes
        codec="aac",
        role=AudioRole.MAIN,
        mix=Mix.NONE,
        normalized=False,
    )
    assert a_plan().audio == (track,)
    assert a_plan(a_source(silent=True)).audio == ()


def test_every_audio_track_is_a_rendition_and_players_begin_with_the_chosen_one() -> None:
    streams = (some_audio(index=3, language="eng"), some_audio(index=1, language="deu"))
    tracks = a_plan(replace(a_source(), audio=streams)).audio
    assert [(track.stream, track.language, track.default) for track in tracks] == [(3, "eng", True), (1, "deu", False)]


def test_a_plan_may_have_several_audio_tracks() -> None:
    plan = with_two_languages(a_plan())
    assert [(track.name, track.stream, track.language, track.default) for track in plan.audio] == [
        ("audio", 1, "eng", True),
        ("audio-2", 2, "deu", False),
    ]
    assert plan.audio_track("audio-2") == plan.audio[1]
    assert plan.audio_track("360p") is None
    assert EncodePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_no_two_tracks_have_one_name() -> None:
    plan = a_plan()
    for audio in (plan.audio * 2, (replace(plan.audio[0], name="360p"),)):
        with pytest.raises(ValueError, match="two tracks have one name"):
            replace(plan, audio=audio)


def test_a_video_that_is_too_long_is_rejected() -> None:
    with pytest.raises(InputRejected, match="lasts 41 s; at most 40 s"):
        plan_job(a_source(frames=1025), JobRequest(), a_policy(max_seconds=40))


def test_totals_of_a_plan() -> None:
    plan = a_plan(a_source(rate=NTSC, frames=310))
    assert (plan.total_frames, plan.total_segments, plan.encodings[0].encoder_name) == (310, 3, "libx264")


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {"source": {}},
        {"encodings": [{"encoder_name": "mjpeg"}]},
        {"chunks": {"0": 1}},
        {"renditions": None},
        {"source": {"rate": "25/0"}},
        {"source": {"warnings": ["unknown"]}},
    ],
    ids=str,
)
def test_what_is_no_plan_is_refused(broken: object) -> None:
    data = a_plan().to_json()
    source = data["source"]
    assert isinstance(source, dict)
    if isinstance(broken, dict) and isinstance(changed := broken.get("source"), dict) and changed:
        data["source"] = {**source, **changed}
    elif isinstance(broken, dict):
        data |= broken
    with pytest.raises(ValueError):  # noqa: PT011 - many words for many mistakes
        EncodePlan.from_json(data if isinstance(broken, dict) else broken)


def test_a_stored_plan_without_a_field_is_refused() -> None:
    data = a_plan().to_json()
    del data["chunks"]
    with pytest.raises(ValueError, match="EncodePlan lacks 'chunks'"):
        EncodePlan.from_json(data)


def test_a_plan_is_a_value() -> None:
    plan = a_plan()
    assert replace(plan) == plan
    assert Fraction(plan.grid.duration) == 40


# --- encoders ---------------------------------------------------------------------------------------------------------

NVENC = ENCODERS["h264_nvenc"]


@pytest.mark.parametrize(
    ("request_", "codec", "cpu_only"),
    [
        (JobRequest(), "h264", False),
        (JobRequest(codec="h265"), "hevc", False),
        (JobRequest(codec="libx264"), "h264", True),
        (JobRequest(codec="libsvtav1"), "av1", True),
        (JobRequest(preset="cpu"), "h264", True),
        (JobRequest(two_pass=True), "h264", True),
        (JobRequest(two_pass=False), "h264", False),
    ],
)
def test_what_a_request_means_for_the_encoder(request_: JobRequest, codec: str, *, cpu_only: bool) -> None:
    assert (request_.video_codec, request_.cpu_only) == (codec, cpu_only)
    assert plan_job(a_source(), request_, a_policy()).encodings[0].codec == codec


def test_cpu_is_the_usual_preset() -> None:
    plan = plan_job(a_source(), JobRequest(preset="cpu"), a_policy())
    assert (plan.encodings[0].preset, plan.encodings[0].encoder_name, plan.encodings[0].hardware_path) == (
        "veryfast",
        "libx264",
        HardwarePath.CPU,
    )


@pytest.mark.parametrize(
    ("sessions", "groups"),
    [
        (None, [("1080p", "720p", "480p", "360p")]),
        (8, [("1080p", "720p", "480p", "360p")]),
        (3, [("1080p", "720p"), ("480p", "360p")]),
        (2, [("1080p", "720p"), ("480p", "360p")]),
        (1, [("1080p",), ("720p",), ("480p",), ("360p",)]),
        (0, [("1080p",), ("720p",), ("480p",), ("360p",)]),
    ],
)
def test_a_ladder_is_split_into_as_few_runs_as_sessions_allow(
    sessions: int | None, groups: list[tuple[str, ...]]
) -> None:
    plan = plan_job(
        a_source(1920, 1080), JobRequest(), a_policy(), encoders=[EncoderChoice(encoder=NVENC, sessions=sessions)]
    )
    assert list(plan.groups) == groups
    assert EncodePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_sessions_are_no_matter_of_the_cpu() -> None:
    assert (
        len(
            plan_job(
                a_source(1920, 1080),
                JobRequest(),
                a_policy(),
                encoders=[EncoderChoice(encoder=ENCODERS["libx264"], sessions=1)],
            ).groups
        )
        == 1
    )


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=lambda encoder: encoder.ffmpeg_name)
def test_a_quality_is_held_only_where_no_bitrate_was_requested(encoder: VideoEncoder) -> None:
    name = next(name for name, choice in CODEC_NAMES.items() if choice.codec == encoder.codec)
    usual = plan_job(a_source(), JobRequest(codec=name), a_policy(), encoders=[EncoderChoice(encoder=encoder)])
    requested = plan_job(
        a_source(), JobRequest(codec=name, bitrate=1_000_000), a_policy(), encoders=[EncoderChoice(encoder=encoder)]
    )
    assert {rung.constant_quality for rung in usual.renditions} == {encoder.holds_quality}
    assert not requested.renditions[0].constant_quality
    for rung in (*usual.renditions, *requested.renditions):
        assert rung.peak_bandwidth > rung.max_rate, "what a playlist promises is the same"


def _video(**changes: object) -> SourceFacts:
    source = a_source()
    return replace(source, video_stream=replace(source.video, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (_video(), HardwarePath.DEVICE),
        (_video(codec="prores"), HardwarePath.UPLOAD),
        (_video(rotation=90), HardwarePath.UPLOAD),
        (_video(pixel_format="yuv422p"), HardwarePath.UPLOAD),
        (_video(interlaced=True), HardwarePath.DEVICE),
    ],
)
def test_the_device_decodes_what_it_can_if_it_may(source: SourceFacts, path: HardwarePath) -> None:
    may = replace(a_policy(), hardware_path=HardwarePath.DEVICE)
    assert (
        plan_job(source, JobRequest(), may, encoders=[EncoderChoice(encoder=NVENC)]).encodings[0].hardware_path == path
    )
    assert (
        plan_job(source, JobRequest(), a_policy(), encoders=[EncoderChoice(encoder=NVENC)]).encodings[0].hardware_path
        == HardwarePath.UPLOAD
    )


def test_devices_without_a_deinterlacer_get_interlaced_frames_from_the_cpu() -> None:
    may = replace(a_policy(), hardware_path=HardwarePath.DEVICE)
    plan = plan_job(_video(interlaced=True), JobRequest(), may, encoders=[EncoderChoice(encoder=ENCODERS["h264_qsv"])])
    assert plan.encodings[0].hardware_path == HardwarePath.UPLOAD


@pytest.mark.parametrize(
    ("request_", "usual", "encoder", "two_pass"),
    [
        (JobRequest(), False, "libx264", False),
        (JobRequest(), True, "libx264", True),
        (JobRequest(two_pass=False), True, "libx264", False),
        (JobRequest(two_pass=True), False, "libx264", True),
        (JobRequest(codec="hevc", two_pass=True), False, "libx265", True),
        (JobRequest(codec="av1", two_pass=True), False, "libsvtav1", False),
        (JobRequest(), True, "h264_nvenc", False),
    ],
)
def test_two_passes_where_they_are_wanted_and_possible(
    request_: JobRequest, *, usual: bool, encoder: str, two_pass: bool
) -> None:
    policy = replace(a_policy(), two_pass=usual)
    assert (
        plan_job(a_source(), request_, policy, encoders=[EncoderChoice(encoder=ENCODERS[encoder])])
        .encodings[0]
        .two_pass
        is two_pass
    )


def test_a_single_frame_is_not_analysed() -> None:
    """x264 refuses its own findings about it."""
    assert not plan_job(a_source(frames=1), JobRequest(two_pass=True), a_policy()).encodings[0].two_pass
    assert plan_job(a_source(frames=2), JobRequest(two_pass=True), a_policy()).encodings[0].two_pass


def test_two_passes_are_twice_the_work() -> None:
    once = plan_job(a_source(), JobRequest(), a_policy())
    twice = plan_job(a_source(), JobRequest(two_pass=True), a_policy())
    assert twice.frame_pixels(twice.first_names) == 2 * once.frame_pixels(once.first_names)
    assert once.sizing is not None
    assert twice.sizing is not None
    assert twice.sizing.speed == pytest.approx(once.sizing.speed / 2, abs=0.001)


# --- dynamic range ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_high_dynamic_range_becomes_standard_range_by_default(codec: str) -> None:
    plan = plan_job(a_source(color=PQ), JobRequest(codec=codec), a_policy())
    assert (plan.color, plan.tone_mapped) == (BT709, True)
    assert [rung.name for rung in plan.renditions if rung.hdr] == []


@pytest.mark.parametrize(("codec", "codecs"), [("h265", "hvc1.2.4.L93.90"), ("av1", "av01.0.05M.10.0.110.09.16.09.0")])
def test_high_dynamic_range_is_kept_on_request_beside_standard_range(codec: str, codecs: str) -> None:
    request = JobRequest(codec=codec, dynamic_range="source")
    plan = plan_job(a_source(color=PQ), request, a_policy())
    names = ["720p", "480p", "360p"]
    assert [rung.name for rung in plan.renditions] == [*names, *(f"{name}-hdr" for name in names)]
    assert [plan.color_of(rung) for rung in plan.renditions] == [BT709] * 3 + [PQ] * 3
    assert plan.renditions[3].codecs == codecs
    assert [plan.target(rung).hdr is not None for rung in plan.renditions] == [False] * 3 + [True] * 3
    assert EncodePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_what_has_standard_range_has_no_other_to_keep() -> None:
    for source, codec in ((a_source(), "h265"), (a_source(color=PQ), "h264")):
        plan = plan_job(source, JobRequest(codec=codec, dynamic_range="source"), a_policy())
        assert all(rung.hdr is None for rung in plan.renditions)


@pytest.mark.parametrize("changed", [{"color": PQ}, {"alpha": True}], ids=str)
def test_what_is_converted_on_the_cpu_is_uploaded(changed: dict[str, object]) -> None:
    on_device = replace(a_policy(), hardware_path=HardwarePath.DEVICE)
    source = a_source()
    assert (
        plan_job(source, JobRequest(), on_device, encoders=[EncoderChoice(encoder=NVENC)]).encodings[0].hardware_path
        == HardwarePath.DEVICE
    )
    other = replace(source, video_stream=replace(source.video, **changed))  # type: ignore[arg-type]
    assert (
        plan_job(other, JobRequest(), on_device, encoders=[EncoderChoice(encoder=NVENC)]).encodings[0].hardware_path
        == HardwarePath.UPLOAD
    )


def test_a_plan_of_the_first_version_keeps_the_tags_in_8_bits() -> None:
    plan = replace(plan_job(a_source(color=PQ), JobRequest(), a_policy()), color=PQ)
    assert not plan.tone_mapped


@pytest.mark.parametrize("demuxer", ["gif", "apng"])
def test_an_animated_image_is_one_chunk(demuxer: str) -> None:
    """Each chunk would decode all frames before it again."""
    source = replace(a_source(frames=25 * 600, silent=True), demuxer=demuxer)
    plan = plan_job(source, JobRequest(resolution="360p"), a_policy())
    assert [(chunk.first_segment, chunk.segments) for chunk in plan.chunks] == [(0, plan.total_segments)]
    assert plan.sizing is not None
    assert plan.sizing.sized_by is SizedBy.WHOLE
    assert plan.work is not None
    assert plan.work.step_seconds == plan.work.total_seconds


def test_an_animated_image_that_takes_longer_than_a_step_may_is_refused() -> None:
    policy = replace(a_policy(), max_step_seconds=100)
    source = a_source(frames=25 * 3600, silent=True)
    assert len(plan_job(source, JobRequest(resolution="720p"), policy).chunks) == 450
    with pytest.raises(PlanTooLarge, match="the shortest piece of the video is expected to take"):
        plan_job(replace(source, demuxer="gif"), JobRequest(resolution="720p"), policy)
