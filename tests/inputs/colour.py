"""Outputs are tagged with what they are, in the container and in the coded stream.

High dynamic range is mapped to standard range, and what is transparent is shown on black:
[the media contract](media.md#color-spaces) says how.
"""

from dataclasses import replace

from tests.inputs.case import Case, Maker, Plays, Probe, Refused
from tests.inputs.making import AAC, card, edited, ffmpeg, then
from tests.sample_entries import with_dolby_vision

TITLE = "Color"

_HD, _SD = "bt709/bt709/bt709/tv", "smpte170m/smpte170m/smpte170m/tv"
_X264 = f"-c:v libx264 -preset ultrafast {AAC}"
_X265 = f"-c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params log-level=error {AAC}"
_FFV1 = f"-c:v ffv1 {AAC}"
_CARD = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=smpte170m:range=tv"
"""Tags of the card, in whose color space it is drawn."""
_UNTAGGED = "color_primaries=unknown:color_trc=unknown:colorspace=unknown:range=unknown"
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def _as(matrix: str, tags: str = _UNTAGGED, *, pixels: str = "yuv420p", range_: str = "tv") -> str:
    """Filters that convert the card to a matrix and a range, and tag it."""
    return f"{_CARD},scale=out_color_matrix={matrix}:out_range={range_},format={pixels},setparams={tags}"


def _tags(primaries: str, transfer: str, matrix: str, range_: str = "tv") -> str:
    return f"color_primaries={primaries}:color_trc={transfer}:colorspace={matrix}:range={range_}"


def _mastered(transfer: str) -> str:
    """Filters that master the card in high dynamic range, its white at 203 cd/m2."""
    rgb = f"{_CARD},zscale=matrix=gbr:range=full,format=gbrpf32le"
    light = f"zscale=transfer={transfer}:primaries=bt2020:npl=203"
    return f"{rgb},{light},zscale=matrix=2020_ncl:range=limited,format=yuv420p10le"


def _half_transparent(codec: str, extension: str, pixels: str) -> Maker:
    """White whose left half is transparent."""
    drawn = "color=white:size=160x90:rate=25:duration=1"
    alpha = "format=yuva444p,geq=lum=235:cb=128:cr=128:a='if(lt(X,80),0,255)'"
    line = f'-f lavfi -i {drawn} -vf "{alpha},format={pixels}" {codec} source.{extension}'
    return ffmpeg(line, source=f"source.{extension}")


def _half_transparent_gif() -> Maker:
    drawn = "color=white:size=160x90:rate=10:duration=1"
    alpha = "format=yuva444p,geq=lum=235:cb=128:cr=128:a='if(lt(X,80),0,255)',format=rgba"
    palette = "split[first][second];[first]palettegen=reserve_transparent=1[palette];[second][palette]paletteuse"
    return ffmpeg(f'-f lavfi -i {drawn} -vf "{alpha},{palette}" source.gif', source="source.gif")


def _case(key: str, what: str, make: Maker, outcome: Plays | Refused, why: str, **request: object) -> Case:
    return Case(key=key, what=what, make=make, outcome=outcome, why=why, request=request)


_ON_BLACK = Plays(
    card=None,
    audio=0,
    warnings=("alpha_dropped", "no_audio"),
    probes=(Probe(rgb=_BLACK, x=0.25), Probe(rgb=_WHITE, x=0.75)),
)
_FROM_HDR = Plays(color=_HD, colors=40, warnings=("hdr",))

