"""Golden commands, word for word: a change here is a change of what every video becomes."""

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.unit.transcoding.builders import (
    NTSC,
    PAL,
    PQ,
    a_plan,
    a_policy,
    a_source,
    a_video,
    some_audio,
    with_two_languages,
)
from transcoding.color import ColorRange, ColorSpace, Matrix
from transcoding.commands.audio import audio_command
from transcoding.commands.chunk import analysis_command, chunk_command
from transcoding.commands.command import FfmpegCommand, Input, Output
from transcoding.commands.probe import packets_command, streams_command
from transcoding.commands.remux import decode_command, index_command, unpack_command
from transcoding.commands.trial import trial_command
from transcoding.encoders import ENCODERS, HardwareDevice, HardwarePath
from transcoding.hdr import ContentLight, HdrMetadata, MasteringDisplay
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.decoders import WHITELIST
from transcoding.probing.streams import Resolution
from transcoding.probing.warnings import Notice, SourceWarning

BOUNDS = ("-max_pixels", "1250", "-codec_whitelist", WHITELIST)
LARGEST = ("-max_alloc", "67108864")
GLOBALS = [
    *("ffmpeg", "-hide_banner", "-nostdin", "-y", "-v", "error", "-max_error_rate", "1", *LARGEST),
    *("-progress", "pipe:9", "-stats_period", "0.5"),
]
BT601 = "setparams=color_primaries=smpte170m:color_trc=smpte170m:colorspace=smpte170m:range=tv"
FORGET = "sidedata=mode=delete:type=DISPLAYMATRIX"
MUXING = "+cmaf+delay_moov+default_base_moof+skip_trailer"


def argv(command: FfmpegCommand) -> list[str]:
    return command.argv(
        "ffmpeg", {name: f"pipe:{5 + n}" for n, name in enumerate(command.targets)}, progress="pipe:9", max_pixels=1000
    )


def graph(plan: EncodePlan, *, first_segment: int = 0, segments: int = 1) -> str:
    words = argv(chunk_command(plan, "/s/x", first_segment=first_segment, segments=segments))
    return words[words.index("-filter_complex") + 1]


def encoding(*, bitrate: str, maxrate: str, bufsize: str, gop: str, level: str) -> list[str]:
    return [
        *("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-level:v", level),
        *("-b:v", bitrate, "-maxrate", maxrate, "-bufsize", bufsize, "-g", gop, "-keyint_min", gop),
        *("-bf", "3", "-sc_threshold", "0", "-flags", "+cgop"),
    ]


def fragmenting(*, frames: str, timescale: str, offset: str) -> list[str]:
    return [
        *("-frames:v", frames, "-fps_mode", "passthrough"),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"),
        *("-video_track_timescale", timescale, "-output_ts_offset", offset),
        *("-movflags", f"{MUXING}+frag_keyframe+frag_discont", "-use_editlist", "1"),
        *("-flush_packets", "1", "-f", "mp4"),
    ]


def test_the_first_chunk() -> None:
    """From the start of the file, without a seek."""
    plan = plan_job(a_source(854, 480), JobRequest(), a_policy())
    assert argv(chunk_command(plan, "/s/x", first_segment=0, segments=2)) == [
        *GLOBALS,
        *(
            "-f",
            "mov",
            "-protocol_whitelist",
            "file,pipe",
            "-copyts",
            "-reinit_filter",
            "0",
            "-noautorotate",
            *BOUNDS,
            "-i",
            "file:/s/x",
        ),
        "-filter_complex",
        (
            f"[0:0]sidedata=mode=delete:type=A53_CC,setpts=round(PTS-(0/1)/TB),fps=25/1:start_time=0.000000,setpts=PTS-STARTPTS,{FORGET},split=2[in0][in1];"
            f"[in0]scale=854:480:flags=bicubic:out_range=tv,setsar=1,{BT601},format=yuv420p[480p];"
            f"[in1]scale=640:360:flags=bicubic:out_range=tv,setsar=1,{BT601},format=yuv420p[360p]"
        ),
        *("-map", "[480p]"),
        *encoding(bitrate="1500000", maxrate="2250000", bufsize="3000000", gop="50", level="3.0"),
        *fragmenting(frames="200", timescale="25000", offset="0.000000"),
        "pipe:5",
        *("-map", "[360p]"),
        *encoding(bitrate="800000", maxrate="1200000", bufsize="1600000", gop="50", level="3.0"),
        *fragmenting(frames="200", timescale="25000", offset="0.000000"),
        "pipe:6",
    ]


