"""Files whose frames or audio change in the middle: calls, broadcasts and joined recordings.

The outputs have one size: its shape is the one that is shown the longest, and its size the largest of that shape.
"""

import struct
from pathlib import Path

from tests.inputs.case import Case, Maker, Plays, Probe, Tone
from tests.inputs.geometry import interlaced, levels
from tests.inputs.making import AAC, H264, card, joined, run

TITLE = "Changes in mid-stream"

_TS = "-g 25 -muxdelay 0 -muxpreload 0"
_BLACK, _RED, _GREY = (0, 0, 0), (255, 0, 0), (128, 128, 128)
_FIELDS = "-c:v libx264 -preset ultrafast -qp 10 -flags +ildct+ilme -x264-params tff=1"
_VP8 = "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -g 25 -an"
_TONE = "aeval=0.2*sin(2*PI*440*t)"
_SD = "setparams=color_primaries=smpte170m:color_trc=smpte170m:colorspace=smpte170m:range=tv"
_HD = f"{_SD},scale=out_color_matrix=bt709,setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
_IVF_HEAD, _IVF_FRAME = 32, "<IQ"


def _then(options: str, seconds: float) -> str:
    """Options for a part of a transport stream that begins so many seconds after the first one."""
    return f"{options} {_TS} -output_ts_offset {10 + seconds}"


def _call(*parts: Maker) -> Maker:
    """Join calls of a second each, as a browser records them: VP8 in WebM, whose header names the first size."""

    def maker(folder: Path) -> Path:
        data, start = bytearray(), 0
        for number, part in enumerate(parts):
            (folder / str(number)).mkdir()
            read = part(folder / str(number)).read_bytes()
            data += read[: 0 if data else _IVF_HEAD]
            at, frames = _IVF_HEAD, 0
            while at < len(read):
                size, _ = struct.unpack_from(_IVF_FRAME, read, at)
                at += struct.calcsize(_IVF_FRAME)
                data += struct.pack(_IVF_FRAME, size, start + frames) + read[at : at + size]
                at, frames = at + size, frames + 1
            start += frames
        (folder / "call.ivf").write_bytes(data)
        run(["-i", "call.ivf", "-c", "copy", "call.webm"], folder=folder)
        return folder / "call.webm"

    return maker


def _bars(at: float, left: float, right: float) -> tuple[Probe, ...]:
    """Look for the card between `left` and `right`, shares of the width, and for black beside it."""
    width = right - left
    return (
        Probe(rgb=_BLACK, at=at, x=left / 2),
        Probe(rgb=_BLACK, at=at, x=(1 + right) / 2),
        Probe(rgb=_RED, at=at, x=left + width / 8, y=0.75),
        Probe(rgb=_GREY, at=at, x=left + width * 7 / 8, y=0.75),
    )


