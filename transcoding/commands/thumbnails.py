"""Commands that make images of an encoded rendition, and the measures that they print.

Their input is our own output: the init segment and some segments of one rendition, fed through a pipe. So rotation,
cropping, pixel shape, fields and tone mapping are those of the rendition.
"""

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction

from transcoding.commands.color import tone_files, tone_mapping
from transcoding.commands.command import ANONYMOUS, PROTOCOLS, QUIET, FfmpegCommand, Input, Options, Output
from transcoding.encoders import decoding_memory
from transcoding.planning.plan import EncodePlan
from transcoding.planning.poster import FrameMeasure
from transcoding.planning.thumbnails import COLUMNS, PREVIEW_RATE, ROWS, Sampling
from transcoding.planning.tracks import VideoRendition
from transcoding.probing.streams import Resolution

RENDITION_INPUT = "rendition"
SPRITES, CANDIDATES, STILLS = "sprite", "candidate", "still"
"""Targets of JPEG files, which are numbered from 0: their paths have `%d` for the number."""
WEBP, GIF = "webp", "gif"
"""Formats of the animated preview, and its targets."""
WEBP_ENCODER = "libwebp_anim"

_MEASURED_WIDTH = 320
"""Width of the frames that are measured, so that measures do not depend on the rendition."""
_LAPLACIAN = "0 -1 0 -1 4 -1 0 -1 0"
_MEASURES = "measure"
_DETAIL = "detail"
_SCENES = "scene"
_SCORE = "lavfi.scd.score"
_CHANGES = (  # the filter itself prints what reaches its threshold, as each version of ffmpeg likes
    f"scdet=threshold=100,metadata=mode=select:key={_SCORE}:value=10:function=greater"
    f",metadata@{_SCENES}=mode=print:key={_SCORE}"
)
"""Prints scene changes of a score of more than 10, of 100."""
_QUALITY = "4"
"""Of JPEG, 2 to 31, lower is better: at 320x180 some 12 kB."""
_WEBP_QUALITY = "60"
_KEYS = {
    "brightness": (_MEASURES, "signalstats.YAVG"),
    "low": (_MEASURES, "signalstats.YLOW"),
    "high": (_MEASURES, "signalstats.YHIGH"),
    "entropy": (_MEASURES, "entropy.normalized_entropy.normal.Y"),
    "change": (_MEASURES, "signalstats.YDIF"),
    "detail": (_DETAIL, "signalstats.YAVG"),
}
"""The filter and the key that print each field of `FrameMeasure`."""
_FEWER_COLORS = "format=rgb565le,format=bgra"
"""The palette is searched once for each color: so it takes a seventh of the time, and nobody sees it in 256 colors.

The scaler dithers them. Without another dithering, which would mix new colors, it takes half the time again.
"""
_PALETTE_FRAMES = 5
"""Every fifth frame of a preview is enough to choose the colors."""
_NO_OPTIONS: Options = {}
_LINE = re.compile(
    rf"\[metadata@(?P<name>{_MEASURES}|{_DETAIL}|{_SCENES}) @ \w+\] "
    r"(?:frame:(?P<frame>\d{1,9}) +pts:(?P<pts>-?\d{1,15}) .*"
    r"|lavfi\.(?P<key>[\w.]{1,60})=(?P<value>-?\d{1,9}(?:\.\d{1,12})?(?:e-?\d+)?))\s*",
    re.ASCII,
)


def analysis_command(
    plan: EncodePlan,
    rung: VideoRendition,
    sampling: Sampling,
    *,
    cell: Resolution,
    thumbnail: Resolution,
) -> FfmpegCommand:
    """Decode the sampled frames once: sprite sheets, an image of each candidate, measures, and scene changes.

    stderr is read by `Analysis`.
    """
    graph = (
        f"[0:v:0]{_decoded(plan, rung, keys=not sampling.whole)}split=3[all][sampled][found];"
        f"[all]{_CHANGES},nullsink;"
        f"[sampled]{_every(sampling.decoded_per_cell)}{_scaled(cell)},tile={COLUMNS}x{ROWS}[{SPRITES}];"
        f"[found]{_every(sampling.decoded_per_candidate)}split=2[shown][measured];"
        f"[shown]{_scaled(thumbnail)}[{CANDIDATES}];"
        f"[measured]{_measuring(rung)}"
    )
    return FfmpegCommand(
        inputs=(_input(keys=not sampling.whole),),
        filter_graph=graph,
        outputs=(_jpegs(SPRITES), _jpegs(CANDIDATES)),
        global_options={**QUIET, "v": "info", "nostats": None},
        memory_bytes=decoding_memory(rung),
        files=_files(plan, rung),
    )


def _measuring(rung: VideoRendition) -> str:
    """Return the filters that print the measures of frames, and drop them."""
    size = f"{min(_MEASURED_WIDTH, rung.width)}:-2"
    return (
        f"scale={size}:flags=area,split=2[levels][edges];"
        f"[levels]signalstats,entropy,metadata@{_MEASURES}=mode=print,nullsink;"
        f"[edges]format=gray,convolution='{_LAPLACIAN}':0rdiv=1,signalstats,metadata@{_DETAIL}=mode=print,nullsink"
    )


def _every(frames: int) -> str:
    """Return the filter that passes on every n-th decoded frame."""
    return rf"select='not(mod(n,{frames}))'," if frames > 1 else ""


