"""Rotated, mirrored, interlaced, anamorphic, cropped and odd-sized videos; slow and fast ones."""

from tests.inputs.case import Area, Case, Maker, Plays, Probe
from tests.inputs.making import AAC, H264, card, ffmpeg, then
from tests.inputs.paff import paff

TITLE = "Geometry and frame rates"

_X264 = "-c:v libx264 -preset ultrafast"
_X264_FIELDS = f"{_X264} -qp 10 -flags +ildct+ilme"
_FIELDS = "-flags +ildct+ilme"
FILM, _NTSC_DOUBLE = "24000/1001", "60000/1001"


def _turned(degrees: int, drawn: str, *, flip: str = "") -> Maker:
    """A card that is drawn turned, and whose matrix has players turn it back."""
    turn = f"-display_rotation:v:0 {degrees} {flip}"
    return then(card("mp4", video=drawn), f"{turn} -i {{}} -c copy turned.mp4", source="turned.mp4")


_WAVE = (
    "pad=iw:4*ih,geq=lum='if(lt(Y,H/4),lum(X,Y),128+100*sin(2*PI*(X/40+Y/97-N/20)))'"
    ":cb='if(lt(Y,H/4),cb(X,Y),128)':cr='if(lt(Y,H/4),cr(X,Y),128)'"
)
"""A card above something that moves as things do."""
_TILT = _WAVE.replace("X/40+Y/97-N/20", "X/90+(Y+2*N)/13")
"""A card above something that moves two lines up from frame to frame: a camera that is tilted."""
_PIXELS = _WAVE.replace("X/40+Y/97-N/20", "floor(X/2)/31+(floor(Y/2)+N)/9")
"""A card above large pixels that move up by two lines from frame to frame."""
_STEP = 4
FILM_CARD, _CARD_SIZE, FILM_SIZE = Area(bottom=0.25), (160, 48), (160, 192)


def interlaced(
    extension: str, options: str, scan: str, *, rate: str = "50", frames: int = 50, size: str = "160x96", more: str = ""
) -> Maker:
    """Fields that become lighter from one to the next, by 4 of 8 bits, without audio."""
    fields = f"geq=lum='16+mod({_STEP}*N,200)':cb=128:cr=128{more},interlace=scan={scan}:lowpass=off"
    drawn = f'-f lavfi -i "color=black:size={size}:rate={rate},format=yuv420p,{fields}"'
    path = f"source.{extension}"
    return ffmpeg(f"{drawn} -frames:v {frames // 2} {options} -an {path}", source=path)


def levels(frames: int, rate: int, every: int = 1, *, first: int = 0) -> tuple[Probe, ...]:
    """The grey of each frame, if frame n is made of field n, or of every other one, from field `first` on."""
    greys = (round((_STEP * (first + every * number) % 200) * 255 / 219) for number in range(frames))
    return tuple(Probe(rgb=(grey,) * 3, at=(number + 0.5) / rate, within=2) for number, grey in enumerate(greys))


def film(frames: int) -> Maker:
    """Film that was spread over fields."""
    options = f"{H264} {_FIELDS} -x264-params tff=1 {AAC}"
    video = f"{_WAVE},telecine=first_field=top:pattern=23"
    return card("mp4", options, rate=FILM, frames=frames, size=_CARD_SIZE, video=video)


_AT_FIELD_RATE = Plays(
    frames=50,
    rate="50",
    size=(160, 96),
    card=None,
    audio=0,
    probes=levels(49, 50),
    warnings=("interlaced", "no_audio"),
)

