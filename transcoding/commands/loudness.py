"""The commands that measure how loud audio is (EBU R 128), and their findings."""

import json
import re
from collections.abc import Sequence
from typing import Any

from transcoding.commands.audio import audio_filters, audio_seek_time
from transcoding.commands.command import (
    PROTOCOLS,
    QUIET,
    FfmpegCommand,
    Input,
    Options,
    Output,
    seeking,
    source_input,
)
from transcoding.loudness import Correction
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import Loudness

NOTHING_TARGET = "nothing"
_MEASURING: Options = {**QUIET, "v": "info", "nostats": None}
_NO_LOG = "-8"
"""`AV_LOG_QUIET`, which has no name in the filter of version 5.1."""
_SUMMARY = tuple(re.compile(rf"\b{name}:\s{{1,40}}(-?\d{{1,3}}\.\d) ", re.ASCII) for name in ("I", "LRA", "Peak"))
_OBJECT = re.compile(r"\{[^{}]{1,2000}\}")
_NUMBER = re.compile(r"-?\d{1,4}\.\d{1,4}", re.ASCII)


def loudness_command(facts: SourceFacts, path: str, *, max_streams: int) -> FfmpegCommand:
    """Measure the audio track that players begin with. The end of stderr is read by `parse_loudness`."""
    opening: dict[str, str | None] = {
        "f": facts.demuxer,
        "protocol_whitelist": PROTOCOLS,
        "max_streams": str(max_streams),
    }
    return FfmpegCommand(
        inputs=(Input(path=path, options=opening),),
        filter_graph=f"[0:{facts.audio[0].index}]loudnorm=print_format=json[measured]",
        outputs=(Output(target=NOTHING_TARGET, maps=("[measured]",), options={"f": "null"}),),
        global_options=_MEASURING,
    )


def rendition_loudness_command(
    plan: EncodePlan, track: AudioRendition, source: str, correction: Correction
) -> FfmpegCommand:
    """Measure what would be encoded of a track with this correction, but for the codec.

    The end of stderr is read by `parse_summary`. `ebur128` takes an eighth of the time of `loudnorm`.
    """
    graph = (
        f"{audio_filters(plan, track, plan.grid.duration, correction)},ebur128=peak=true:framelog={_NO_LOG}[measured]"
    )
    return FfmpegCommand(
        inputs=(source_input(plan, source, seeking(audio_seek_time(plan))),),
        filter_graph=graph,
        outputs=(Output(target=NOTHING_TARGET, maps=("[measured]",), options={"f": "null"}),),
        global_options=_MEASURING,
    )


def parse_loudness(stderr: str) -> Loudness | None:
    """Read the JSON of ffmpeg's `loudnorm`. None: there is none, or it is silent."""
    for text in reversed(_OBJECT.findall(stderr)):
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:
            continue
        numbers = _numbers([found.get(name) for name in ("input_i", "input_lra", "input_tp")])
        if numbers:
            return Loudness(integrated=numbers[0], range=numbers[1], true_peak=numbers[2])
    return None


def parse_summary(stderr: str) -> Loudness | None:
    """Read the summary of ffmpeg's `ebur128`. None: there is none, or not even noise."""
    summary = stderr.rpartition("Summary:")[2]
    integrated, span, peak = (pattern.search(summary) for pattern in _SUMMARY)
    if not (integrated and span and peak):
        return None
    return Loudness(integrated=float(integrated[1]), range=float(span[1]), true_peak=float(peak[1]))


def _numbers(texts: Sequence[object]) -> list[float]:
    """Return the numbers, or nothing where one of them is none, such as "-inf"."""
    return [float(str(text)) for text in texts] if all(_NUMBER.fullmatch(str(text)) for text in texts) else []