def test_a_chunk_in_the_middle() -> None:
    """A second before the chunk on the source's own clock, exactly at it on the video's."""
    plan = a_plan(a_source(640, 360, rate=NTSC, frames=1000, first=Fraction(148, 100)))
    assert argv(chunk_command(plan, "/s/x", first_segment=2, segments=2, threads=3)) == [
        *GLOBALS,
        *("-f", "mov", "-protocol_whitelist", "file,pipe", "-copyts", "-reinit_filter", "0", "-noautorotate"),
        *("-noaccurate_seek", "-seek_timestamp", "1", "-ss", "8.488000", *BOUNDS, "-i", "file:/s/x"),
        "-filter_complex",
        (
            f"[0:0]sidedata=mode=delete:type=A53_CC,setpts=round(PTS-(37/25)/TB),fps=30000/1001:start_time=8.008000,setpts='PTS-STARTPTS+if(N,0,0*print(1000000007,16))',{FORGET},split=1[in0];"
            f"[in0]scale=640:360:flags=bicubic:out_range=tv,setsar=1,{BT601},format=yuv420p[360p]"
        ),
        *("-map", "[360p]"),
        *encoding(bitrate="800000", maxrate="1200000", bufsize="1600000", gop="60", level="3.0"),
        *("-threads", "3"),
        *fragmenting(frames="240", timescale="30000", offset="8.008000"),
        "pipe:5",
    ]


def test_the_last_chunk_of_a_varying_source() -> None:
    """A copy or two of the last frame, should its length round down; the number of frames ends the chunk."""
    plan = a_plan(a_source(640, 360, frames=460, constant=False))
    words = argv(chunk_command(plan, "/s/x", first_segment=3, segments=2))
    assert words[words.index("-filter_complex") + 1] == (
        "[0:0]sidedata=mode=delete:type=A53_CC,setpts=round(PTS-(0/1)/TB),fps=25/1:start_time=12.000000,tpad=stop=50:stop_mode=clone,"
        f"setpts='PTS-STARTPTS+if(N,0,0*print(1000000007,16))',{FORGET},split=1[in0];[in0]scale=640:360:flags=bicubic:out_range=tv,setsar=1,{BT601},format=yuv420p[360p]"
    )
    assert words[words.index("-frames:v") + 1] == "160"
    assert words[words.index("-output_ts_offset") + 1] == "12.000000"


@pytest.mark.parametrize(
    ("color", "scaling"),
    [
        (None, "scale=640:360:flags=bicubic,setsar=1,format=yuv420p[360p]"),
        (
            ColorSpace(range=ColorRange.FULL),
            (
                "scale=640:360:flags=bicubic:out_range=pc,setsar=1,"
                "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=pc,format=yuv420p[360p]"
            ),
        ),
        (
            ColorSpace(matrix=Matrix.RGB, range=ColorRange.FULL),
            (
                "scale=640:360:flags=bicubic:out_range=tv:out_color_matrix=bt709,setsar=1,"
                "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv,format=yuv420p[360p]"
            ),
        ),
        (
            ColorSpace(matrix=Matrix.YCGCO),
            "scale=640:360:flags=bicubic:out_range=tv,setsar=1,setparams=colorspace=ycgco:range=tv,format=yuv420p[360p]",
        ),
    ],
    ids=["not inspected", "full range", "rgb", "neither of both"],
)
def test_frames_are_tagged_with_their_color_space(color: ColorSpace | None, scaling: str) -> None:
    source = a_source(1280, 720)
    plan = a_plan(replace(source, video_stream=replace(source.video, color=color)))
    assert graph(plan).endswith(f"[in0]{scaling}")


