"""Commands for live streams, as data."""

import pytest

from transcoding.commands.live import (
    LIVE_SOURCE,
    LIVE_TARGET,
    PROBING_AGAIN,
    live_command,
    live_copy_command,
    live_radio_command,
)
from transcoding.encoders import ENCODERS, HardwareDevice, VideoEncoder
from transcoding.planning.live import AUDIO_BITRATE, LIVE_SIZES, LiveProfile

X264 = ENCODERS["libx264"]
DEVICE = HardwareDevice(family_index=1, render_node="/dev/dri/renderD129")
HARDWARE = [encoder for encoder in ENCODERS.values() if encoder.hardware and encoder.codec == "h264"]


def argv(command: object) -> list[str]:
    return command.argv(  # type: ignore[attr-defined, no-any-return]
        "ffmpeg", {LIVE_TARGET: "pipe:9"}, progress="pipe:8", max_pixels=1 << 23, addresses={LIVE_SOURCE: "pipe:7"}
    )


def test_the_command_on_the_cpu() -> None:
    words = argv(live_command("mpegts", LiveProfile.P720, encoder=X264))
    assert words == [
        *("ffmpeg", "-hide_banner", "-nostdin", "-y", "-v", "level+verbose", "-max_error_rate", "1"),
        *("-nostats", "-dts_delta_threshold", "10", "-filter_threads", "2", "-max_alloc", "83886080"),
        *("-progress", "pipe:8", "-stats_period", "0.5"),
        *("-f", "mpegts", "-merge_pmt_versions", "1", "-protocol_whitelist", "pipe"),
        *("-fflags", "+genpts+discardcorrupt", "-probesize", "2000000", "-analyzeduration", "500000", "-threads", "2"),
        *("-max_pixels", words[words.index("-max_pixels") + 1]),
        *("-codec_whitelist", words[words.index("-codec_whitelist") + 1], "-i", "pipe:7"),
        *("-map", "0:v:0", "-map", "0:a:0?"),
        "-vf",
        (
            "bwdif=mode=send_frame:deint=interlaced,"
            "scale=w='max(2,2*round(iw*sar*min(1,720/min(iw*sar,ih))/2))'"
            ":h='max(2,2*round(ih*min(1,720/min(iw*sar,ih))/2))':flags=bicubic,setsar=1,format=yuv420p"
        ),
        *("-fps_mode", "vfr", "-enc_time_base:v", "1:90000", "-force_key_frames", "expr:gte(t,n_forced)"),
        *("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-level:v", "4.1"),
        *("-b:v", "3000000", "-maxrate", "3750000", "-bufsize", "3000000", "-g", "60", "-keyint_min", "60"),
        *("-bf", "0", "-sc_threshold", "0", "-flags", "+cgop", "-tune", "zerolatency", "-x264-params", "force-cfr=0"),
        *("-coder", "1"),
        *("-c:a", "aac", "-b:a", "192000"),
        "-af",
        "aresample=48000:async=1000:min_hard_comp=0.01,aformat=sample_fmts=fltp:channel_layouts=stereo",
        *("-map_metadata", "-1", "-max_interleave_delta", "1000000", "-max_muxing_queue_size", "1024"),
        *("-output_ts_offset", "1", "-muxdelay", "0", "-muxpreload", "0", "-pat_period", "0.2", "-flush_packets", "1"),
        *("-f", "mpegts", "pipe:9"),
    ]


@pytest.mark.parametrize("encoder", HARDWARE, ids=lambda encoder: encoder.ffmpeg_name)
def test_frames_are_decoded_on_the_cpu_and_uploaded_to_a_device_that_is_opened_first(encoder: VideoEncoder) -> None:
    words = argv(live_command("mpegts", LiveProfile.ORIGINAL, encoder=encoder, device=DEVICE))
    assert "-hwaccel" not in words
    if "-init_hw_device" in words:
        assert words.index("-init_hw_device") < words.index("-i")
    graph = words[words.index("-vf") + 1]
    upload = encoder.device.upload if encoder.device else ()
    assert graph.endswith(",".join(("format=nv12", *upload)))
    assert words[words.index("-bf") + 1] == "0"
    assert "-level:v" not in words, "the encoder knows the size"


def test_bit_rates_of_the_request_replace_those_of_the_profile() -> None:
    command = live_command("mpegts", LiveProfile.P480, encoder=X264, video_bitrate=900_000, audio_bitrate=96_000)
    options = command.outputs[0].options
    assert [options[name] for name in ("b:v", "maxrate", "bufsize", "b:a")] == ["900000", "1125000", "900000", "96000"]


@pytest.mark.parametrize("profile", list(LiveProfile))
def test_every_profile_has_a_rate(profile: LiveProfile) -> None:
    command = live_command("mpegts", profile, encoder=X264)
    options = command.outputs[0].options
    assert options["b:v"] == str(LIVE_SIZES[profile].bitrate)
    assert options["b:a"] == str(AUDIO_BITRATE)


def test_a_second_try_probes_four_times_as_much() -> None:
    options = live_command("mpegts", LiveProfile.ORIGINAL, encoder=X264, probing=PROBING_AGAIN).inputs[0].options
    assert (options["probesize"], options["analyzeduration"]) == ("8000000", "2000000")


@pytest.mark.parametrize(("container", "demuxer"), [("mpegts", "mpegts"), ("flv", "live_flv"), ("mp4", "mov")])
def test_the_demuxer_is_forced_and_nothing_but_the_pipe_is_read(container: str, demuxer: str) -> None:
    for command in (
        live_command(container, LiveProfile.ORIGINAL, encoder=X264),
        live_copy_command(container),
        live_radio_command(container),
    ):
        words = argv(command)
        opening = words[: words.index("-i")]
        assert opening[opening.index("-f") + 1] == demuxer
        assert opening[opening.index("-protocol_whitelist") + 1] == "pipe"


def test_copies_leave_the_video_as_it_is() -> None:
    audio, everything = live_copy_command("mpegts"), live_copy_command("mpegts", encode_audio=False)
    assert [command.outputs[0].options["c:v"] for command in (audio, everything)] == ["copy", "copy"]
    assert [command.outputs[0].options["c:a"] for command in (audio, everything)] == ["aac", "copy"]
    assert "vf" not in audio.outputs[0].options
    assert "af" not in everything.outputs[0].options
