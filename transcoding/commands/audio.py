"""The command that encodes an audio track."""

from fractions import Fraction

from transcoding.commands.command import (
    ANONYMOUS,
    FfmpegCommand,
    Output,
    fragment_options,
    on_own_clock,
    seconds_text,
    seeking,
    source_input,
)
from transcoding.commands.downmix import mix_filters
from transcoding.commands.leveling import leveling_filters
from transcoding.loudness import UNCHANGED, Correction
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition
from transcoding.probing.warnings import SourceWarning
from transcoding.sniffing.container import FROM_BEGINNING

_JOIN_SECONDS = 0.01
_SEEK_MARGIN = Fraction(10)
"""Seconds that are decoded before a part of a video begins.

In Matroska it is the video that is sought, and its audio may lie seconds away from it.
"""


def audio_needed_until(plan: EncodePlan, segments: int) -> Fraction:
    """Return the time up to which a command for the first `segments` reads audio, in seconds on the source's clock.

    It is a segment beyond the additional one that the command encodes: more than ffmpeg's queues hold.
    """
    return plan.first + plan.grid.start(segments) + 2 * plan.grid.segment_seconds


def audio_seek_time(plan: EncodePlan) -> Fraction | None:
    """Return the seek target of commands for the audio of a part of a video, in seconds on the source's clock.

    None: they read from the beginning on, as they do where there is no video, and times may be estimates.
    """
    time = plan.first - _SEEK_MARGIN
    if plan.cut is None or plan.audio_only or plan.source.demuxer in FROM_BEGINNING:
        return None
    return time if plan.cut.start > _SEEK_MARGIN and time > 0 else None


def audio_command(
    plan: EncodePlan,
    track: AudioRendition,
    source: str,
    *,
    segments: int | None = None,
    correction: Correction = UNCHANGED,
) -> FfmpegCommand:
    """Encode an audio track, in step with the video grid and exactly as long; one fragment per coded frame.

    The target is the track's name. The segmenter joins the frames to segments at the video's boundaries. The first
    `segments` of a limited command are the same as those of a command for all; anything beyond them is not.
    """
    length = plan.grid.duration if segments is None else plan.grid.start(segments + 1)
    graph = f"{audio_filters(plan, track, length, correction)}[{track.name}]"
    options: dict[str, str | None] = {
        "c:a": track.encoder.ffmpeg_name,
        "b:a": str(track.bitrate),
        **track.encoder.options,
        **ANONYMOUS,
        **fragment_options("frag_every_frame"),
        "f": "mp4",
    }
    return FfmpegCommand(
        inputs=(source_input(plan, source, seeking(audio_seek_time(plan))),),
        filter_graph=graph,
        outputs=(Output(target=track.name, maps=(f"[{track.name}]",), options=options),),
    )


def audio_filters(
    plan: EncodePlan, track: AudioRendition, length: Fraction, correction: Correction, *, number: int = 0
) -> str:
    """Return the filters from a track of the source to what is encoded of it, so many seconds.

    `number` is that of the command's input with the track.
    """
    seconds, sample_rate = seconds_text(length), track.encoder.sample_rate
    sounding = seconds_text(min(length, plan.cut.length)) if plan.cut else seconds
    return ",".join(
        (
            f"[{number}:{track.stream}]" + on_own_clock("asetpts", plan.first),
            f"atrim=end={sounding}",  # a gap up to audio behind the video's end would be filled first, at any length
            f"aresample={sample_rate}:async=1{_joins(plan)}:first_pts=0",
            mix_filters(track, "fltp"),
            *leveling_filters(correction, sample_rate=sample_rate),
            f"apad=whole_dur={seconds}",
            f"atrim=end={seconds}",
        )
    )


def _joins(plan: EncodePlan) -> str:
    """Return the option that keeps the audio of joined recordings in step: each has some audio more than video.

    A tenth of a second of that would be let pass.
    """
    joined = any(notice.code == SourceWarning.TIMESTAMPS_RESTART for notice in plan.source.warnings)
    return f":min_hard_comp={_JOIN_SECONDS}" if joined else ""