@pytest.mark.parametrize("constant", [True, False])
def test_the_end_of_a_source_is_padded_should_its_last_frames_be_damaged(*, constant: bool) -> None:
    plan = a_plan(a_source(frames=460, constant=constant))
    assert "tpad" not in graph(plan, first_segment=0, segments=3)
    assert "tpad=stop=50:stop_mode=clone" in graph(plan, first_segment=4)


def test_interlaced_frames_are_combed_before_they_are_put_on_the_grid() -> None:
    plan = a_plan(a_source(interlaced=True))
    filters = graph(plan).split(",")
    assert filters[2:4] == ["bwdif=mode=send_frame:deint=interlaced", "fps=25/1:start_time=0.000000"]


def test_the_chosen_track_is_encoded() -> None:
    source = a_source()
    plan = a_plan(replace(source, video_stream=replace(source.video, index=3), audio=(some_audio(index=5),)))
    assert graph(plan).startswith("[0:3]")
    assert "[0:5]asetpts" in " ".join(argv(audio_command(plan, plan.audio[0], "/s/x")))


def test_a_seek_never_goes_before_the_start() -> None:
    plan = a_plan(a_source(frames=1000, first=Fraction(-4)))
    words = argv(chunk_command(plan, "/s/x", first_segment=1, segments=1))
    assert words[words.index("-ss") + 1] == "0.000000"


def test_audio() -> None:
    plan = a_plan(a_source(rate=PAL, frames=333, first=Fraction(1, 3)))
    assert argv(audio_command(plan, plan.audio[0], "/s/x")) == [
        *GLOBALS,
        *("-f", "mov", "-protocol_whitelist", "file,pipe", "-copyts", *BOUNDS, "-i", "file:/s/x"),
        "-filter_complex",
        (
            "[0:1]asetpts=round(PTS-(1/3)/TB),atrim=end=13.320000,aresample=48000:async=1:first_pts=0,"
            "aformat=sample_fmts=fltp:channel_layouts=stereo,apad=whole_dur=13.320000,atrim=end=13.320000[audio]"
        ),
        *("-map", "[audio]", "-c:a", "aac", "-b:a", "128000"),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"),
        *("-movflags", f"{MUXING}+frag_every_frame", "-use_editlist", "1", "-f", "mp4"),
        "pipe:5",
    ]


def test_every_audio_track_has_a_command() -> None:
    plan = with_two_languages(a_plan())
    words = argv(audio_command(plan, plan.audio[1], "/s/x"))
    assert words[words.index("-filter_complex") + 1].startswith("[0:2]asetpts=")
    assert words[words.index("-map") + 1] == "[audio-2]"


def test_channels_are_as_planned() -> None:
    plan = a_plan()
    graph_of_mono = " ".join(argv(audio_command(plan, replace(plan.audio[0], channels=1), "/s/x")))
    assert "channel_layouts=mono," in graph_of_mono


def test_indexing() -> None:
    audio = [some_audio(index=1), some_audio(index=4, language="deu")]
    assert argv(index_command("/s/x", demuxer="mpegts", videos=[a_video(index=3)], audio=audio, max_streams=64)) == [
        *GLOBALS,
        *(
            "-fflags",
            "+genpts",
            "-f",
            "mpegts",
            "-merge_pmt_versions",
            "1",
            "-protocol_whitelist",
            "file,pipe",
            "-max_streams",
            "64",
            "-copyts",
            *BOUNDS,
            "-i",
            "file:/s/x",
        ),
        *("-map", "0:3", "-map", "0:1", "-map", "0:4"),
        *("-c", "copy", "-map_metadata", "-1", "-metadata:s:a:1", "language=deu"),
        *("-map_chapters", "-1", "-f", "matroska"),
        "pipe:5",
    ]


def test_audio_that_matroska_does_not_take_is_decoded_for_the_copy() -> None:
    tracks = [some_audio(index=1), replace(some_audio(index=2), codec="pcm_bluray")]
    arguments = argv(index_command("/s/x", demuxer="mpegts", videos=[a_video()], audio=tracks, max_streams=64))
    assert "-c copy -c:a:1 pcm_s24le" in " ".join(arguments)
    assert "-c:a:0" not in arguments