def stills_command(plan: EncodePlan, rung: VideoRendition, *, frames: Sequence[int], size: Resolution) -> FfmpegCommand:
    """Write these frames of the video as images, in their order. The input has at least the GOPs with them."""
    ticks = "+".join(f"eq(pts,{frame * plan.grid.frame_ticks})" for frame in frames)
    return FfmpegCommand(
        inputs=(_input(keys=not any(frame % plan.grid.gop_frames for frame in frames)),),
        filter_graph=f"[0:v:0]select='{ticks}',{_decoded(plan, rung)}{_scaled(size)}[{STILLS}]",
        outputs=(_jpegs(STILLS, {"frames:v": str(len(frames))}),),  # and ffmpeg ends: what follows is not decoded
        memory_bytes=decoding_memory(rung),
        files=_files(plan, rung),
    )


def preview_command(
    plan: EncodePlan,
    rung: VideoRendition,
    *,
    frames: tuple[int, int],
    size: Resolution,
    formats: Sequence[str],
) -> FfmpegCommand:
    """Write an animated preview of the frames from the first number up to before the second one."""
    first, end = (frame * plan.grid.frame_ticks for frame in frames)
    rate = min(plan.grid.rate, Fraction(PREVIEW_RATE))
    count = max(1, round((frames[1] - frames[0]) / plan.grid.rate * rate))  # the filter may add one at the end
    copies = "".join(f"[of-{form}]" for form in formats)
    branches = {
        WEBP: f"[of-{WEBP}]format=yuv420p[{WEBP}]",
        GIF: f"[of-{GIF}]{_FEWER_COLORS},split=2[colors][drawn];[colors]{_every(_PALETTE_FRAMES)}palettegen[palette];"
        f"[drawn][palette]paletteuse=dither=none:diff_mode=rectangle[{GIF}]",
    }
    options: dict[str, Options] = {
        WEBP: {"c:v": WEBP_ENCODER, "quality": _WEBP_QUALITY, "compression_level": "0", "loop": "0", "f": "webp"},
        GIF: {"c:v": "gif", "loop": "0", "f": "gif"},
    }
    graph = (
        f"[0:v:0]select='between(pts,{first},{end - 1})',setpts=PTS-STARTPTS,fps={rate},trim=end_frame={count},"
        f"{_decoded(plan, rung)}{_scaled(size)},split={len(formats)}{copies};"
        + ";".join(branches[form] for form in formats)
    )
    return FfmpegCommand(
        inputs=(_input(),),
        filter_graph=graph,
        outputs=tuple(
            Output(target=form, maps=(f"[{form}]",), options={**ANONYMOUS, **options[form]}) for form in formats
        ),
        memory_bytes=decoding_memory(rung),
        files=_files(plan, rung),
    )


def _input(*, keys: bool = False) -> Input:
    """Return the input; `keys`: of which key frames alone are decoded."""
    opening: dict[str, str | None] = {"f": "mov", "protocol_whitelist": PROTOCOLS, "copyts": None, "threads": "1"}
    return Input(path=RENDITION_INPUT, options={**opening, **({"skip_frame": "nokey"} if keys else {})})


def _decoded(plan: EncodePlan, rung: VideoRendition, *, keys: bool = False) -> str:
    """Return the filters that come first: key frames only, and the colors of standard range."""
    chosen = ["select='key'"] if keys else []
    mapped = tone_mapping(plan) if rung.hdr else []
    return "".join(f"{each}," for each in (*chosen, *mapped))


def _files(plan: EncodePlan, rung: VideoRendition) -> dict[str, str]:
    return tone_files(plan) if rung.hdr else {}


def _scaled(size: Resolution) -> str:
    """Return the filter to the size of an image, with the full range of levels that JPEG has."""
    return f"scale={size.width}:{size.height}:flags=area"


def _jpegs(target: str, more: Options = _NO_OPTIONS) -> Output:
    options: Options = {
        **ANONYMOUS,
        "c:v": "mjpeg",
        "pix_fmt": "yuvj420p",
        "q:v": _QUALITY,
        "fps_mode": "passthrough",
        "start_number": "0",
        "f": "image2",
        **more,
    }
    return Output(target=target, maps=(f"[{target}]",), options=options)


class Analysis:
    """Reader of an analysis: the measures of candidates, and scene changes with their scores, in order."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, int, str], float] = {}
        self._current = dict.fromkeys((_MEASURES, _DETAIL, _SCENES), (-1, 0))
        self.scenes: list[tuple[int, float]] = []
        """Times in ticks of the rendition, and scores from 0 to 1."""

    def take(self, line: str) -> None:
        """Read one line of stderr."""
        found = _LINE.fullmatch(line)
        if found is None:
            return
        name = found["name"]
        if found["frame"] is not None:
            self._current[name] = (int(found["frame"]), int(found["pts"]))
            return
        frame, ticks = self._current[name]
        if name == _SCENES:
            self.scenes.append((ticks, float(found["value"]) / 100))
        else:
            self._values[name, frame, found["key"]] = float(found["value"])

    def measures(self, frames: Iterable[int]) -> list[FrameMeasure]:
        """Return the measures of the candidates, given their numbers in the video; of those that were printed."""
        found = []
        for number, frame in enumerate(frames):
            values = {
                field: self._values[name, number, key]
                for field, (name, key) in _KEYS.items()
                if (name, number, key) in self._values
            }
            if len(values) < len(_KEYS):
                break
            found.append(FrameMeasure(frame=frame, **values))
        return found