CASES = (
    Case(
        key="rotated-90",
        what="Stored lying on its side, turned by players: a phone held upright.",
        make=_turned(-90, "transpose=cclock"),
        outcome=Plays(warnings=("rotated",), media={"rotation": 90, "width": 160, "height": 90}),
        why="The outputs are upright, and have no rotation that a player could miss.",
    ),
    Case(
        key="rotated-180",
        what="Stored upside down.",
        make=_turned(180, "hflip,vflip"),
        outcome=Plays(warnings=("rotated",), media={"rotation": 180}),
        why="A phone held the other way.",
    ),
    Case(
        key="rotated-270",
        what="Stored lying on its other side.",
        make=_turned(90, "transpose=clock"),
        outcome=Plays(warnings=("rotated",), media={"rotation": 270}),
        why="As above.",
    ),
    Case(
        key="mirrored",
        what="Stored mirrored, as front cameras do.",
        make=_turned(0, "hflip", flip="-display_hflip:v:0"),
        outcome=Plays(warnings=("rotated",)),
        why="The matrix mirrors it back, and so do the outputs.",
    ),
    Case(
        key="mirrored-and-rotated",
        what="Stored mirrored and lying on its side.",
        make=_turned(-90, "transpose=cclock,vflip", flip="-display_hflip:v:0"),
        outcome=Plays(warnings=("rotated",)),
        why="Both are undone, in the order of the matrix.",
    ),
    Case(
        key="rotated-45",
        what="A matrix that turns by 45 degrees.",
        make=_turned(45, "null"),
        outcome=Plays(),
        why="Browsers turn by quarters only. It is shown as it is stored.",
    ),
    Case(
        key="rotated-fragmented",
        what="Fragmented MP4 that is stored lying on its side.",
        make=then(
            card("mp4", f"{H264} -an", video="transpose=cclock"),
            "-display_rotation:v:0 -90 -i {} -c copy -movflags +frag_keyframe+empty_moov fragmented.mp4",
            source="fragmented.mp4",
        ),
        outcome=Plays(audio=0, warnings=("no_audio", "rotated")),
        why="The copy in Matroska may lose the matrix; what the file says counts.",
    ),
    Case(
        key="rotated-interlaced",
        what="Interlaced, and stored upside down.",
        make=then(
            card(
                "mp4",
                f"{H264} {_FIELDS} -x264-params tff=1 {AAC}",
                rate="50",
                frames=50,
                size=_CARD_SIZE,
                video=f"{_WAVE},hflip,vflip,interlace=scan=tff:lowpass=off",
            ),
            "-display_rotation:v:0 180 -i {} -c copy turned.mp4",
            source="turned.mp4",
        ),
        outcome=Plays(
            size=FILM_SIZE, card=FILM_CARD, numbers=range(0, 50, 2), beeps=(0.5,), warnings=("interlaced", "rotated")
        ),
        why="Fields are put together before the frame is turned.",
    ),
    Case(
        key="anamorphic",
        what="Pixels of 4:3.",
        make=card("mp4", size=(120, 90), video="setsar=4/3"),
        outcome=Plays(warnings=("anamorphic",)),
        why="The outputs have square pixels, and all lines of the source.",
    ),
    Case(
        key="anamorphic-pal",
        what="PAL for a screen of 16:9: 720x576 pixels of 64:45, interlaced.",
        make=interlaced(
            "mpg", f"-c:v mpeg2video -q:v 2 {_FIELDS} -f mpeg", "tff", frames=20, size="720x576", more=",setsar=64/45"
        ),
        outcome=Plays(
            frames=10,
            size=(1024, 576),
            card=None,
            audio=0,
            probes=levels(10, 25, every=2),
            rungs=("576p", "480p", "360p"),
            warnings=("anamorphic", "interlaced", "no_audio"),
        ),
        why="A rung of 576 lines keeps all of them.",
    ),
    Case(
        key="narrow-pixels",
        what="Pixels half as wide as high.",
        make=card("mp4", size=(160, 90), video="setsar=1/2"),
        outcome=Plays(size=(160, 180), warnings=("anamorphic",)),
        why="They become square by more lines: with half of the columns, half of the detail would be lost.",
    ),
    Case(
        key="absurd-pixels",
        what="Pixels a hundred times as wide as high.",
        make=card("mp4", size=(160, 90), video="setsar=100"),
        outcome=Plays(),
        why="Beyond 10:1 it is an error of the writer, and counts as square.",
    ),
    Case(
        key="odd-size",
        what="161x91 pixels.",
        make=card("mp4", f"{_X264} -pix_fmt yuv444p {AAC}", size=(161, 91)),
        outcome=Plays(),
        why="Encoders of 4:2:0 need even sides; it is smaller by less than a pixel.",
    ),
    Case(
        key="tiny",
        what="16x16 pixels.",
        make=card("mp4", f"{_X264} -qp 0 -pix_fmt yuv444p {AAC}", size=(16, 16)),
        outcome=Plays(size=(16, 16), card=None, beeps=(0.5,)),
        why="Nothing is enlarged.",
    ),
    Case(
        key="very-wide",
        what="A banner of 1600x16 pixels.",
        make=card("mp4", size=(1600, 16)),
        outcome=Plays(size=(1600, 16)),
        why="Its shape stays.",
    ),
    Case(
        key="very-high",
        what="A strip of 32x1200 pixels.",
        make=card("mp4", size=(32, 1200)),
        outcome=Plays(size=(32, 1200)),
        why="Its shape stays.",
    ),
    Case(
        key="between-rungs",
        what="1080x608, as phones and sites scale down.",
        make=card("mp4", size=(1080, 608), frames=5),
        outcome=Plays(frames=5, size=(1080, 608), beeps=(), rungs=("608p", "480p", "360p")),
        why="A size between two rungs gets a rung of its own.",
    ),
    Case(
        key="nearly-a-rung",
        what="640x362 pixels.",
        make=card("mp4", size=(640, 362), frames=5),
        outcome=Plays(frames=5, size=(640, 362), beeps=(), rungs=("362p",)),
        why="A rung that is nearly as large as the source takes its size.",
    ),
    Case(
        key="interlaced-top",
        what="50 fields per second, the top one first.",
        make=interlaced("mp4", f"{_X264_FIELDS} -x264-params tff=1", "tff"),
        outcome=Plays(
            size=(160, 96),
            card=None,
            audio=0,
            probes=levels(25, 25, every=2),
            warnings=("interlaced", "no_audio"),
        ),
        why="By default frames come at the frame rate, each at the time of its first field, without combs.",
    ),
    Case(
        key="interlaced-top-field-rate",
        what="The same.",
        make=interlaced("mp4", f"{_X264_FIELDS} -x264-params tff=1", "tff"),
        request={"deinterlace": "field"},
        outcome=_AT_FIELD_RATE,
        why="Every field becomes a frame, in its order, at its time.",
    ),
    Case(
        key="interlaced-bottom-field-rate",
        what="50 fields per second, the bottom one first.",
        make=interlaced("mp4", f"{_X264_FIELDS} -x264-params bff=1", "bff"),
        request={"deinterlace": "field"},
        outcome=_AT_FIELD_RATE,
        why="The order is that of the source.",
    ),
    Case(
        key="interlaced-ntsc-field-rate",
        what="59.94 fields per second, longer than two segments.",
        make=interlaced("mp4", f"{_X264_FIELDS} -x264-params tff=1", "tff", rate=_NTSC_DOUBLE, frames=600),
        request={"deinterlace": "field"},
        outcome=Plays(
            frames=600,
            rate=_NTSC_DOUBLE,
            size=(160, 96),
            card=None,
            audio=0,
            probes=tuple(
                Probe(rgb=probe.rgb, at=probe.at * 1.001, within=2)
                for number, probe in enumerate(levels(600, 60))
                if number % 50 not in (0, 49)
            ),
            warnings=("interlaced", "no_audio"),
        ),
        why="Chunks join at whole frames of the field rate, too.",
    ),
    Case(
        key="interlaced-unmarked",
        what="Interlaced, but marked progressive; the bottom field comes first.",
        make=interlaced("mp4", f"{_X264} -qp 10", "bff"),
        request={"deinterlace": "field"},
        outcome=_AT_FIELD_RATE,
        why="Fields are measured. Marks are not believed.",
    ),
    Case(
        key="interlaced-wrong-order",
        what="Interlaced, and marked with the wrong order of fields.",
        make=interlaced("mp4", f"{_X264_FIELDS} -x264-params tff=1", "bff"),
        request={"deinterlace": "field"},
        outcome=_AT_FIELD_RATE,
        why="As above: played by its marks it would jump back and forth.",
    ),
    Case(
        key="progressive-marked-interlaced",
        what="Progressive, but marked and coded as interlaced.",
        make=card("mp4", f"{H264} {_FIELDS} -x264-params tff=1 {AAC}", size=_CARD_SIZE, video=_WAVE),
        outcome=Plays(size=FILM_SIZE, card=FILM_CARD),
        why="Nothing is deinterlaced that is not interlaced: it would only lose detail.",
    ),
    Case(
        key="progressive-tilted",
        what="Progressive; the camera is tilted, so that lines move up by two of them from frame to frame.",
        make=card("mp4", f"{H264} {AAC}", size=_CARD_SIZE, video=_TILT),
        outcome=Plays(size=FILM_SIZE, card=FILM_CARD),
        why="A field may look like one of the next frame; nothing is deinterlaced for that.",
    ),
    Case(
        key="progressive-doubled",
        what="A game whose lines are all there twice, and that scrolls by two of them from frame to frame.",
        make=card("mp4", f"{H264} {AAC}", size=_CARD_SIZE, video=_PIXELS),
        outcome=Plays(size=FILM_SIZE, card=FILM_CARD),
        why="A field may be that of another frame, but the two fields of each frame are alike.",
    ),
    Case(
        key="field-coded",
        what="H.264 whose fields are coded apart (PAFF), in Matroska.",
        make=then(paff(25), "-i {} -c copy fields.mkv", source="fields.mkv"),
        request={"deinterlace": "field"},
        outcome=_AT_FIELD_RATE,
        why="Packets are fields, and frames are counted by what comes out of the decoder.",
    ),
    Case(
        key="dv",
        what="DV in AVI: 720x576, the bottom field first.",
        make=interlaced("avi", "-c:v dvvideo -pix_fmt yuv420p", "bff", frames=20, size="720x576", more=",setsar=16/15"),
        request={"deinterlace": "field", "resolution": "360p"},
        outcome=Plays(
            frames=20,
            rate="50",
            size=(480, 360),
            card=None,
            audio=0,
            probes=levels(20, 50),
            warnings=("anamorphic", "interlaced", "no_audio"),
        ),
        why="DV is always bottom first, whatever the container says.",
    ),
    Case(
        key="film-in-video",
        what="Film of 23.976 frames per second, spread over the fields of 29.97 (2:3 pulldown).",
        make=film(240),
        outcome=Plays(
            frames=240,
            rate=FILM,
            size=FILM_SIZE,
            card=FILM_CARD,
            beeps=[second + 0.5 for second in range(10)],
            warnings=("interlaced",),
        ),
        why="The film is restored: every frame of it is there once, also where chunks join.",
    ),
    Case(
        key="film-in-video-frames",
        what="The same, a second of it.",
        make=film(48),
        request={"deinterlace": "frame"},
        outcome=Plays(
            frames=60, rate="30000/1001", size=FILM_SIZE, card=None, beeps=(0.5, 1.5), warnings=("interlaced",)
        ),
        why="Frames of the video are made on request.",
    ),
    Case(
        key="120-per-second",
        what="120 frames per second.",
        make=card("mp4", rate="120", frames=120),
        outcome=Plays(frames=60, rate="60", numbers=range(0, 120, 2)),
        why="Outputs have 60 frames per second at most: every other one, evenly.",
    ),
    Case(
        key="240-per-second",
        what="240 frames per second, as phones record slow motion.",
        make=card("mp4", rate="240", frames=240),
        outcome=Plays(frames=60, rate="60", numbers=range(1, 240, 4)),
        why="Players show it at the speed at which it was recorded.",
    ),
)
