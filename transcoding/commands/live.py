"""Commands for live streams: bytes of a stranger's stream come in through a pipe, MPEG-TS goes out through another.

Nothing is known about the source but its container, so the filters look at frames when they come. Key frames are a
second apart, nothing is reordered or looked ahead for, and what is written is flushed.

Time stamps: ffmpeg closes jumps of the clock with one offset for all streams, and leaves shorter gaps as they are. Then
the video has a gap, and the audio has silence. Audio that comes late or early by more than `_AUDIO_STEP_SECONDS`, as
when a packet was lost, is put right at once by silence or a cut; less by playing up to 2 % slower or faster.
"""

from transcoding.commands.command import QUIET, FfmpegCommand, Input, Options, Output, demuxer_options
from transcoding.commands.hardware import device_opening, encoder_options, upload_filters
from transcoding.encoders import AAC, CodecLevel, EncodeTarget, HardwareDevice, HardwarePath, VideoEncoder
from transcoding.planning.live import AUDIO_BITRATE, LIVE_SIZES, LiveProfile, live_rates

LIVE_SOURCE, LIVE_TARGET = "source", "stream"
"""Names of the input and the output."""
PROBING = 1
PROBING_AGAIN = 4
"""Times the usual probing, of a second try when the first one did not find the stream."""
LEVEL = CodecLevel("4.1")
"""H.264 level that all receivers play: up to 1080 lines at 30 frames per second."""

_PROBE_BYTES, _PROBE_SECONDS = 2_000_000, 0.5
"""ffmpeg's own bounds are ten times as many seconds, and cost five of a live stream (measured: 5.3 s, 1.8 s).

The bytes are those of half a second at 32 Mbit/s. With 500 kB of interlaced HD at 12 Mbit/s, ffmpeg 9 takes fields for
frames, and encoders think of twice the frame rate.
"""
_DEMUXERS = {"mpegts": "mpegts", "flv": "live_flv", "mp4": "mov"}
_JUMP_SECONDS = 10
"""A difference to the expected time that is more than this is a jump of the clock, not a gap."""
_AUDIO_STEP_SECONDS = 0.01
"""Less than any frame of audio that can be lost: the shortest usual ones have 21 ms."""
_MAX_KEY_FRAME_DISTANCE = 60
"""Frames; those of a second are less, or as many."""
_PRESETS = {"libx265": "ultrafast"}
"""Presets of encoders for which the usual one is too slow: x265 takes three times as long as x264 with it."""
_PRESET = "veryfast"
_HEVC_LEVEL = CodecLevel("5.1", tier="main")
"""Level of frames up to 2160 lines: x265 refuses larger ones than its level allows."""
_DECODER_THREADS = 2
"""Each further one holds back a frame."""
_INTERLEAVE_SECONDS = 1
"""Time for which video waits for audio that does not come, or audio for video."""
_MEMORY_BYTES = 2 << 30
"""Twice what decoding and encoding 2160 lines takes."""


def live_command(  # noqa: PLR0913 - what a stream depends on, by name
    container: str,
    profile: LiveProfile,
    *,
    encoder: VideoEncoder,
    device: HardwareDevice | None = None,
    video_bitrate: int | None = None,
    audio_bitrate: int | None = None,
    probing: int = PROBING,
    audio: bool = True,
    level: CodecLevel | None = LEVEL,
    threads: int = 0,
) -> FfmpegCommand:
    """Encode video and audio. ffmpeg fails where the source has no video.

    Without `audio` there is none. Otherwise nothing comes out while a track that is announced does not come.
    Frames are decoded on the CPU, also for an encoder on a device. `level` None leaves it to the encoder, as for frames
    that are too large or too many for `LEVEL`. `threads` limits an encoder on the CPU; 0 leaves the number to it.
    """
    preset = _PRESETS.get(encoder.ffmpeg_name, _PRESET)
    target = EncodeTarget(
        preset=preset,
        profile=encoder.presets[preset].profile,
        level=_HEVC_LEVEL if encoder.codec == "hevc" else level or LEVEL,
        control=live_rates(video_bitrate or LIVE_SIZES[profile].bitrate),
        gop=_MAX_KEY_FRAME_DISTANCE,
        threads=threads,
    )
    path = encoder.paths[0]
    return FfmpegCommand(
        inputs=(_source(container, probing),),
        outputs=(
            Output(
                target=LIVE_TARGET,
                maps=_maps(audio=audio),
                options={
                    **_video(profile, encoder, device, target, any_level=level is None),
                    **(_audio(audio_bitrate) if audio else {}),
                    **_TRANSPORT_STREAM,
                },
            ),
        ),
        global_options={**_QUIET, **device_opening(encoder, device, path)},
        memory_bytes=_MEMORY_BYTES,
        device=device,
    )


