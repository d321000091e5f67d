"""The command that looks at the fields of some frames."""

from fractions import Fraction

from transcoding.commands.command import PROTOCOLS, QUIET, FfmpegCommand, Input, Output, seeking
from transcoding.encoders import decoding_memory
from transcoding.probing.streams import VideoStream

NOTHING = "nothing"
_COLUMNS = 256
"""Columns that are looked at: all lines of them, as they are."""
_REPEATED = "idet,metadata@repeated=mode=print:key=lavfi.idet.repeated.current_frame"
_DIFFERENCE = (
    "setfield={order},separatefields,scale=iw:2*ih:flags=bilinear,crop=iw:ih-2:0:'{shift}':exact=1"
    ",tblend=all_mode=difference,signalstats"
    ",metadata@{name}=mode=print:key=lavfi.signalstats.YAVG"
)
"""Prints the difference of each field from the one before it, if the fields are in this order.

Fields are brought to the same lines first. A line of a field lies between two of the other one: compared with either of
them, a scene that moves up or down by two lines a frame is as like the next frame's field as its own.
"""
_DOUBLED = (
    "setfield=tff,separatefields,tblend=all_mode=difference,signalstats"
    ",metadata@lines=mode=print:key=lavfi.signalstats.YAVG"
)
"""Prints the same of fields as they are: there is none in a frame that shows each of its lines twice."""


def fields_command(
    source: str, video: VideoStream, *, demuxer: str, time: Fraction | None, frames: int
) -> FfmpegCommand:
    """Decode frames from the key frame at or before a time on, and write on stderr what `FieldReader` reads.

    `time` is in seconds on the clock of the file; None: from its beginning on.
    """
    opening: dict[str, str | None] = {
        "f": demuxer,
        "protocol_whitelist": PROTOCOLS,
        "copyts": None,
        "noautorotate": None,
        **seeking(time),
    }
    graph = (
        f"[0:{video.index}]format=yuv420p,scale={_COLUMNS}:ih:flags=neighbor,split=4[a][b][c][d];"
        f"[a]{_REPEATED},nullsink;"
        f"[b]{_DIFFERENCE.format(order='tff', name='top', shift='1-mod(n,2)')},nullsink;"
        f"[d]{_DOUBLED},nullsink;"
        f"[c]{_DIFFERENCE.format(order='bff', name='bottom', shift='mod(n,2)')}[looked]"
    )
    return FfmpegCommand(
        inputs=(Input(path=source, options=opening),),
        filter_graph=graph,
        outputs=(
            Output(
                target=NOTHING,
                maps=("[looked]",),
                options={"frames:v": str(2 * frames), "fps_mode": "passthrough", "f": "null"},
            ),
        ),
        global_options={**QUIET, "v": "info", "nostats": None},
        memory_bytes=decoding_memory(video.coded or video.display),
    )
