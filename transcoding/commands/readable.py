"""Commands for sources that ffprobe gives up: it opens a decoder for every stream, and one is not accepted or broken.

ffmpeg opens none for what it only copies.
"""

from collections.abc import Sequence

from transcoding.commands.command import PROTOCOLS, FfmpegCommand, Input, Output, demuxer_options
from transcoding.commands.timestamps import WITH_POSITIONS

LISTING_TARGET, READABLE_TARGET, CLOCK_TARGET = "listing", "readable", "clock"
_NO_SUCH_STREAM = "matches no streams"
_NOT_OPENED = "Error opening input files"


def listing_command(source: str, *, demuxer: str, max_streams: int, stream: int | None = None) -> FfmpegCommand:
    """List all streams, or one: the header that the target gets is read by `transcoding.probing.listing`."""
    options: dict[str, str | None] = {"c": "copy", "copy_unknown": None, "t": "0", "f": "framecrc"}
    return FfmpegCommand(
        inputs=(Input(path=source, options=_opening(demuxer, max_streams)),),
        outputs=(Output(target=LISTING_TARGET, maps=("0" if stream is None else f"0:{stream}",), options=options),),
    )


def has_no_such_stream(stderr: str) -> bool:
    """Tell whether a run failed for a stream that is not there."""
    return _NO_SUCH_STREAM in stderr


def was_not_opened(stderr: str) -> bool:
    """Tell whether a run failed before any stream was looked for."""
    return _NOT_OPENED in stderr


def positions_command(source: str, *, demuxer: str, streams: Sequence[int], max_streams: int) -> FfmpegCommand:
    """List the packets of these streams with their times and their offsets in the file.

    The target gets what `transcoding.probing.clock_packets.parse_positions` reads.
    """
    opening = {**_opening(demuxer, max_streams), "fflags": "+genpts", "copyts": None}
    options: dict[str, str | None] = {"c": "copy", "bsf": WITH_POSITIONS, "f": "framecrc"}
    return FfmpegCommand(
        inputs=(Input(path=source, options=opening),),
        outputs=(Output(target=CLOCK_TARGET, maps=tuple(f"0:{stream}" for stream in streams), options=options),),
    )


def readable_command(
    source: str, *, demuxer: str, streams: Sequence[int], container: str, max_streams: int
) -> FfmpegCommand:
    """Copy, not encode, these streams with their clock, and nothing that is written about them but of each its own."""
    opening = {**_opening(demuxer, max_streams), "fflags": "+genpts", "copyts": None}
    described = {f"map_metadata:s:{number}": f"0:s:{stream}" for number, stream in enumerate(streams)}
    options = {"c": "copy", "map_metadata": "-1", **described, "map_chapters": "-1", "f": container}
    return FfmpegCommand(
        inputs=(Input(path=source, options=opening),),
        outputs=(Output(target=READABLE_TARGET, maps=tuple(f"0:{stream}" for stream in streams), options=options),),
    )


def _opening(demuxer: str, max_streams: int) -> dict[str, str | None]:
    return {**demuxer_options(demuxer), "protocol_whitelist": PROTOCOLS, "max_streams": str(max_streams)}
