"""The command of a live stream, as data."""

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.unit.transcoding.builders import NTSC
from transcoding.commands.livestream import FEED, audio_base, livestream_command
from transcoding.encoders import ENCODERS, HardwareDevice
from transcoding.flv.facts import IncomingFacts
from transcoding.planning.latency import Latency
from transcoding.planning.livestream import LadderRequest, RungRequest, plan_livestream
from transcoding.planning.plan import EncodePlan

FACTS = IncomingFacts(width=1280, height=720, rate=Fraction(30), video_codec="h264")
DEVICE = HardwareDevice(family_index=1, render_node="/dev/dri/renderD129")


def a_live_plan(latency: Latency = Latency.NORMAL, *, facts: IncomingFacts = FACTS, **choices: str) -> EncodePlan:
    return plan_livestream(facts, LadderRequest(rungs=(RungRequest(size="360p"),), **choices), latency=latency)


def options_of(plan: EncodePlan, **choices: object) -> dict[str, str | None]:
    return dict(livestream_command(plan, first_segment=0, **choices).outputs[0].options)  # type: ignore[arg-type]


def test_the_command_of_a_takeover_in_normal_latency() -> None:
    plan = a_live_plan()
    command = livestream_command(plan, first_segment=3, starts_at=Fraction(66, 1000), threads=2)
    words = command.argv(
        "ffmpeg",
        {"360p": "pipe:9", "audio": "pipe:10"},
        progress="pipe:8",
        max_pixels=1 << 23,
        addresses={FEED: "pipe:7"},
    )
    fitting = words[words.index("-filter_complex") + 1]
    assert fitting.startswith(
        "[0:v:0]sidedata=mode=delete:type=A53_CC,setpts=round(PTS-(33/500)/TB),fps=30/1:start_time=0,split=1[in0];"
        "[in0]scale=w='if(eq(iw,1280)*eq(ih,720)+"
    )
    assert fitting.endswith(
        ":eval=frame,setsar=1,setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv,format=yuv420p"
        "[360p];[0:a:0]asetpts=round(PTS-(91/1500)/TB),aresample=48000:async=1000:first_pts=0:flags=res,"
        "aformat=sample_fmts=fltp:channel_layouts=stereo[audio]"
    )
    assert [word for word in words if word != fitting] == [
        *("ffmpeg", "-hide_banner", "-nostdin", "-y", "-v", "error", "-max_error_rate", "1"),
        *("-filter_complex_threads", "2", "-max_alloc", "83886080", "-progress", "pipe:8", "-stats_period", "0.5"),
        *("-f", "live_flv", "-protocol_whitelist", "pipe", "-copyts", "-fpsprobesize", "0", "-analyzeduration", "0"),
        *("-threads", "2", "-reinit_filter", "0", "-noautorotate"),
        *("-max_pixels", words[words.index("-max_pixels") + 1]),
        *("-codec_whitelist", words[words.index("-codec_whitelist") + 1], "-i", "pipe:7", "-filter_complex"),
        *("-map", "[360p]", "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-level:v", "3.0"),
        *("-b:v", "800000", "-maxrate", "1000000", "-bufsize", "800000", "-g", "60", "-keyint_min", "60", "-bf", "3"),
        *("-sc_threshold", "0", "-flags", "+cgop", "-threads", "2", "-fps_mode", "passthrough"),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-video_track_timescale", "30000"),
        *("-output_ts_offset", "6.000000"),
        *("-movflags", "+cmaf+delay_moov+default_base_moof+skip_trailer+frag_keyframe+frag_discont"),
        *("-use_editlist", "1", "-flush_packets", "1", "-f", "mp4", "pipe:9"),
        *("-map", "[audio]", "-c:a", "aac", "-b:a", "128000"),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"),
        *("-movflags", "+cmaf+delay_moov+default_base_moof+skip_trailer+frag_every_frame", "-use_editlist", "1"),
        *("-flush_packets", "1", "-f", "mp4", "pipe:10"),
    ]


def test_low_latency_looks_at_no_later_frame_and_cuts_parts() -> None:
    options = options_of(a_live_plan(Latency.LOW))
    assert [options[name] for name in ("tune", "bf", "frag_duration")] == ["zerolatency", "0", "483333"]
    assert "frag_duration" not in options_of(a_live_plan())


def test_runs_differ_in_their_offset_alone() -> None:
    for latency in Latency:
        plan = a_live_plan(latency)
        first, later = (dict(livestream_command(plan, first_segment=n).outputs[0].options) for n in (0, 5))
        assert (first.pop("output_ts_offset"), later.pop("output_ts_offset")) == ("0.000000", "10.000000")
        assert first == later


@pytest.mark.parametrize("rate", [Fraction(30), NTSC, Fraction(25, 2)])
@pytest.mark.parametrize("segment", [1, 2, 3, 1000])
def test_a_run_of_audio_begins_within_half_a_frame_of_its_segment(rate: Fraction, segment: int) -> None:
    plan = a_live_plan(facts=replace(FACTS, rate=rate))
    (track,) = plan.audio
    base = audio_base(plan.grid, track, segment)
    assert base % 1024 == 0
    assert abs(base - plan.grid.start(segment) * 48_000) <= 512
    assert audio_base(plan.grid, track, 0) == 0


def test_interlaced_frames_alone_are_deinterlaced() -> None:
    for interlaced in (False, True):
        plan = a_live_plan(facts=replace(FACTS, interlaced=interlaced))
        graph = livestream_command(plan, first_segment=0).filter_graph or ""
        assert ("bwdif=mode=send_frame:deint=interlaced,fps=" in graph) == interlaced


def test_a_device_that_is_gone_is_replaced_by_the_cpu_with_fewer_renditions() -> None:
    plan = plan_livestream(FACTS, LadderRequest(), encoder=ENCODERS["h264_nvenc"])
    with_device = livestream_command(plan, first_segment=0, device=DEVICE)
    assert [output.target for output in with_device.outputs] == ["720p", "480p", "360p", "audio"]
    assert with_device.outputs[0].options["gpu"] == "1"
    without = livestream_command(plan, first_segment=7, encoder=ENCODERS["libx264"], renditions=["360p"])
    assert [output.target for output in without.outputs] == ["360p", "audio"]
    assert (without.outputs[0].options["c:v"], without.device) == ("libx264", None)


def test_a_hardware_encoder_needs_a_device() -> None:
    plan = plan_livestream(FACTS, LadderRequest(), encoder=ENCODERS["h264_vaapi"])
    with pytest.raises(ValueError, match="needs a device"):
        livestream_command(plan, first_segment=0)