@pytest.mark.parametrize(
    ("codec", "pixel_format", "options"),
    [
        ("rawvideo", "bgr24", "-allow_raw_vfw 1 "),
        ("rawvideo", "pal8", "-allow_raw_vfw 1 -c:v:0 ffv1 -pix_fmt:v:0 bgr0 "),
        ("h264", "yuv420p", ""),
    ],
)
def test_uncompressed_video_is_copied_the_way_matroska_takes_it(codec: str, pixel_format: str, options: str) -> None:
    video = replace(a_video(), codec=codec, pixel_format=pixel_format)
    arguments = argv(index_command("/s/x", demuxer="avi", videos=[video], max_streams=64))
    assert f"-c copy {options}-map_metadata" in " ".join(arguments)


def test_indexing_an_avi_whose_frames_have_no_order() -> None:
    words = argv(
        index_command("/s/x", demuxer="avi", videos=[a_video(index=0)], filters="setts=pts=DTS", max_streams=64)
    )
    assert "+genpts" not in words
    assert words[words.index("-bsf:v") + 1] == "setts=pts=DTS"


def test_unpacking_b_frames() -> None:
    assert argv(unpack_command("/s/x", streams=(0, 1), max_streams=9)) == [
        *GLOBALS,
        *("-f", "avi", "-protocol_whitelist", "file,pipe", "-max_streams", "9", "-copyts", *BOUNDS, "-i", "file:/s/x"),
        *("-map", "0:0", "-map", "0:1"),
        *("-c", "copy", "-map_metadata", "-1", "-bsf:v:0", "mpeg4_unpack_bframes", "-f", "avi"),
        "pipe:5",
    ]


def test_the_audio_of_joined_recordings_is_kept_in_step() -> None:
    joined = (Notice(code=SourceWarning.TIMESTAMPS_RESTART, count=1),)
    plan = plan_job(a_source(640, 360, warnings=joined), JobRequest(), a_policy())
    words = argv(audio_command(plan, plan.audio[0], "/s/x"))
    assert "aresample=48000:async=1:min_hard_comp=0.01:first_pts=0" in words[words.index("-filter_complex") + 1]


def test_decoding_a_sample() -> None:
    assert argv(decode_command("/s/x", Resolution(width=640, height=360))) == [
        *GLOBALS,
        *(
            "-f",
            "mov",
            "-protocol_whitelist",
            "file,pipe",
            *BOUNDS,
            "-i",
            "file:/s/x",
            "-map",
            "0:v:0",
            "-f",
            "null",
        ),
        "pipe:5",
    ]


PROBE = ["ffprobe", "-v", "error", *LARGEST, "-f", "avi", "-protocol_whitelist", "file,pipe", *BOUNDS]
MAX_STREAMS = ["-max_streams", "64"]


def test_command_for_streams() -> None:
    assert streams_command("ffprobe", "/s/x", demuxer="avi", max_pixels=1000, max_streams=64) == [
        *PROBE,
        *MAX_STREAMS,
        "-show_entries",
        (
            "format=format_name,duration"
            ":stream=index,codec_type,codec_name,width,height,pix_fmt,field_order,sample_aspect_ratio"
            ",color_primaries,color_transfer,color_space,color_range,time_base,duration,nb_frames,avg_frame_rate,bit_rate"
            ",channels,channel_layout,sample_rate"
            ":stream_disposition=default,forced,attached_pic,timed_thumbnails,comment,hearing_impaired,visual_impaired"
            ",descriptions,karaoke,lyrics,dub"
            ":stream_tags=DURATION,language,alpha_mode"
            ":stream_side_data=rotation,displaymatrix,dv_profile,dv_bl_signal_compatibility_id"
            ",red_x,red_y,green_x,green_y,blue_x,blue_y,white_point_x,white_point_y,min_luminance,max_luminance"
            ",max_content,max_average"
        ),
        *("-of", "json", "file:/s/x"),
    ]


