"""Filters that draw a watermark on the frames of a rendition.

It is drawn at the size of the rendition, so that it is as sharp as that allows. A text goes through a file: it is
never part of the graph, and nothing in it is expanded. An image is decoded by itself, first: what is drawn then is
plain samples, whatever the file was.
"""

from collections.abc import Sequence

from transcoding.color import Transfer
from transcoding.commands.color import color_tags, from_rgb
from transcoding.commands.command import PROTOCOLS, FfmpegCommand, Input, Output
from transcoding.encoders import decoding_memory
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import VideoRendition
from transcoding.planning.watermarks import MarkImage, Position, Watermark
from transcoding.probing.images import ImageFormat

TEXT_NAME = "watermark.txt"
MARK_TARGET = "mark"
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
"""Of the Debian package fonts-dejavu-core."""
_WHITE = 255
_WHITES = {Transfer.PQ: 148, Transfer.HLG: 191}
"""Levels of 8 bits of white letters in high dynamic range: 203 cd/m2, which graphics have there (ITU-R BT.2408)."""
_SRGB = "setparams=range=pc:color_primaries=bt709:color_trc=iec61966-2-1:colorspace=gbr"
_HIGH = {
    Transfer.PQ: (_SRGB, "zscale=transfer=smpte2084:primaries=bt2020:matrix=bt2020nc:range=limited:npl=203"),
    Transfer.HLG: (_SRGB, "zscale=transfer=arib-std-b67:primaries=bt2020:matrix=bt2020nc:range=limited:npl=203"),
}
"""Filters from an image to high dynamic range, with white at the same level."""
_DEMUXERS = {ImageFormat.PNG: "png_pipe", ImageFormat.JPEG: "jpeg_pipe", ImageFormat.WEBP: "webp_pipe"}
_DECODERS = ("png", "mjpeg", "webp")
_RGBA_BYTES = 4
_OUTLINE = 16
"""Letters are so many times as large as their black outline, which keeps them legible on white."""
_ACROSS = {
    "{margin}": (Position.TOP_LEFT, Position.LEFT, Position.BOTTOM_LEFT),
    "({W}-{w})/2": (Position.TOP, Position.CENTER, Position.BOTTOM),
    "{W}-{w}-{margin}": (Position.TOP_RIGHT, Position.RIGHT, Position.BOTTOM_RIGHT),
}
_DOWN = {
    "{margin}": (Position.TOP_LEFT, Position.TOP, Position.TOP_RIGHT),
    "({H}-{h})/2": (Position.LEFT, Position.CENTER, Position.RIGHT),
    "{H}-{h}-{margin}": (Position.BOTTOM_LEFT, Position.BOTTOM, Position.BOTTOM_RIGHT),
}


def watermarked(plan: EncodePlan, rendition: VideoRendition, number: int) -> tuple[str, ...]:
    """Return the filter that draws the plan's watermark on frames of this rendition, if it has one.

    That of an image ends the chain and begins another one. `number` is that of `images`.
    """
    mark = plan.watermark
    if mark is None:
        return ()
    if mark.image:
        x, y = _corner(mark, rendition.height, frame=("W", "H"), mark_=("w", "h"))
        return (f"null[base{number}];[base{number}][mark{number}]{overlaid(rendition, x, y)}",)
    return (_text(mark, rendition),)


def _text(mark: Watermark, rendition: VideoRendition) -> str:
    size, level = mark.letters(rendition.height), white_level(rendition)
    x, y = _corner(mark, rendition.height, frame=("w", "h"), mark_=("text_w", "text_h"))
    options = {
        "fontfile": FONT,
        "textfile": TEXT_NAME,
        "expansion": "none",
        "fontsize": str(size),
        "fontcolor": f"0x{level:02x}{level:02x}{level:02x}@{mark.opacity:.3f}",
        "borderw": str(max(1, round(size / _OUTLINE))),
        "bordercolor": f"black@{mark.opacity:.3f}",
        "x": x,
        "y": y,
    }
    return "drawtext=" + ":".join(f"{name}={value}" for name, value in options.items())


