"""The command that encodes the audio track."""

from fractions import Fraction

from transcoding.commands.command import (
    ANONYMOUS,
    FfmpegCommand,
    Output,
    fragment_options,
    on_own_clock,
    seconds_text,
    source_input,
)
from transcoding.encoders import AAC
from transcoding.planning.plan import AUDIO, EncodePlan

AUDIO_RATE = 48_000
"""Samples per second of every sound rendition, and its time scale."""


def sound_needed_until(plan: EncodePlan, segments: int) -> Fraction:
    """Up to which time an audio command for the first so many segments reads sound, in seconds on the source's clock.

    A segment beyond the one that is encoded along: more than ffmpeg's queues hold.
    """
    return plan.source.first + plan.grid.start(segments + 2)


def audio_command(plan: EncodePlan, source: str, *, segments: int | None = None) -> FfmpegCommand:
    """Encode the sound track, in step with the video grid and exactly as long; one fragment per AAC frame.

    The assembler joins the frames to segments at the video's boundaries. Of a command for the first `segments`, these
    are the same as of a command for all; what it gives beyond them is not. Raises ValueError when there is no sound.
    """
    if plan.audio is None or plan.source.audio is None:
        raise ValueError("the source has no sound")
    length = seconds_text(plan.grid.duration if segments is None else plan.grid.start(segments + 1))
    graph = ",".join(
        (
            f"[0:{plan.source.audio.index}]" + on_own_clock("asetpts", plan.source.first),
            f"atrim=end={length}",  # a gap up to sound behind the video's end would be filled first, at any length
            f"aresample={AUDIO_RATE}:async=1:first_pts=0",
            "aformat=sample_fmts=fltp:channel_layouts=stereo",
            f"apad=whole_dur={length}",
            f"atrim=end={length}[{AUDIO}]",
        )
    )
    options: dict[str, str | None] = {
        "c:a": AAC.ffmpeg_name,
        "b:a": str(plan.audio.bitrate),
        **ANONYMOUS,
        **fragment_options("frag_every_frame"),
        "f": "mp4",
    }
    return FfmpegCommand(
        inputs=(source_input(plan, source),),
        filter_graph=graph,
        outputs=(Output(target=AUDIO, maps=(f"[{AUDIO}]",), options=options),),
    )
