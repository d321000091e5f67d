"""The command that encodes an audio track."""

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
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition
from transcoding.probing.warnings import SourceWarning

_JOIN_SECONDS = 0.01
LAYOUTS = {1: "mono", 2: "stereo"}


def audio_needed_until(plan: EncodePlan, segments: int) -> Fraction:
    """Return the time up to which a command for the first `segments` reads audio, in seconds on the source's clock.

    It is a segment beyond the additional one that the command encodes: more than ffmpeg's queues hold.
    """
    return plan.first + plan.grid.start(segments + 2)


def audio_command(
    plan: EncodePlan, track: AudioRendition, source: str, *, segments: int | None = None
) -> FfmpegCommand:
    """Encode an audio track, in step with the video grid and exactly as long; one fragment per AAC frame.

    The target is the track's name. The segmenter joins the frames to segments at the video's boundaries. The first
    `segments` of a limited command are the same as those of a command for all; anything beyond them is not.
    """
    length = seconds_text(plan.grid.duration if segments is None else plan.grid.start(segments + 1))
    graph = ",".join(
        (
            f"[0:{track.stream}]" + on_own_clock("asetpts", plan.first),
            f"atrim=end={length}",  # a gap up to audio behind the video's end would be filled first, at any length
            f"aresample={AAC.sample_rate}:async=1{_joins(plan)}:first_pts=0",
            f"aformat=sample_fmts=fltp:channel_layouts={LAYOUTS[track.channels]}",
            f"apad=whole_dur={length}",
            f"atrim=end={length}[{track.name}]",
        )
    )
    options: dict[str, str | None] = {
        "c:a": AAC.ffmpeg_name,
        "b:a": str(track.bitrate),
        **ANONYMOUS,
        **fragment_options("frag_every_frame"),
        "f": "mp4",
    }
    return FfmpegCommand(
        inputs=(source_input(plan, source),),
        filter_graph=graph,
        outputs=(Output(target=track.name, maps=(f"[{track.name}]",), options=options),),
    )


def _joins(plan: EncodePlan) -> str:
    """Return the option that keeps the audio of joined recordings in step: each has some audio more than video.

    A tenth of a second of that would be let pass.
    """
    joined = any(notice.code == SourceWarning.TIMESTAMPS_RESTART for notice in plan.source.warnings)
    return f":min_hard_comp={_JOIN_SECONDS}" if joined else ""
