"""Nothing is lost where one of them starts earlier or ends later than the other: the first or the last frame stays."""

from tests.inputs.case import Case, Maker, Plays, Tone
from tests.inputs.making import AAC, H264, card, then

TITLE = "Audio and video that do not start or end together"

LONGER = ("audio_longer",)
LATE = ("audio_starts_late",)


def _with_audio(extension: str, *, video: int = 25, whole: int = 50, codecs: str = f"{H264} {AAC}") -> Maker:
    """A card of `whole` frames, of whose video only the first frames are there."""
    return then(
        card("mkv", codecs, frames=whole),
        f"-i {{}} -map 0:v -frames:v {video} -c copy video.mkv",
        f"-i video.mkv -i {{}} -map 0:v -map 1:a -c copy made.{extension}",
        source=f"made.{extension}",
    )


def _shifted(extension: str, *, video: str = "0", audio: str = "0", frames: int = 25) -> Maker:
    """A card whose video and audio begin at these seconds."""
    return then(
        card("mp4", frames=frames),
        f"-itsoffset {video} -i {{}} -itsoffset {audio} -i {{}} -map 0:v -map 1:a -c copy made.{extension}",
        source=f"made.{extension}",
    )


def _held(before: int, frames: int, after: int) -> list[int]:
    return [0] * before + list(range(frames)) + [frames - 1] * after


