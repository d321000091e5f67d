"""The command that gives an audio track one sample rate and one layout, where the source has several."""

from dataclasses import replace

from transcoding.commands.audio import audio_seek_time
from transcoding.commands.command import FfmpegCommand, Output, on_own_clock, seeking, source_input
from transcoding.commands.downmix import mix_filters
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition, Mix

STEADY_TARGET = "steady"
_CONTAINER = "matroska"


def steady_audio_command(plan: EncodePlan, track: AudioRendition, source: str) -> FfmpegCommand:
    """Decode a track into samples of the rendition's rate and layout, whose clock starts with the video.

    ffmpeg starts a new filter graph whenever rate or layout change. That is harmless here, as no filter counts from the
    beginning; those of `audio_command` do.
    """
    graph = ",".join(
        (
            f"[0:{track.stream}]" + on_own_clock("asetpts", plan.first),
            "atrim=start=0",
            f"aresample={track.encoder.sample_rate}",
            f"{mix_filters(track, 's16')}[{STEADY_TARGET}]",
        )
    )
    options = {"c:a": "pcm_s16le", "map_metadata": "-1", "map_chapters": "-1", "f": _CONTAINER}
    return FfmpegCommand(
        inputs=(source_input(plan, source, seeking(audio_seek_time(plan))),),
        filter_graph=graph,
        outputs=(Output(target=STEADY_TARGET, maps=(f"[{STEADY_TARGET}]",), options=options),),
    )


def of_steady_audio(plan: EncodePlan, track: AudioRendition) -> tuple[EncodePlan, AudioRendition]:
    """Return the plan and the track for `audio_command` on what `steady_audio_command` wrote."""
    source = replace(plan.source, demuxer=_CONTAINER, first=plan.source.first - plan.first)
    return replace(plan, source=source), replace(track, stream=0, mix=Mix.NONE)