CASES: tuple[Case, ...] = (
    Case(
        key="becomes-portrait",
        what="A transport stream of two seconds of 160x90 and one of 90x160.",
        make=joined(
            card("ts", _then(f"{H264} {AAC}", 0), frames=50),
            card("ts", _then(f"{H264} {AAC}", 2), size=(90, 160), first=50),
            extension="ts",
        ),
        outcome=Plays(
            frames=75,
            card=None,
            beeps=(0.5, 1.5, 2.5),
            beeps_within=0.03,
            probes=(Probe(rgb=_RED, at=0.5, x=0.125, y=0.75), *_bars(2.5, 54 / 160, 104 / 160)),
            warnings=("format_changes",),
        ),
        why="What is portrait stands between bars, and is not squeezed.",
    ),
    Case(
        key="becomes-landscape",
        what="A transport stream of one second of 90x160 and two of 160x90.",
        make=joined(
            card("ts", _then(f"{H264} {AAC}", 0), size=(90, 160)),
            card("ts", _then(f"{H264} {AAC}", 1), frames=50, first=25),
            extension="ts",
        ),
        outcome=Plays(
            frames=75,
            card=None,
            beeps=(0.5, 1.5, 2.5),
            beeps_within=0.03,
            probes=(*_bars(0.5, 54 / 160, 104 / 160), Probe(rgb=_RED, at=2.5, x=0.125, y=0.75)),
            warnings=("format_changes",),
        ),
        why="The shape that is shown the longest counts, not the first one.",
    ),
    Case(
        key="call-grows",
        what="A call in WebM that begins with 80x44 pixels and goes on with 160x88.",
        make=_call(card("ivf", _VP8, size=(80, 44)), card("ivf", _VP8, size=(160, 88), first=25)),
        outcome=Plays(frames=50, size=(160, 88), audio=0, warnings=("format_changes", "no_audio")),
        why="The largest size of the usual shape counts: nothing of the better part is thrown away.",
    ),
    Case(
        key="call-turns",
        what="A call in WebM from a phone that is turned: 96x160 pixels, then 160x96 for twice as long.",
        make=_call(card("ivf", _VP8, size=(96, 160)), card("ivf", _VP8, size=(160, 96), frames=50)),
        outcome=Plays(
            frames=75,
            size=(160, 96),
            card=None,
            audio=0,
            probes=(*_bars(0.5, 50 / 160, 108 / 160), Probe(rgb=_RED, at=2.5, x=0.125, y=0.75)),
            warnings=("format_changes", "no_audio"),
        ),
        why="As above.",
    ),
    Case(
        key="aspect-changes",
        what="A broadcast of 4:3 that becomes 16:9, in frames of one size.",
        make=joined(
            card("ts", _then(f"{H264} {AAC}", 0), size=(120, 90)),
            card("ts", _then(f"{H264} {AAC}", 1), size=(120, 90), frames=50, first=25, video="setsar=4/3"),
            extension="ts",
        ),
        outcome=Plays(
            frames=75,
            card=None,
            beeps=(0.5, 1.5, 2.5),
            beeps_within=0.03,
            probes=(*_bars(0.5, 20 / 160, 140 / 160), Probe(rgb=_RED, at=2.5, x=0.125, y=0.75)),
            warnings=("anamorphic", "format_changes"),
        ),
        why="The shape of pixels counts as well as their number.",
    ),
    Case(
        key="format-changes",
        what="Frames of 4:2:0 that become frames of 4:2:2.",
        make=joined(
            card("ts", _then(f"{H264} {AAC}", 0)),
            card("ts", _then(f"-c:v libx264 -preset ultrafast -pix_fmt yuv422p {AAC}", 1), first=25),
            extension="ts",
        ),
        outcome=Plays(frames=50, beeps=(0.5, 1.5), beeps_within=0.03, warnings=("format_changes",)),
        why="Nobody sees it.",
    ),
    Case(
        key="color-changes",
        what="A broadcast of BT.601 for one second, then of BT.709 for two.",
        make=joined(
            card("ts", _then(f"{H264} {AAC}", 0), video=_SD),
            card("ts", _then(f"{H264} {AAC}", 1), first=25, frames=50, video=_HD),
            extension="ts",
        ),
        outcome=Plays(
            frames=75,
            colors=255,
            beeps=(0.5, 1.5, 2.5),
            beeps_within=0.03,
            color="bt709/bt709/bt709/tv",
            probes=(Probe(rgb=_RED, at=2.5, x=0.125, y=0.75),),
            warnings=("format_changes",),
        ),
        why="The outputs have one color space, that of most frames; a warning says that others may look different.",
    ),
    Case(
        key="interlaced-changes-size",
        what="A broadcast of 50 fields per second whose frames become larger, at field rate.",
        make=joined(
            interlaced("ts", _then(_FIELDS, 0), "tff", frames=24, size="80x48"),
            interlaced("ts", _then(_FIELDS, 0.48), "tff", frames=26, more=",lutyuv=y=val+96"),
            extension="ts",
        ),
        request={"deinterlace": "field"},
        outcome=Plays(
            frames=50,
            rate="50",
            size=(160, 96),
            card=None,
            audio=0,
            probes=levels(50, 50),
            warnings=("format_changes", "interlaced", "no_audio"),
        ),
        why="Fields are scaled apart, then put together.",
    ),
    Case(
        key="interlaced-ends-in-portrait",
        what="A broadcast of interlaced frames that ends in a fifth of a second of portrait ones.",
        make=joined(
            interlaced("ts", _then(_FIELDS, 0), "tff"),
            card("ts", _then(f"{H264} -an", 1), frames=5, size=(64, 128), video="negate,lutrgb=r=255:g=255:b=255"),
            extension="ts",
        ),
        outcome=Plays(
            frames=30,
            size=(160, 96),
            card=None,
            audio=0,
            probes=(
                Probe(rgb=_BLACK, at=1.1, x=0.3),
                Probe(rgb=(255, 255, 255), at=1.1, x=0.4),
                Probe(rgb=(255, 255, 255), at=1.1, x=0.6),
                Probe(rgb=_BLACK, at=1.1, x=0.7),
            ),
            warnings=("interlaced", "no_audio"),
        ),
        why="So short a change is not warned of, but not squeezed either.",
    ),
    Case(
        key="surround-becomes-stereo",
        what="A broadcast whose audio is 5.1 and then stereo.",
        make=joined(
            card("ts", _then(f"{H264} -c:a ac3 -ac 6", 0), audio=_TONE),
            card("ts", _then(f"{H264} -c:a ac3 -ac 2", 1), first=25, audio=_TONE),
            extension="ts",
        ),
        outcome=Plays(
            frames=50,
            tones=(
                Tone(start=0.1, end=0.9, hertz=440),
                Tone(start=0.9, end=0.99, hertz=440),
                Tone(start=1.03, end=1.12, hertz=440),
                Tone(start=1.1, end=1.9, hertz=440),
            ),
            warnings=("format_changes",),
        ),
        why="The outputs are stereo all the way, without a hole.",
    ),
    Case(
        key="audio-rate-changes",
        what="A broadcast whose audio has 48 kHz and then 32 kHz.",
        make=joined(
            card("ts", _then(f"{H264} -c:a mp2", 0)),
            card("ts", _then(f"{H264} -c:a mp2 -ar 32000", 1), first=25),
            extension="ts",
        ),
        outcome=Plays(frames=50, beeps=(0.5, 1.5), beeps_within=0.03),
        why="The outputs have one rate, and everything is in step.",
    ),
)