def live_copy_command(
    container: str,
    *,
    encode_audio: bool = True,
    audio: bool = True,
    audio_bitrate: int | None = None,
    probing: int = PROBING,
) -> FfmpegCommand:
    """Copy the video; encode the audio, or copy that, too. ffmpeg fails, or waits, as in `live_command`."""
    encoded = _audio(audio_bitrate) if encode_audio else {"c:a": "copy"}
    return _without_encoder(container, _maps(audio=audio), {"c:v": "copy", **(encoded if audio else {})}, probing)


def live_radio_command(container: str, *, audio_bitrate: int | None = None) -> FfmpegCommand:
    """Encode the audio of a source that has nothing else."""
    return _without_encoder(container, ("0:a:0",), _audio(audio_bitrate), PROBING_AGAIN)


def _maps(*, audio: bool) -> tuple[str, ...]:
    return ("0:v:0", "0:a:0?") if audio else ("0:v:0",)


def _without_encoder(container: str, maps: tuple[str, ...], options: Options, probing: int) -> FfmpegCommand:
    output = Output(target=LIVE_TARGET, maps=maps, options={**options, **_TRANSPORT_STREAM})
    return FfmpegCommand(inputs=(_source(container, probing),), outputs=(output,), global_options=_QUIET)


_QUIET = {
    **QUIET,
    "v": "level+verbose",
    "nostats": None,
    "dts_delta_threshold": str(_JUMP_SECONDS),
    "filter_threads": "2",
}
"""Warnings too: encoders say in one that a level is too low. Only at `verbose` is said where silence is inserted."""

_TRANSPORT_STREAM: Options = {
    "map_metadata": "-1",
    "max_interleave_delta": str(round(_INTERLEAVE_SECONDS * 1_000_000)),
    "max_muxing_queue_size": "1024",
    "output_ts_offset": "1",  # audio may come before the frame at 0, and nothing has a time below 0
    "muxdelay": "0",
    "muxpreload": "0",
    "pat_period": "0.2",
    "flush_packets": "1",
    "f": "mpegts",
}


def _source(container: str, probing: int) -> Input:
    """Open a pipe, and nothing else, with bounded probing."""
    return Input(
        path=LIVE_SOURCE,
        options={
            **demuxer_options(_DEMUXERS[container]),
            "protocol_whitelist": "pipe",
            "fflags": "+genpts+discardcorrupt",
            "probesize": str(_PROBE_BYTES * probing),
            "analyzeduration": str(round(_PROBE_SECONDS * probing * 1_000_000)),
            "threads": str(_DECODER_THREADS),
        },
    )


def _video(
    profile: LiveProfile,
    encoder: VideoEncoder,
    device: HardwareDevice | None,
    target: EncodeTarget,
    *,
    any_level: bool,
) -> Options:
    options = {**encoder_options(encoder, target, device, HardwarePath.UPLOAD), **encoder.low_delay}
    if any_level or encoder.hardware:  # those of devices find the lowest one that is enough
        options.pop("level:v", None)
    if encoder.ffmpeg_name == "libx265":
        options["forced-idr"] = "1"  # else its forced key frames are no points to begin at
        del options["tag:v"]  # which is that of MP4
    return {
        "vf": ",".join(["bwdif=mode=send_frame:deint=interlaced", *_scaling(profile), upload_filters(encoder)]),
        "fps_mode": "vfr",
        "enc_time_base:v": "1:90000",  # that of MPEG-TS: whole frames would be up to half of one off the audio
        "force_key_frames": "expr:gte(t,n_forced)",
        **options,
    }


def _scaling(profile: LiveProfile) -> tuple[str, str]:
    """Return filters to square pixels and even sides, and to the profile's size where frames are larger.

    The size is that of the shorter side, as in a ladder.
    """
    longest = LIVE_SIZES[profile].max_height
    factor = f"*min(1,{longest}/min(iw*sar,ih))" if longest else ""
    width, height = f"max(2,2*round(iw*sar{factor}/2))", f"max(2,2*round(ih{factor}/2))"
    return f"scale=w='{width}':h='{height}':flags=bicubic", "setsar=1"


def _audio(bitrate: int | None) -> Options:
    return {
        "c:a": AAC.ffmpeg_name,
        "b:a": str(bitrate or AUDIO_BITRATE),
        "af": (
            f"aresample={AAC.sample_rate}:async=1000:min_hard_comp={_AUDIO_STEP_SECONDS}"
            ",aformat=sample_fmts=fltp:channel_layouts=stereo"
        ),
    }
