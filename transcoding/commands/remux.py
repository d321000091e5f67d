"""Commands that copy streams without encoding them, and the one that decodes a sample of our own output."""

from transcoding.commands.command import ANONYMOUS, PROTOCOLS, FfmpegCommand, Input, Output
from transcoding.planning.plan import EncodePlan

VIDEO_INPUT, AUDIO_INPUT, MP4_TARGET = "video", "audio", "mp4"
"""Names under which `mp4_command` reads its inputs, fed through pipes, and writes its output."""


def index_command(source: str, *, demuxer: str) -> FfmpegCommand:
    """Copy, not encode, a source without a reliable index into Matroska, which has one; target `indexed`.

    AVI gives packets without presentation times, which Matroska refuses: they are generated.
    """
    opening: dict[str, str | None] = {
        "fflags": "+genpts",
        "f": demuxer,
        "protocol_whitelist": PROTOCOLS,
        "copyts": None,
    }
    copy: dict[str, str | None] = {"c": "copy", "map_metadata": "-1", "map_chapters": "-1", "f": "matroska"}
    return FfmpegCommand(
        inputs=(Input(path=source, options=opening),),
        outputs=(Output(target="indexed", maps=("0:V:0", "0:a:0?"), options=copy),),
    )


def mp4_command(plan: EncodePlan) -> FfmpegCommand:
    """Copy, not encode, one video rendition and the audio into a progressive MP4 with its index in front.

    `copyts` and the exact time scales keep both edit lists, so that video and audio stay in step. Inputs are the init
    segment and all segments of each, in order, fed as `VIDEO_INPUT` and `AUDIO_INPUT`; the target is `MP4_TARGET`.
    """
    tracks = (VIDEO_INPUT, AUDIO_INPUT) if plan.audio else (VIDEO_INPUT,)
    opening: dict[str, str | None] = {"f": "mov", "protocol_whitelist": PROTOCOLS, "copyts": None}
    timescale = str(plan.grid.timescale)
    copy: dict[str, str | None] = {
        "c": "copy",
        **ANONYMOUS,
        "video_track_timescale": timescale,
        "movie_timescale": timescale,
        "movflags": "+faststart",
        "f": "mp4",
    }
    return FfmpegCommand(
        inputs=tuple(Input(path=track, options=opening) for track in tracks),
        outputs=(Output(target=MP4_TARGET, maps=("0:v:0", "1:a:0")[: len(tracks)], options=copy),),
    )


def decode_command(path: str) -> FfmpegCommand:
    """Decode a sample of our own output to nothing: its frame count and its silence prove that it plays."""
    return FfmpegCommand(
        inputs=(Input(path=path, options={"f": "mov", "protocol_whitelist": PROTOCOLS}),),
        outputs=(Output(target="nothing", maps=("0:v:0",), options={"f": "null"}),),
    )
