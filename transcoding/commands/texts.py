"""The command that takes the subtitles out of a file."""

from collections.abc import Mapping
from types import MappingProxyType

from transcoding.commands.command import PROTOCOLS, FfmpegCommand, Input, Output

_COPIED = MappingProxyType({"ass": "ass", "ssa": "ass", "subrip": "srt", "srt": "srt", "webvtt": "webvtt"})
"""Muxers for codecs whose text is copied as it is. Others are converted to SubRip, which has ASS's times and styles."""


def texts_command(path: str, *, demuxer: str, streams: Mapping[int, str]) -> FfmpegCommand:
    """Write each of these streams, given with their codecs, as a file of text; targets are `text_target` of them.

    Times stay on the clock of the file.
    """
    opening: dict[str, str | None] = {"f": demuxer, "protocol_whitelist": PROTOCOLS, "copyts": None}
    return FfmpegCommand(
        inputs=(Input(path=path, options=opening),),
        outputs=tuple(
            Output(target=text_target(stream), maps=(f"0:{stream}",), options=_options(codec))
            for stream, codec in streams.items()
        ),
    )


def text_target(stream: int) -> str:
    """Return the name of the output of a stream."""
    return f"text-{stream}"


def _options(codec: str) -> dict[str, str | None]:
    return {
        "c": "copy" if codec in _COPIED else "subrip",
        "map_metadata": "-1",
        "avoid_negative_ts": "disabled",
        "f": _COPIED.get(codec, "srt"),
    }