def test_command_for_packets() -> None:
    assert packets_command("ffprobe", "/s/x", demuxer="avi", stream=2, max_pixels=1000, max_streams=64) == [
        *PROBE,
        *MAX_STREAMS,
        *("-select_streams", "2", "-show_entries", "packet=pts,duration,size,pos,flags"),
        *("-of", "csv=p=0", "file:/s/x"),
    ]
    unparsed = packets_command(
        "ffprobe", "/s/x", demuxer="mov", stream=0, max_pixels=1000, max_streams=64, parsed=False
    )
    assert unparsed[unparsed.index("-fflags") + 1] == "noparse"


@pytest.mark.parametrize("path", ["-y.mp4", "a:b.mp4", "x%03d.mp4", "$(id).mp4", "a b'\".mp4", "zwei\nzeilen.mp4"])
def test_a_name_is_one_word_and_nothing_else(path: str) -> None:
    command = FfmpegCommand(inputs=(Input(path=path),), outputs=(Output(target="out", maps=("0",)),))
    assert argv(command) == [*GLOBALS, *BOUNDS, "-i", f"file:{path}", "-map", "0", "pipe:5"]


# --- devices ----------------------------------------------------------------------------------------------------------

SECOND = HardwareDevice(family_index=1, render_node="/dev/dri/renderD129")


def on_device(path: HardwarePath, *, interlaced: bool = False, encoder: str = "h264_nvenc") -> list[str]:
    """The command of a ladder of two for the second device."""
    policy = replace(a_policy(), hardware_path=path)
    source = a_source(854, 480, interlaced=interlaced)
    plan = plan_job(source, JobRequest(), policy, encoders=[EncoderChoice(encoder=ENCODERS[encoder])])
    return argv(chunk_command(plan, "/s/x", first_segment=1, segments=1, device=SECOND))


def test_nvenc_with_frames_from_memory() -> None:
    words = on_device(HardwarePath.UPLOAD)
    assert words[words.index("-filter_complex") + 1] == (
        f"[0:0]sidedata=mode=delete:type=A53_CC,setpts=round(PTS-(0/1)/TB),fps=25/1:start_time=4.000000,setpts='PTS-STARTPTS+if(N,0,0*print(1000000007,16))',{FORGET},split=2[in0][in1];"
        f"[in0]scale=854:480:flags=bicubic:out_range=tv,setsar=1,{BT601},format=nv12[480p];"
        f"[in1]scale=640:360:flags=bicubic:out_range=tv,setsar=1,{BT601},format=nv12[360p]"
    )
    first = words.index("-map")
    assert words[first : words.index("-frames:v")] == [
        *("-map", "[480p]", "-c:v", "h264_nvenc", "-preset", "p3", "-tune", "hq", "-profile:v", "high", "-bf", "3"),
        *("-level:v", "3.0", "-rc", "vbr", "-cq", "23", "-maxrate", "2250000", "-g", "50", "-b_ref_mode", "middle"),
        *("-no-scenecut", "1", "-forced-idr", "1", "-flags", "+cgop", "-gpu", "1"),
    ]
    assert not [word for word in words if "hwaccel" in word or "init_hw" in word]
    assert words[words.index("-frames:v") :][:24] == [
        *fragmenting(frames="100", timescale="25000", offset="4.000000"),
        "pipe:5",
        "-map",
    ]


def test_nvenc_with_all_frames_on_the_device() -> None:
    """The device is opened first, hwaccel stands before its input, and one decoder serves all rungs."""
    words = on_device(HardwarePath.DEVICE)
    opening = ["-init_hw_device", "cuda=gpu:1", "-filter_hw_device", "gpu"]
    assert words[words.index("-init_hw_device") :][:4] == opening
    decoding = ["-hwaccel", "cuda", "-hwaccel_device", "gpu", "-hwaccel_output_format", "cuda"]
    assert words[words.index("-hwaccel") :][:6] == decoding
    assert words.index("-init_hw_device") < words.index("-hwaccel") < words.index("-i")
    assert words.count("-i") == 1
    assert words[words.index("-filter_complex") + 1] == (
        "[0:0]sidedata=mode=delete:type=A53_CC,setpts=round(PTS-(0/1)/TB),fps=25/1:start_time=4.000000,setpts='PTS-STARTPTS+if(N,0,0*print(1000000007,16))',split=2[in0][in1];"
        f"[in0]scale_cuda=854:480:interp_algo=bicubic:format=nv12,setsar=1,{BT601}[480p];"
        f"[in1]scale_cuda=640:360:interp_algo=bicubic:format=nv12,setsar=1,{BT601}[360p]"
    )
    assert "-gpu" not in words
    assert "-reinit_filter" not in words