def images(plan: EncodePlan, chosen: Sequence[VideoRendition]) -> list[str]:
    """Return the chains that make the image of each of these renditions of the second input: `mark0` and so on."""
    mark = plan.watermark
    if mark is None or mark.image is None:
        return []
    copies = "".join(f"[copy{number}]" for number, _ in enumerate(chosen))
    chains = [f"[1:v]format=rgba,colorchannelmixer=aa={mark.opacity:.3f},split={len(chosen)}{copies}"]
    for number, rendition in enumerate(chosen):
        width, height = mark.size(mark.image, rendition.width, rendition.height)
        chains.append(f"[copy{number}]{to_draw(plan, rendition, width, height)}[mark{number}]")
    return chains


def to_draw(plan: EncodePlan, rendition: VideoRendition, width: int, height: int) -> str:
    """Return filters that scale RGBA, and give it the colors of a rendition; `overlaid` draws the result."""
    scale = f"scale={width}:{height}:flags=bicubic"
    color = plan.color_of(rendition)
    tags = color_tags(color)
    if rendition.hdr:
        return ",".join((f"{scale},format=gbrap", *_HIGH[rendition.hdr.transfer], "format=yuva420p10le", *tags))
    return ",".join((f"{scale}{from_rgb(color)}", "format=yuva420p", *tags))


def overlaid(rendition: VideoRendition, x: str = "0", y: str = "0") -> str:
    return f"overlay=x={x}:y={y}:format={'yuv420p10' if rendition.hdr else 'yuv420'}"


def image_input(plan: EncodePlan, path: str) -> tuple[Input, ...]:
    """Return the input that `images` reads: what `image_command` wrote."""
    image = plan.watermark.image if plan.watermark else None
    if image is None:
        return ()
    options = {"f": "rawvideo", "pixel_format": "rgba", "video_size": f"{image.width}x{image.height}"}
    return (Input(path=path, options={**options, "protocol_whitelist": PROTOCOLS}),)


def image_command(image: MarkImage, path: str) -> FfmpegCommand:
    """Decode an image into samples, red, green, blue and alpha of 8 bits each; target `MARK_TARGET`."""
    opening = {
        "f": _DEMUXERS[image.format],
        "protocol_whitelist": PROTOCOLS,
        "codec_whitelist": ",".join(_DECODERS),
    }
    return FfmpegCommand(
        inputs=(Input(path=path, options=opening),),
        outputs=(
            Output(
                target=MARK_TARGET,
                maps=("0:v:0",),
                options={"frames:v": "1", "pix_fmt": "rgba", "c:v": "rawvideo", "f": "rawvideo"},
            ),
        ),
        memory_bytes=decoding_memory(image),
    )


def image_bytes(image: MarkImage) -> int:
    """Return the size of what `image_command` writes."""
    return image.width * image.height * _RGBA_BYTES


def watermark_files(plan: EncodePlan) -> dict[str, str]:
    """Return the files that `watermarked` reads, by their names."""
    return {TEXT_NAME: plan.watermark.text} if plan.watermark and plan.watermark.text else {}


def white_level(rendition: VideoRendition) -> int:
    """Return the level of white letters on a rendition, of 255."""
    return _WHITES.get(rendition.hdr.transfer, _WHITE) if rendition.hdr else _WHITE


def _corner(mark: Watermark, height: int, *, frame: tuple[str, str], mark_: tuple[str, str]) -> tuple[str, str]:
    """Return the expressions of the left and the top edge of a mark.

    `frame` and `mark_` name width and height of the frame and of the mark in them.
    """
    names = {"W": frame[0], "H": frame[1], "w": mark_[0], "h": mark_[1], "margin": str(mark.distance(height))}
    across = next(each for each, positions in _ACROSS.items() if mark.position in positions)
    down = next(each for each, positions in _DOWN.items() if mark.position in positions)
    return across.format(**names), down.format(**names)
