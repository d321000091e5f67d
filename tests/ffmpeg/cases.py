"""The sources of the golden tests: one per thing that cameras, codecs and containers do differently."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from tests.ffmpeg.sources import AAC, H264, SILENT, Card, converted, make
from transcoding.timeline import NO_HOLD, Hold

Maker = Callable[[Path], Path]
Sources = Callable[[str], Path]
"""Finds the source of a case by its name."""

FILM = Fraction(24000, 1001)
NTSC = Fraction(30000, 1001)
NTSC_DOUBLE = Fraction(60000, 1001)
PAL = Card(rate=Fraction(25), frames=230)
"""9.2 s: two whole segments and a tail that is shorter than a GOP."""

X264_OPEN_GOP = ("-c:v", "libx264", "-preset", "veryfast", "-x264-params", "open-gop=1:keyint=75:bframes=3", *AAC)
X265_OPEN_GOP = (
    *("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1"),
    *("-x265-params", "log-level=error:bframes=4:keyint=60:open-gop=1", *AAC),
)
MPEG4 = ("-c:v", "mpeg4", "-bf", "2", "-g", "50", "-q:v", "4", "-c:a", "libmp3lame")
MPEG2 = ("-c:v", "mpeg2video", "-bf", "2", "-g", "15", "-q:v", "4", "-c:a", "mp2")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "400k", "-g", "70", "-c:a", "libopus")
VP8 = (
    *("-c:v", "libvpx", "-deadline", "good", "-cpu-used", "4", "-auto-alt-ref", "1", "-lag-in-frames", "16"),
    *("-b:v", "400k", "-g", "70", "-c:a", "libvorbis"),
)
KEEP_TIMES = ("-fps_mode", "passthrough", "-enc_time_base:v", "1:90000", "-video_track_timescale", "90000")
TICKS = "settb=1/90000"
JITTERED = rf"{TICKS},setpts='round((N+0.3*sin(N*1.7))*3000)',select='not(eq(mod(n\,17)\,5))*not(between(n\,100\,130))'"
"""30 frames a second as a phone takes them: up to a third of a slot early or late, some missing, a hole of 1 s."""
STANDING = rf"{TICKS},setpts='N*3000',select='not(between(n\,130\,250))*not(between(n\,330\,388))'"
"""A screen recording: a frame that stands for 4 s, over the end of a chunk, and another for 2 s before the last."""
TS_PACKET = 188


@dataclass(frozen=True, kw_only=True)
class Case:
    """A source, and what must be found in it and in its renditions, of the codec that they are encoded to.

    `rate` is that of the output, `frames` the number of frames of the source on it, `first_number` the first frame that
    a viewer of the source sees, `turned` a filter that undoes a rotation. For `held` frames the first one comes early,
    and the last one stays. Audio is `audio_shift` seconds late, and lacks the beeps of `lost_beeps`.
    """

    make: Maker
    rate: Fraction
    frames: int
    constant: bool = True
    card_rate: Fraction | None = None
    first_number: int = 0
    held: Hold = NO_HOLD
    turned: str = "null"
    audio: bool = True
    audio_shift: Fraction = Fraction(0)
    lost_beeps: tuple[int, ...] = ()
    played: bool = True
    codec: str = "h264"

    @property
    def total_frames(self) -> int:
        """Number of frames of the output."""
        return self.frames + self.held.frames

    def shown(self, numbers: Sequence[int]) -> list[int]:
        """Add the held frames to the numbers that the source shows on the grid."""
        return [numbers[0]] * self.held.before + [*numbers] + [numbers[-1]] * self.held.after

    def beeps(self) -> list[float]:
        """Starts of beeps expected in the output, in seconds; those near its ends are left out."""
        shift = self.audio_shift - self.first_number / (self.card_rate or self.rate) + self.held.before / self.rate
        times = [float(second + shift) for second in range(1, 20, 2) if second not in self.lost_beeps]
        return [time for time in times if 0 <= time < self.total_frames / self.rate - Fraction(1, 10)]


def _of(extension: str, card: Card, *options: str) -> Maker:
    return lambda folder: make(folder / f"source.{extension}", card, *options)


def _recut(options: tuple[str, ...], *, opening: tuple[str, ...] = ()) -> Maker:
    """A plain MP4 whose streams were copied with these options, from the key frame on."""

    def maker(folder: Path) -> Path:
        plain = make(folder / "plain.mp4", PAL, *H264, *AAC)
        return converted(plain, folder / "source.mp4", options, opening=opening)

    return maker


def _delayed(kind: str, seconds: str = "0.5") -> Maker:
    """An MP4 in which video or audio starts later than the other, by an empty edit."""

    def maker(folder: Path) -> Path:
        plain = make(folder / "plain.mp4", PAL, *H264, *AAC)
        other = {"v": "a", "a": "v"}[kind]
        maps = ("-map", f"0:{kind}", "-map", f"1:{other}")
        return converted(plain, folder / "source.mp4", maps, opening=("-itsoffset", seconds, "-i", f"file:{plain}"))

    return maker


def _outlasted(card: Card, frames: int, *options: str) -> Maker:
    """An MP4 whose audio is as long as this many frames would be."""

    def maker(folder: Path) -> Path:
        video = make(folder / "video.mp4", card, *options)
        audio = make(folder / "audio.mp4", replace(card, frames=frames, video_filter="null"), *H264, *AAC)
        maps = ("-map", "1:v", "-map", "0:a")
        return converted(video, folder / "source.mp4", maps, opening=("-i", f"file:{audio}"))

    return maker


def _tuned_in(options: tuple[str, ...]) -> Maker:
    """A transport stream as a receiver records it: its first bytes lie somewhere in the middle of a GOP."""

    def maker(folder: Path) -> Path:
        whole = make(folder / "whole.ts", PAL, *options, "-f", "mpegts", "-output_ts_offset", "5000")
        data = whole.read_bytes()
        source = folder / "source.ts"
        source.write_bytes(data[len(data) // 10 // TS_PACKET * TS_PACKET :])
        return source

    return maker


def _growing(folder: Path) -> Path:
    """A stream whose frames become larger and of another format after 5 s, in the middle of a chunk.

    Its second part begins two frames of reordering later than an offset of 5 s alone would have it.
    """
    small = make(folder / "small.ts", replace(PAL, frames=125), *H264, *SILENT)
    large = Card(rate=PAL.rate, frames=105, first_number=125, width=640, height=360, video_filter="format=yuv422p")
    other = make(folder / "large.ts", large, *H264, *SILENT, "-output_ts_offset", "5.08")
    source = folder / "source.ts"
    source.write_bytes(small.read_bytes() + other.read_bytes())
    return source


CASES = {
    "to_hevc": Case(
        make=_of("mp4", Card(rate=NTSC, frames=300), *H264, *AAC), rate=NTSC, frames=300, played=False, codec="hevc"
    ),
    "to_hevc_varying": Case(
        make=_of("mp4", Card(rate=Fraction(30), frames=390, video_filter=JITTERED), *H264, *SILENT, *KEEP_TIMES),
        rate=Fraction(30),
        frames=390,
        constant=False,
        audio=False,
        played=False,
        codec="hevc",
    ),
    "to_av1": Case(make=_of("mp4", Card(rate=NTSC, frames=300), *H264, *AAC), rate=NTSC, frames=300, codec="av1"),
    "to_vp9": Case(make=_of("mp4", PAL, *H264, *AAC), rate=Fraction(25), frames=230, codec="vp9"),
    "to_av1_double": Case(
        make=_of("mp4", Card(rate=NTSC_DOUBLE, frames=560), *H264, *SILENT),
        rate=NTSC_DOUBLE,
        frames=560,
        audio=False,
        codec="av1",
    ),
    "b_frames": Case(make=_of("mp4", replace(PAL, frames=430), *H264, *AAC), rate=Fraction(25), frames=430),
    "film": Case(make=_of("mp4", Card(rate=FILM, frames=300), *H264, *AAC), rate=FILM, frames=300),
    "ntsc_open_gop": Case(make=_of("mp4", Card(rate=NTSC, frames=400), *X264_OPEN_GOP), rate=NTSC, frames=400),
    "ntsc_double": Case(make=_of("mp4", Card(rate=NTSC_DOUBLE, frames=560), *H264, *AAC), rate=NTSC_DOUBLE, frames=560),
    "quarter_rate": Case(
        make=_of("mp4", Card(rate=Fraction(25, 2), frames=170), *H264, *AAC), rate=Fraction(25, 2), frames=170
    ),
    "varying": Case(
        make=_of("mp4", Card(rate=Fraction(30), frames=390, video_filter=JITTERED), *H264, *AAC, *KEEP_TIMES),
        rate=Fraction(30),
        frames=390,
        constant=False,
    ),
    "varying_transport_stream": Case(
        make=_of("ts", Card(rate=Fraction(30), frames=390, video_filter=JITTERED), *H264, *AAC, *KEEP_TIMES[:4]),
        rate=Fraction(30),
        frames=390,
        constant=False,
        played=False,
    ),
    "standing": Case(
        make=_of(
            "mp4", Card(rate=Fraction(30), frames=390, video_filter=STANDING), *H264, "-bf", "0", *AAC, *KEEP_TIMES
        ),
        rate=Fraction(30),
        frames=390,
        constant=False,
    ),
    "odd_rate": Case(
        make=_of("mp4", Card(rate=Fraction(16), frames=200), *H264, *AAC),
        rate=Fraction(20),
        frames=250,
        constant=False,
        card_rate=Fraction(16),
    ),
    "too_many_frames": Case(
        make=_of("mp4", Card(rate=Fraction(120), frames=1080), *H264, *AAC),
        rate=Fraction(60),
        frames=540,
        constant=False,
        card_rate=Fraction(120),
        played=False,
    ),
    "transport_stream": Case(make=_of("ts", PAL, *H264, *AAC), rate=Fraction(25), frames=230),
    "transport_stream_that_wraps": Case(
        make=_of("ts", PAL, *H264, *AAC, "-output_ts_offset", "95438"), rate=Fraction(25), frames=230, played=False
    ),
    "tuned_in": Case(
        make=_tuned_in(X264_OPEN_GOP), rate=Fraction(25), frames=155, first_number=75, held=Hold(before=58)
    ),
    "tuned_in_mpeg2": Case(
        make=_tuned_in(MPEG2), rate=Fraction(25), frames=200, first_number=30, held=Hold(before=7), played=False
    ),
    "growing_frames": Case(make=_growing, rate=Fraction(25), frames=230, audio=False, played=False),
    "mpeg4_in_avi": Case(make=_of("avi", PAL, *MPEG4), rate=Fraction(25), frames=230),
    "vp9_in_webm": Case(make=_of("webm", PAL, *VP9), rate=Fraction(25), frames=230),
    "vp8_in_webm": Case(make=_of("webm", PAL, *VP8), rate=Fraction(25), frames=230, played=False),
    "hevc_open_gop": Case(make=_of("mp4", PAL, *X265_OPEN_GOP), rate=Fraction(25), frames=230, played=False),
    "one_key_frame": Case(
        make=_of("mkv", PAL, *H264, "-g", "1000", "-sc_threshold", "0", *AAC),
        rate=Fraction(25),
        frames=230,
        played=False,
    ),
    "interlaced": Case(
        make=_of("mp4", PAL, *H264, "-flags", "+ilme+ildct", "-x264-params", "tff=1", *AAC),
        rate=Fraction(25),
        frames=230,
        played=False,
    ),
    "fragmented": Case(
        make=_of("mp4", PAL, *H264, *AAC, "-movflags", "+frag_keyframe+empty_moov"),
        rate=Fraction(25),
        frames=230,
        played=False,
    ),
    "flash": Case(make=_of("flv", PAL, *H264, *AAC), rate=Fraction(25), frames=230, played=False),
    "program_stream": Case(make=_of("mpg", PAL, *MPEG2, "-f", "vob"), rate=Fraction(25), frames=230, played=False),
    "windows_media": Case(
        make=_of("wmv", PAL, "-c:v", "wmv2", "-q:v", "4", "-c:a", "wmav2"),
        rate=Fraction(25),
        frames=230,
        played=False,
    ),
    "theora_in_ogg": Case(
        make=_of("ogv", PAL, "-c:v", "libtheora", "-q:v", "7", "-g", "50", "-c:a", "libvorbis"),
        rate=Fraction(25),
        frames=230,
        played=False,
    ),
    "material_exchange": Case(
        make=_of("mxf", PAL, *MPEG2[:-2], "-c:a", "pcm_s16le"), rate=Fraction(25), frames=230, played=False
    ),
    "late_edit": Case(make=_recut((), opening=("-ss", "1.24")), rate=Fraction(25), frames=199, first_number=31),
    "late_video": Case(
        make=_delayed("v"), rate=Fraction(25), frames=230, held=Hold(before=13), audio_shift=Fraction(-1, 2)
    ),
    "very_late_video": Case(
        make=_delayed("v", "5"),
        rate=Fraction(25),
        frames=230,
        held=Hold(before=125),
        audio_shift=Fraction(-5),
        lost_beeps=(11, 13),
        played=False,
    ),
    "late_audio": Case(
        make=_delayed("a"), rate=Fraction(25), frames=230, held=Hold(after=13), audio_shift=Fraction(1, 2)
    ),
    "audio_begins_late": Case(
        make=_of("mp4", replace(PAL, audio_filter="atrim=start=3.5"), *H264, *AAC),
        rate=Fraction(25),
        frames=230,
        lost_beeps=(1, 3),
    ),
    "audio_ends_early": Case(
        make=_of("mp4", replace(PAL, audio_filter="atrim=end=6.2"), *H264, *AAC),
        rate=Fraction(25),
        frames=230,
        lost_beeps=(7, 9, 11, 13),
    ),
    "audio_with_a_gap": Case(
        make=_of("mkv", replace(PAL, audio_filter="aselect='not(between(t,3.5,8.5))'"), *H264, *AAC),
        rate=Fraction(25),
        frames=230,
        lost_beeps=(5, 7),
        played=False,
    ),
    "audio_is_longer": Case(
        make=_outlasted(Card(rate=Fraction(25), frames=310), 385, *H264, *AAC),
        rate=Fraction(25),
        frames=310,
        held=Hold(after=75),
    ),
    "audio_is_much_longer": Case(
        make=_outlasted(Card(rate=Fraction(30), frames=40, video_filter=JITTERED), 570, *H264, *AAC, *KEEP_TIMES),
        rate=NTSC,
        frames=39,
        constant=False,
        held=Hold(after=531),
        played=False,
    ),
    "audio_of_one_frame": Case(
        make=_outlasted(Card(rate=Fraction(25), frames=1), 350, *H264, *AAC),
        rate=Fraction(25),
        frames=1,
        constant=False,
        held=Hold(after=349),
    ),
    "tail_of_one_frame": Case(
        make=_of("mp4", Card(rate=Fraction(25), frames=301), *H264, *AAC), rate=Fraction(25), frames=301
    ),
    "tail_of_five_frames": Case(
        make=_of("mp4", Card(rate=Fraction(25), frames=305), *H264, *AAC), rate=Fraction(25), frames=305
    ),
    "silent": Case(make=_of("mp4", PAL, *H264, *SILENT), rate=Fraction(25), frames=230, audio=False),
    "portrait": Case(
        make=_recut((), opening=("-display_rotation:v:0", "90")), rate=Fraction(25), frames=230, turned="transpose=1"
    ),
    "one_frame": Case(
        make=_of("mp4", Card(rate=Fraction(30), frames=1), *H264, *AAC), rate=Fraction(25), frames=1, constant=False
    ),
    "ten_frames": Case(make=_of("mp4", Card(rate=Fraction(30), frames=10), *H264, *AAC), rate=Fraction(30), frames=10),
}

ALIKE = {
    "flash", "fragmented", "material_exchange", "mpeg4_in_avi", "one_key_frame", "program_stream", "theora_in_ogg",
    "to_av1_double", "transport_stream_that_wraps", "tuned_in_mpeg2", "vp8_in_webm", "vp9_in_webm", "windows_media",
}  # fmt: skip
"""Cases of the media contract for `--thorough` only: tests/inputs has such sources, other cases such outputs."""

PLAYED = [name for name, case in CASES.items() if case.played]
"""Cases whose outputs players play."""