def test_interlaced_frames_are_combed_where_they_are() -> None:
    assert "yadif_cuda=mode=send_frame:deint=interlaced" in " ".join(on_device(HardwarePath.DEVICE, interlaced=True))
    assert "bwdif" in " ".join(on_device(HardwarePath.UPLOAD, interlaced=True))


def test_vaapi_opens_the_render_node_and_uploads() -> None:
    words = on_device(HardwarePath.UPLOAD, encoder="h264_vaapi")
    assert words[words.index("-init_hw_device") + 1] == "vaapi=gpu:/dev/dri/renderD129"
    assert "format=nv12,hwupload[480p]" in words[words.index("-filter_complex") + 1]
    assert words[words.index("-level:v") + 1] == "30", "3.0 would be read as 3"


def test_a_command_for_hardware_needs_a_device() -> None:
    plan = plan_job(a_source(), JobRequest(), a_policy(), encoders=[EncoderChoice(encoder=ENCODERS["h264_nvenc"])])
    with pytest.raises(ValueError, match="h264_nvenc needs a device"):
        chunk_command(plan, "/s/x", first_segment=0, segments=1)


def test_a_run_may_encode_some_of_the_rungs() -> None:
    plan = plan_job(a_source(), JobRequest(), a_policy())
    command = chunk_command(plan, "/s/x", first_segment=0, segments=1, renditions=("480p", "360p"))
    assert command.targets == ("480p", "360p")
    assert "split=2[in0][in1];[in0]scale=854:480" in (command.filter_graph or "")


def test_a_trial_encodes_a_drawn_video_with_the_options_of_a_job() -> None:
    words = argv(trial_command(ENCODERS["h264_nvenc"], SECOND, frames=10))
    assert words[words.index("-f") :][:2] == ["-f", "lavfi"]
    assert words[words.index("-i") + 1] == "testsrc2=size=640x360:rate=25"
    assert "-codec_whitelist" not in words, "ffmpeg's own frames come through a decoder that no file may have"
    assert words[words.index("-b_ref_mode") + 1] == "middle"
    assert words[words.index("-gpu") + 1] == "1"
    assert words[-5:] == ["-frames:v", "10", "-f", "null", "pipe:5"]


# --- two passes -------------------------------------------------------------------------------------------------------


def test_the_first_pass_sees_the_very_frames_of_the_second_and_writes_nothing() -> None:
    plan = plan_job(a_source(854, 480), JobRequest(two_pass=True), a_policy())
    first = analysis_command(plan, "/s/x", first_segment=2, segments=2, statistics="/t/pass")
    second = chunk_command(plan, "/s/x", first_segment=2, segments=2, statistics="/t/pass")
    assert (first.inputs, first.filter_graph) == (second.inputs, second.filter_graph)
    for number, command in ((1, first), (2, second)):
        for output in command.outputs:
            assert output.options["pass"] == str(number)
            assert output.options["passlogfile"] == f"/t/pass-{output.target}"
            assert output.options["frames:v"] == "200"
    assert {output.options["f"] for output in first.outputs} == {"null"}


def test_x265_gets_passes_by_its_own_parameters() -> None:
    plan = plan_job(a_source(854, 480), JobRequest(codec="hevc", two_pass=True), a_policy())
    command = analysis_command(plan, "/s/x", first_segment=0, segments=1, threads=3, statistics="/t:1/pass")
    own = command.outputs[0].options["x265-params"] or ""
    assert own.endswith(r":pass=1:stats=/t\:1/pass-480p:pools=3")


