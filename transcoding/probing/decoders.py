"""Codecs that sources may have, and the decoders of ffmpeg that may touch their bytes.

ffmpeg has hundreds of decoders, most for formats that nobody uploads, and damage in each of them is reachable by any
file that names it. What is not listed is never opened, neither to decode nor to find out what a file is; a file with
such a stream is refused.
"""

from types import MappingProxyType

from transcoding.errors import InputRejected

_VIDEO = {
    "apng": ("apng",),
    "av1": ("libdav1d", "libaom-av1", "av1"),
    "cinepak": ("cinepak",),
    "dnxhd": ("dnxhd",),
    "dvvideo": ("dvvideo",),
    "ffv1": ("ffv1",),
    "ffvhuff": ("ffvhuff",),
    "flv1": ("flv",),
    "gif": ("gif",),
    "h263": ("h263",),
    "h264": ("h264",),
    "hevc": ("hevc",),
    "huffyuv": ("huffyuv",),
    "mjpeg": ("mjpeg",),
    "mpeg1video": ("mpeg1video",),
    "mpeg2video": ("mpeg2video",),
    "mpeg4": ("mpeg4",),
    "msmpeg4v2": ("msmpeg4v2",),
    "msmpeg4v3": ("msmpeg4",),
    "msvideo1": ("msvideo1",),
    "png": ("png",),
    "prores": ("prores",),
    "qtrle": ("qtrle",),
    "rawvideo": ("rawvideo",),
    "rpza": ("rpza",),
    "svq1": ("svq1",),
    "theora": ("theora",),
    "utvideo": ("utvideo",),
    "v210": ("v210",),
    "vc1": ("vc1",),
    "vp6f": ("vp6f",),
    "vp8": ("vp8", "libvpx"),
    "vp9": ("vp9", "libvpx-vp9"),
    "wmv1": ("wmv1",),
    "wmv2": ("wmv2",),
    "wmv3": ("wmv3",),
    "zmbv": ("zmbv",),
}
_AUDIO = {
    "aac": ("aac",),
    "aac_latm": ("aac_latm",),
    "ac3": ("ac3",),
    "adpcm_ima_qt": ("adpcm_ima_qt",),
    "adpcm_ima_wav": ("adpcm_ima_wav",),
    "adpcm_ms": ("adpcm_ms",),
    "adpcm_swf": ("adpcm_swf",),
    "alac": ("alac",),
    "amr_nb": ("amrnb",),
    "amr_wb": ("amrwb",),
    "dts": ("dca",),
    "eac3": ("eac3",),
    "flac": ("flac",),
    "gsm": ("gsm",),
    "gsm_ms": ("gsm_ms",),
    "mp1": ("mp1float", "mp1"),
    "mp2": ("mp2float", "mp2"),
    "mp3": ("mp3float", "mp3"),
    "nellymoser": ("nellymoser",),
    "opus": ("opus", "libopus"),
    "speex": ("speex", "libspeex"),
    "truehd": ("truehd",),
    "vorbis": ("vorbis", "libvorbis"),
    "wavpack": ("wavpack",),
    "wmapro": ("wmapro",),
    "wmav1": ("wmav1",),
    "wmav2": ("wmav2",),
    **{
        name: (name,)
        for name in (
            *("pcm_alaw", "pcm_bluray", "pcm_dvd", "pcm_f32be", "pcm_f32le", "pcm_mulaw", "pcm_s16be", "pcm_s16le"),
            *("pcm_s24be", "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_s8", "pcm_u8", "pcm_f64be", "pcm_f64le"),
            *("pcm_u16be", "pcm_u16le", "pcm_u24be", "pcm_u24le", "pcm_u32be", "pcm_u32le"),
        )
    },
}

_BESIDE = (
    *("ass", "cc_dec", "dvbsub", "dvdsub", "mov_text", "pgssub", "srt", "ssa", "subrip", "text", "webvtt"),
    "bmp",
)
"""Subtitles and covers, which lie in many files: ffprobe opens a decoder for every stream, and gives a file up when
that fails."""

DECODERS = MappingProxyType({**_VIDEO, **_AUDIO})
"""Codecs of video and audio that sources may have, by ffprobe's names, and ffmpeg's decoders for each."""

WHITELIST = ",".join((*(name for names in DECODERS.values() for name in names), *_BESIDE))
"""The value of `-codec_whitelist`. Names that a build does not know do no harm."""


def codec_refused(codec: str) -> InputRejected:
    """Return the error of a file whose video has a codec that is not accepted."""
    return InputRejected(
        f"{codec} is not among the codecs that are accepted; export the video with a usual one, such as H.264"
    )
