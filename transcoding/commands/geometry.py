"""Filters that give all frames of a source one size, shape and orientation.

ffmpeg's own rotation is switched off: it would come first, and neither deinterlacing nor frames of another size bear
that. Frames that change may come unannounced, so filters that cost nothing otherwise are always there.
"""

from transcoding.planning.encodings import Encoding
from transcoding.planning.fields import Deinterlacing
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import VideoRendition
from transcoding.probing.streams import Resolution, VideoStream

_TURNS = {90: ("transpose=clock",), 180: ("hflip", "vflip"), 270: ("transpose=cclock",)}
_FORGOTTEN = "sidedata=mode=delete:type=DISPLAYMATRIX"
"""Frames carry the matrix along; ffmpeg 9 would write it into the output."""
_HALF_TURN = 180
_ALIKE = 0.01
"""Share by which two shapes may differ without bars: sides are whole pixels."""
_OF_FIELDS, _OF_FRAMES = 4, 2
"""Lines of which the height of a frame is a multiple: two of each plane's, for each of its fields."""


def steady(plan: EncodePlan, encoding: Encoding) -> tuple[str, ...]:
    """Return filters behind which all frames are alike, for other filters that need that.

    Other frames are fitted into the usual one, with black bars. Frames of the usual size and shape pass untouched.
    Frames of odd sizes have no room for bars, and unannounced changes of those are stretched.
    """
    video = plan.source.video
    if video.coded is None or encoding.on_device:
        return ()
    return (*_cropped(video, video.coded), *_alike(plan, video, video.coded))


def _cropped(video: VideoStream, shown: Resolution) -> tuple[str, ...]:
    """Return filters that cut off what the container says, unless ffmpeg has done so: version 5.1 does not."""
    crop = video.crop
    if not crop:
        return ()
    sides = {"w": (shown.width, crop.left + crop.right), "h": (shown.height, crop.top + crop.bottom)}
    whole = ":".join(f"{name}='if(eq(i{name},{side}),i{name},{side + cut})'" for name, (side, cut) in sides.items())
    start = f"x='if(gt(iw,{shown.width}),{crop.left},0)':y='if(gt(ih,{shown.height}),{crop.top},0)'"
    return (f"scale={whole}:eval=frame:flags=bicubic", f"crop={shown.width}:{shown.height}:{start}:exact=1")


def _alike(plan: EncodePlan, video: VideoStream, coded: Resolution) -> tuple[str, ...]:
    interlaced = plan.deinterlacing is not Deinterlacing.NONE
    width, height, lines = coded.width, coded.height, _OF_FIELDS if interlaced else _OF_FRAMES
    by_fields = ":interl=-1" if interlaced else ""
    shape = float(coded.width * video.sample_aspect / coded.height)
    usual = _like(shape)
    if not video.changes:
        if not (interlaced or video.rotation or video.mirrored or (video.color and video.color.hdr)):
            return ()
        if width % 2 or height % 2:
            return (f"scale={width}:{height}:flags=bicubic{by_fields}",)
        usual = f"eq(iw,{width})*eq(ih,{height})+{usual}"
    width, height = width // 2 * 2, height // 2 * 2
    size = _fit(width, height, usual, shape, lines)
    aspect = f"setsar={video.sample_aspect.numerator}/{video.sample_aspect.denominator}"
    return (f"scale={size}:flags=bicubic{by_fields}", _bars(width, height, lines), aspect)


def upright(plan: EncodePlan, encoding: Encoding) -> tuple[str, ...]:
    """Return filters that mirror and turn frames as a player does."""
    video = plan.source.video
    if encoding.on_device or turned_on_opening(plan):
        return ()
    mirror = ("hflip",) if video.mirrored else ()
    return (*mirror, *_TURNS.get(video.rotation, ()), _FORGOTTEN)


def turned_on_opening(plan: EncodePlan) -> bool:
    """Tell whether ffmpeg turns frames by itself: version 0.1 had it do so, and did not know which it mirrors."""
    return plan.source.video.mirrored is None


def fitted(plan: EncodePlan, encoding: Encoding, rendition: VideoRendition) -> tuple[str, ...]:
    """Return the size for the scaler, and filters behind it that make frames of another shape as large as the others.

    Every frame of the announced size becomes a frame of the rendition's.
    """
    video, width, height = plan.source.video, rendition.width, rendition.height
    if video.coded is None or encoding.on_device:
        return (f"{width}:{height}",)
    turned = video.rotation % _HALF_TURN != 0
    columns, rows = (video.coded.height, video.coded.width) if turned else (video.coded.width, video.coded.height)
    shape = video.display.width / video.display.height
    size = _fit(width, height, f"eq(iw,{columns})*eq(ih,{rows})+{_like(shape)}", shape, _OF_FRAMES)
    return (size, _bars(width, height, _OF_FRAMES))


def _fit(width: int, height: int, usual: str, shape: float, lines: int) -> str:
    """Return the scaler's size: all of a frame for those that are as `usual`, else as much as the shape fills."""
    wide = f"if({usual},{width},max(2,min({width},2*round({width}*min(1,dar/{shape:.6f})/2))))"
    high = f"if({usual},{height},max(2,min({height},{lines}*round({height}*min(1,{shape:.6f}/dar)/{lines}))))"
    return f"w='{wide}':h='{high}':eval=frame"


def _like(shape: float) -> str:
    return f"lt(abs(dar/{shape:.6f}-1),{_ALIKE})"


def _bars(width: int, height: int, lines: int) -> str:
    return f"pad={width}:{height}:x='2*trunc((ow-iw)/4)':y='{lines}*trunc((oh-ih)/{2 * lines})':eval=frame"
