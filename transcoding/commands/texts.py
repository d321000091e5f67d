"""The commands that take the subtitles and the captions out of a file."""

from collections.abc import Mapping
from types import MappingProxyType

from transcoding.commands.command import PROTOCOLS, FfmpegCommand, Input, Output, in_graph
from transcoding.encoders import decoding_memory
from transcoding.probing.decoders import WHITELIST
from transcoding.probing.facts import SourceFacts
from transcoding.probing.texts import CAPTIONS_CODEC

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


def captions_command(path: str, facts: SourceFacts) -> FfmpegCommand:
    """Write the captions within the video of a working copy as a file of ASS; the target is that of its stream there.

    ffmpeg finds them in decoded frames only, and hands them out only where it opens the file in a graph. Times stay on
    the clock of the file. The names in the graph are its own, but for that of the file.
    """
    allowed = in_graph(f"protocol_whitelist=file:codec_whitelist={WHITELIST}")
    opened = f"movie=filename={{}}:f={facts.demuxer}:si={facts.video.index}:dec_threads=1:format_opts={allowed}"
    stream = facts.video.index
    return FfmpegCommand(
        inputs=(Input(path=path, options={"copyts": None, "f": "lavfi"}, graph=f"{opened}[out0+subcc]"),),
        outputs=(Output(target=text_target(stream), maps=("0:s",), options=_options(CAPTIONS_CODEC)),),
        memory_bytes=decoding_memory(facts.video.coded or facts.video.display),
    )


def text_target(stream: int) -> str:
    """Return the name of the output of a stream."""
    return f"text-{stream}"


def _options(codec: str) -> dict[str, str | None]:
    converted = ("ass", "ass") if codec == CAPTIONS_CODEC else ("subrip", "srt")  # SubRip has no place on the screen
    encoder, muxer = ("copy", _COPIED[codec]) if codec in _COPIED else converted
    return {"c": encoder, "map_metadata": "-1", "avoid_negative_ts": "disabled", "f": muxer}