CASES = (
    Case(
        key="audio-longer-mp4",
        what="Audio that is a second longer than the video, in MP4.",
        make=_with_audio("mp4"),
        outcome=Plays(frames=50, numbers=_held(0, 25, 25), warnings=LONGER),
        why="The last frame stays until the audio ends; players do the same, and nobody wants half of a song.",
    ),
    Case(
        key="audio-longer-mkv",
        what="Audio that is a second longer than the video, in Matroska.",
        make=_with_audio("mkv"),
        outcome=Plays(frames=50, numbers=_held(0, 25, 25), warnings=LONGER),
        why="The container makes no difference.",
    ),
    Case(
        key="audio-longer-ts",
        what="Audio that is a second longer than the video, in a transport stream.",
        make=_with_audio("ts"),
        outcome=Plays(frames=51, numbers=_held(0, 25, 26), warnings=LONGER),
        why="Transport streams do not say what only fills up the last frame of audio, so it counts.",
    ),
    Case(
        key="audio-longer-opus",
        what="Audio that is a second longer than the video: VP8 and Opus in WebM.",
        make=_with_audio(
            "webm", codecs="-c:v libvpx -deadline realtime -cpu-used 8 -b:v 500k -auto-alt-ref 0 -c:a libopus"
        ),
        outcome=Plays(frames=50, numbers=_held(0, 25, 25), warnings=LONGER),
        why="Opus says how much of it is priming.",
    ),
    Case(
        key="audio-longer-cut",
        what="Audio that is a second longer than the video, which is to be as long as the video.",
        make=_with_audio("mp4"),
        request={"timeline": "video"},
        outcome=Plays(warnings=LONGER),
        why="`timeline: video` cuts the audio, and the plan warns of that (`audio_cut`).",
    ),
    Case(
        key="audio-longer-by-padding",
        what="Audio that is 0.08 s longer than the video.",
        make=card("mp4", audio="apad=pad_dur=0.08"),
        outcome=Plays(),
        why="Encoders fill up the last frame of audio: two of HE-AAC are up to 93 ms. 0.1 s changes nothing.",
    ),
    Case(
        key="audio-longer-by-chunks",
        what="Audio of 9 s for a second of video.",
        make=_with_audio("mp4", whole=225),
        outcome=Plays(frames=225, numbers=_held(0, 25, 200), warnings=LONGER),
        why="Chunks behind the last frame decode the last second of the video, from its last key frame.",
    ),
    Case(
        key="audio-longer-hevc",
        what="Audio that is a second longer than the video, encoded to HEVC.",
        make=_with_audio("mp4"),
        request={"codec": "hevc"},
        outcome=Plays(frames=50, numbers=_held(0, 25, 25), warnings=LONGER),
        why="Held frames are frames like any others to an encoder.",
    ),
    Case(
        key="audio-longer-varying",
        what="Audio that is a second longer than a video whose frames come irregularly, and one of them not at all.",
        make=then(
            _with_audio("mkv"),
            "-i {} -c:a copy -vf select='not(eq(n\\,10))',setpts=PTS+0.1*sin(N)/25/TB -fps_mode passthrough"
            f" -enc_time_base:v 1:90000 {H264} -video_track_timescale 90000 varying.mp4",
            source="varying.mp4",
        ),
        outcome=Plays(
            frames=50,
            numbers=[*range(10), 9, *range(11, 25), *[24] * 25],
            warnings=("audio_longer", "variable_frame_rate"),
        ),
        why="The length of the last frame is a matter of rounding; it stays for as long as the audio lasts.",
    ),
    Case(
        key="podcast",
        what="A podcast: one frame, and 6 s of audio.",
        make=_with_audio("mp4", video=1, whole=150),
        outcome=Plays(frames=150, numbers=[0] * 150, warnings=("audio_longer",)),
        why="It is as long as its audio. A frame without another one has no rate: it is taken for 25.",
    ),
    Case(
        key="podcast-mkv",
        what="A podcast in Matroska: one frame, and 6 s of audio.",
        make=_with_audio("mkv", video=1, whole=150),
        outcome=Plays(frames=150, numbers=[0] * 150, warnings=("audio_longer",)),
        why="It is as long as its audio.",
    ),
    Case(
        key="video-late",
        what="Video that begins half a second after the audio, by an empty edit of MP4.",
        make=_shifted("mp4", video="0.5"),
        outcome=Plays(frames=38, numbers=_held(13, 25, 0), beeps=(0.52,), warnings=LONGER),
        why="The first frame is shown from the beginning of the audio on, to the whole frame: 13 are 0.52 s.",
    ),
    Case(
        key="video-late-mkv",
        what="Video that begins half a second after the audio, in Matroska.",
        make=_shifted("mkv", video="0.5"),
        outcome=Plays(frames=38, numbers=_held(13, 25, 0), beeps=(0.52,), warnings=LONGER),
        why="The first frame is shown from the beginning of the audio on.",
    ),
    Case(
        key="video-late-cut",
        what="Video that begins half a second after the audio, which is to be as long as the video.",
        make=_shifted("mp4", video="0.5"),
        request={"timeline": "video"},
        outcome=Plays(beeps=(0.0,), warnings=LONGER),
        why="`timeline: video` cuts what comes before the first frame.",
    ),
    Case(
        key="video-late-by-chunks",
        what="Video that begins 5 s after the audio.",
        make=_shifted("mp4", video="5", frames=50),
        outcome=Plays(frames=175, numbers=_held(125, 50, 0), beeps=(0.5, 1.5), warnings=LONGER),
        why="The first chunk lies before the first frame.",
    ),
    Case(
        key="audio-late",
        what="Audio that begins half a second after the video.",
        make=_shifted("mp4", audio="0.5"),
        outcome=Plays(
            frames=38, numbers=_held(0, 25, 13), beeps=(1.0,), warnings=("audio_longer", "audio_starts_late")
        ),
        why="There is silence until it begins, and the last frame stays until it ends.",
    ),
    Case(
        key="audio-late-and-short",
        what="Audio that begins after half a second and ends with the video.",
        make=card("mp4", frames=50, audio="atrim=start=0.9"),
        outcome=Plays(frames=50, beeps=(1.5,), tones=(Tone(start=0.4, end=0.8),), warnings=LATE),
        why="There is silence until it begins.",
    ),
    Case(
        key="audio-ends-early",
        what="Audio that ends a second before the video.",
        make=card("mp4", frames=50, audio="atrim=end=1"),
        outcome=Plays(frames=50, beeps=(0.5,)),
        why="There is silence until the video ends.",
    ),
    Case(
        key="priming-untold",
        what="A transport stream of 50 frames per second, whose audio begins 21 ms early.",
        make=card("ts", rate="50", frames=50),
        outcome=Plays(frames=50, rate="50"),
        why="That is the priming of AAC, which transport streams do not mark. It is more than a frame.",
    ),
)
