"""The command that measures how loud an audio track is (EBU R 128), and its findings."""

import json
import re
from collections.abc import Sequence
from typing import Any

from transcoding.commands.command import PROTOCOLS, QUIET, FfmpegCommand, Input, Output
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import Loudness

NOTHING_TARGET = "nothing"
_OBJECT = re.compile(r"\{[^{}]{1,2000}\}")
_NUMBER = re.compile(r"-?\d{1,4}\.\d{1,4}", re.ASCII)


def loudness_command(facts: SourceFacts, path: str) -> FfmpegCommand:
    """Measure the audio track that players begin with. The end of stderr is read by `parse_loudness`."""
    opening: dict[str, str | None] = {"f": facts.demuxer, "protocol_whitelist": PROTOCOLS}
    return FfmpegCommand(
        inputs=(Input(path=path, options=opening),),
        filter_graph=f"[0:{facts.audio[0].index}]loudnorm=print_format=json[measured]",
        outputs=(Output(target=NOTHING_TARGET, maps=("[measured]",), options={"f": "null"}),),
        global_options={**QUIET, "v": "info", "nostats": None},
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


def _numbers(texts: Sequence[object]) -> list[float]:
    """Return the numbers, or nothing where one of them is none, such as "-inf"."""
    return [float(str(text)) for text in texts] if all(_NUMBER.fullmatch(str(text)) for text in texts) else []
