"""The command that looks for transparency in the frames of an animated image.

Formats of pixels say only that there could be some: GIF is always decoded with it.
"""

from transcoding.commands.command import PROTOCOLS, FfmpegCommand, Input, Output
from transcoding.encoders import decoding_memory
from transcoding.probing.streams import VideoStream

TRANSPARENT = "transparent"
"""Target that gets a frame if one is transparent anywhere, or may be."""
_OPAQUE = 254.5
"""Alpha above which a pixel is opaque. It is no whole number: ffmpeg counts those that are equal as less."""
_MAX_PIXELS = 1 << 29
"""Pixels that are looked at, some seconds of work. The frames behind them count as transparent."""


def transparency_command(source: str, video: VideoStream, *, demuxer: str, max_streams: int) -> FfmpegCommand:
    """Decode frames from the beginning on, until one is not opaque everywhere: the run writes that one, or none."""
    options: dict[str, str | None] = {
        "f": demuxer,
        "protocol_whitelist": PROTOCOLS,
        "max_streams": str(max_streams),
        "noautorotate": None,
    }
    frames = max(1, _MAX_PIXELS // (video.coded or video.display).pixels)
    graph = (
        f"[0:{video.index}]format=rgba,extractplanes=a,scale=in_range=pc:out_range=pc,format=yuvj444p,"
        f"drawbox=color=black:t=fill:enable='gte(n,{frames})',signalstats,"
        f"metadata=mode=select:key=lavfi.signalstats.YMIN:value={_OPAQUE}:function=less[found]"
    )
    written: dict[str, str | None] = {"frames:v": "1", "fps_mode": "passthrough", "f": "null"}
    return FfmpegCommand(
        inputs=(Input(path=source, options=options),),
        filter_graph=graph,
        outputs=(Output(target=TRANSPARENT, maps=("[found]",), options=written),),
        memory_bytes=decoding_memory(video.coded or video.display),
    )