# --- colors -----------------------------------------------------------------------------------------------------------


def test_high_dynamic_range_is_mapped_once_for_all_rungs() -> None:
    plan = plan_job(a_source(color=PQ), JobRequest(), a_policy())
    chain, *rungs = graph(plan).split(";[in")
    assert (
        ",setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv,zscale=matrix=gbr:range=full,"
        "format=gbrp16le,lut3d=file=tones.cube:interp=tetrahedral,"
        "setparams=color_primaries=bt709:color_trc=bt709:colorspace=gbr:range=pc,zscale=matrix=bt709:range=limited,"
        "format=yuv420p10le,split=3"
    ) in chain
    assert all("color_trc=bt709" in rung and "sidedata=mode=delete" in rung for rung in rungs)
    command = chunk_command(plan, "/s/x", first_segment=0, segments=1)
    assert list(command.files) == ["tones.cube"]
    assert not chunk_command(a_plan(), "/s/x", first_segment=0, segments=1).files


def test_rungs_of_high_dynamic_range_share_the_decoder_with_the_mapped_ones() -> None:
    request = JobRequest(codec="h265", resolution="360p", dynamic_range="source")
    words = graph(plan_job(a_source(color=PQ), request, a_policy())).split(";")
    assert words[0].endswith(",split=2[high][standard]")
    assert words[1] == "[high]split=1[in1]"
    assert words[2].startswith("[standard]setparams=")
    assert words[2].endswith("split=1[in0]")
    assert words[3].endswith("format=yuv420p[360p]")
    assert words[4].endswith("format=yuv420p10le[360p-hdr]")


def test_a_run_of_high_dynamic_range_alone_maps_nothing() -> None:
    plan = plan_job(a_source(color=PQ), JobRequest(codec="av1", dynamic_range="source"), a_policy())
    command = chunk_command(plan, "/s/x", first_segment=0, segments=1, renditions=["720p-hdr", "480p-hdr"])
    assert "lut3d" not in (command.filter_graph or "")
    assert "split=2[in0][in1]" in (command.filter_graph or "")


def test_the_metadata_of_a_master_are_parameters_of_the_encoder() -> None:
    display = MasteringDisplay(
        chromaticities=(13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450),
        min_luminance=50,
        max_luminance=10_000_000,
    )
    metadata = HdrMetadata(display=display, light=ContentLight(max_content=1000, max_average=180))
    source = a_source(color=PQ)
    source = replace(source, video_stream=replace(source.video, hdr=metadata))
    for codec, option, expected in (
        (
            "h265",
            "-x265-params",
            "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)",
        ),
        (
            "av1",
            "-svtav1-params",
            (
                "mastering-display=G(0.26500,0.69000)B(0.15000,0.06000)R(0.68000,0.32000)WP(0.31270,0.32900)"
                "L(1000.0000,0.0050)"
            ),
        ),
    ):
        request = JobRequest(codec=codec, resolution="360p", dynamic_range="source")
        plan = plan_job(source, request, a_policy())
        words = argv(chunk_command(plan, "/s/x", first_segment=0, segments=1))
        standard, high = (words[at + 1] for at, word in enumerate(words) if word == option)
        assert expected in high
        assert "1000,180" in high
        assert "L(" not in standard


@pytest.mark.parametrize(("codec", "decoder"), [("vp9", "libvpx-vp9"), ("vp8", "libvpx"), ("prores", None)])
def test_transparent_frames_are_put_on_black(codec: str, decoder: str | None) -> None:
    source = a_source()
    source = replace(source, video_stream=replace(source.video, codec=codec, alpha=True))
    words = argv(
        chunk_command(plan_job(source, JobRequest(resolution="360p"), a_policy()), "/s/x", first_segment=0, segments=1)
    )
    assert (words[words.index("-c:0") + 1] if "-c:0" in words else None) == decoder
    assert "premultiply=inplace=1,split=1[in0]" in words[words.index("-filter_complex") + 1]