CASES = (
    _case(
        "untagged-sd",
        "H.264 without tags, in standard definition.",
        card("mp4", _X264, video=_as("bt601")),
        Plays(color=_SD),
        "Players take a video of its size for BT.601.",
    ),
    _case(
        "untagged-hd",
        "The same in high definition.",
        card("mp4", _X264, size=(1280, 720), frames=5, video=_as("bt709")),
        Plays(frames=5, size=(1280, 720), color=_HD),
        "Players take a video of its size for BT.709, and its smaller rungs would be taken for BT.601 without tags.",
    ),
    _case(
        "bt709-in-sd",
        "BT.709 in standard definition, tagged.",
        card("mp4", _X264, video=_as("bt709", _tags("bt709", "bt709", "bt709"))),
        Plays(color=_HD),
        "Tags count, not sizes.",
    ),
    _case(
        "bt601-in-hd",
        "BT.601 in high definition, tagged.",
        card(
            "mp4", _X264, size=(1280, 720), frames=5, video=_as("bt601", _tags("smpte170m", "smpte170m", "smpte170m"))
        ),
        Plays(frames=5, size=(1280, 720), color=_SD),
        "Cameras of phones write it.",
    ),
    _case(
        "full-range",
        "H.264 of full range.",
        card("mp4", _X264, video=_as("bt709", _tags("bt709", "bt709", "bt709", "pc"), range_="pc")),
        Plays(color="bt709/bt709/bt709/pc"),
        "It stays of full range, as its tags say.",
    ),
    _case(
        "motion-jpeg",
        "Motion JPEG.",
        card("mov", f"-c:v mjpeg -q:v 2 {AAC}", video=_as("bt601", pixels="yuvj422p", range_="pc")),
        Plays(color="bt709/bt709/bt470bg/pc", colors=40),
        "JPEG is BT.601 of full range.",
    ),
    _case(
        "rgb-ffv1",
        "RGB in FFV1.",
        card("mkv", _FFV1, video=f"{_CARD},format=bgr0"),
        Plays(color=_HD),
        "It is encoded with the matrix of its tag.",
    ),
    _case(
        "rgb-raw",
        "Raw RGB in QuickTime, which says nothing of colors.",
        card("mov", "-c:v rawvideo -c:a pcm_s16le", video=f"{_CARD},format=rgb24"),
        Plays(color=_HD),
        "The pixel format says that it is RGB.",
    ),
    _case(
        "422-10-bits",
        "H.264 of 4:2:2 with 10 bits.",
        card("mp4", _X264, video=_as("bt709", _tags("bt709", "bt709", "bt709"), pixels="yuv422p10le")),
        Plays(color=_HD),
        "Cameras record it; players of browsers need 4:2:0 with 8 bits.",
    ),
    _case(
        "444",
        "H.264 of 4:4:4.",
        card("mp4", _X264, video=_as("bt709", _tags("bt709", "bt709", "bt709"), pixels="yuv444p")),
        Plays(color=_HD),
        "Screen recorders write it.",
    ),
    _case(
        "prores",
        "ProRes of 4:2:2 with 10 bits.",
        card("mov", "-c:v prores_ks -profile:v 2 -c:a pcm_s16le", video=_as("bt709", pixels="yuv422p10le")),
        Plays(color=_SD, colors=48),
        "Editors export it. This one has no tags, and counts as its size does.",
    ),
    _case(
        "grey",
        "FFV1 without colors.",
        ffmpeg(
            "-f lavfi -i color=gray:size=160x90:rate=25:duration=1 -vf format=gray -c:v ffv1 source.mkv",
            source="source.mkv",
        ),
        Plays(card=None, audio=0, warnings=("no_audio",), probes=(Probe(rgb=(128, 128, 128)),)),
        "It becomes 4:2:0 of limited range.",
    ),
    _case(
        "bt2020-sdr",
        "HEVC with 10 bits in BT.2020, of standard range.",
        card("mp4", _X265, video=_as("bt2020", _tags("bt2020", "bt2020-10", "bt2020nc"), pixels="yuv420p10le")),
        Plays(color="bt2020/bt2020-10/bt2020nc/tv"),
        "It has no high dynamic range, so it keeps its colors and its tags, in 8 bits.",
    ),
    _case(
        "hdr10",
        "HDR10 in MP4.",
        card("mp4", _X265, video=_mastered("smpte2084")),
        _FROM_HDR,
        "H.264 has 8 bits here, and most screens standard range.",
    ),
    _case(
        "hdr10-mkv",
        "HDR10 in Matroska.",
        card("mkv", _X265, video=_mastered("smpte2084")),
        _FROM_HDR,
        "The container does not matter.",
    ),
    _case(
        "hlg-stream",
        "HLG in a transport stream, as broadcasts have it.",
        card("ts", _X265, video=_mastered("arib-std-b67")),
        replace(_FROM_HDR, colors=80),
        "Its tags are in the coded stream alone.",
    ),
    _case(
        "hdr10-kept",
        "HDR10, which the request keeps.",
        card("mp4", _X265, video=_mastered("smpte2084")),
        Plays(color=_HD, colors=40, warnings=("hdr",), rungs=("90p", "90p-hdr")),
        "Players choose by what their screen can show.",
        codec="h265",
        dynamic_range="source",
    ),
    _case(
        "hdr10-red",
        "HDR10 with the brightest red that it can code.",
        ffmpeg(
            "-f lavfi -i color=red:size=160x90:rate=25:duration=1"
            " -vf scale=out_color_matrix=bt2020,format=yuv420p10le,"
            f"setparams={_tags('bt2020', 'smpte2084', 'bt2020nc')}"
            " -c:v libx265 -x265-params log-level=error source.mp4",
            source="source.mp4",
        ),
        Plays(card=None, audio=0, color=_HD, warnings=("hdr", "no_audio"), probes=(Probe(rgb=(190, 0, 0), within=30),)),
        "It lies far outside of what BT.709 can show.",
    ),
    _case(
        "dolby-vision-8",
        "Dolby Vision of profile 8.1.",
        edited(
            card("mp4", _X265, video=_mastered("smpte2084")),
            lambda data: with_dolby_vision(data, profile=8, compatibility=1),
        ),
        _FROM_HDR,
        "Its base layer is HDR10, and that is what is decoded.",
    ),
    _case(
        "dolby-vision-5",
        "Dolby Vision of profile 5.",
        edited(
            card("mp4", _X265, video=_mastered("smpte2084")),
            lambda data: with_dolby_vision(data, profile=5, compatibility=0),
        ),
        Refused(
            sentence="the video is Dolby Vision of profile 5, whose colors no other decoder shows right; export it as"
            " HDR10, as HLG or as Dolby Vision of profile 8"
        ),
        "It has no base layer for others: its colors would be green and purple.",
    ),
    _case(
        "dolby-vision-5-beside",
        "The same beside a track in JPEG 2000, in QuickTime.",
        edited(
            then(
                card("mp4", _X265, video=_mastered("smpte2084")),
                "-i {} -map 0 -map 0:v -c copy -c:v:1 jpeg2000 -pix_fmt:v:1 yuv420p beside.mov",
                source="beside.mov",
            ),
            lambda data: with_dolby_vision(data, profile=5, compatibility=0),
        ),
        Refused(
            sentence="the video is Dolby Vision of profile 5, whose colors no other decoder shows right; export it as"
            " HDR10, as HLG or as Dolby Vision of profile 8"
        ),
        "The copy without that track does not say it any more, so it is read from the file.",
    ),
    _case(
        "alpha-prores",
        "ProRes 4444 whose left half is transparent.",
        _half_transparent("-c:v prores_ks -profile:v 4444", "mov", "yuva444p10le"),
        _ON_BLACK,
        "H.264, HEVC and AV1 have no transparency here.",
    ),
    _case(
        "alpha-vp9",
        "VP9 in WebM whose left half is transparent.",
        _half_transparent("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -auto-alt-ref 0", "webm", "yuva420p"),
        _ON_BLACK,
        "The transparency is a second stream, which only libvpx decodes.",
    ),
    _case(
        "alpha-vp8",
        "The same with VP8.",
        _half_transparent("-c:v libvpx -deadline realtime -cpu-used 8 -auto-alt-ref 0", "webm", "yuva420p"),
        _ON_BLACK,
        "The transparency is a second stream, which only libvpx decodes.",
    ),
    _case(
        "alpha-rgb",
        "RGB with transparency in FFV1.",
        _half_transparent("-c:v ffv1", "mkv", "bgra"),
        _ON_BLACK,
        "Colors count as not yet multiplied by their transparency.",
    ),
    _case(
        "alpha-gif",
        "An animated GIF whose left half is transparent.",
        _half_transparent_gif(),
        replace(_ON_BLACK, rate="10", frames=10),
        "Every GIF could be transparent: its frames are looked at, and most are not.",
    ),
)
