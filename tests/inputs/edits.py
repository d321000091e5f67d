"""`start` and `end` of a request are times of outputs of the whole video. [Editing](editing.md) has the rules."""

from collections.abc import Sequence

from tests.inputs.case import Case, Maker, Plays, Refused
from tests.inputs.geometry import FILM, FILM_CARD, FILM_SIZE, film, interlaced, levels
from tests.inputs.making import AAC, H264, audio_file, card, then

TITLE = "Parts of a video"

_OPEN_GOPS = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -x264-params open-gop=1:keyint=75:bframes=3"
_LATE = "-itsoffset 0.5 -i {} -i {} -map 0:v -map 1:a -c copy late.mp4"
_PODCAST = ("-i {} -map 0:v -frames:v 1 -c copy video.mkv", "-i video.mkv -i {} -map 0:v -map 1:a -c copy made.mp4")
_JITTER = (
    "-i {} -c:a copy -vf select='not(eq(n\\,10))',setpts=PTS+0.1*sin(N)/25/TB -fps_mode passthrough"
    f" -enc_time_base:v 1:90000 {H264} -bf 2 -video_track_timescale 90000 varying.mp4"
)


def _part(
    key: str,
    what: str,
    make: Maker,
    why: str,
    *,
    start: float | None = None,
    end: float | None = None,
    numbers: Sequence[int],
    beeps: Sequence[float] = (),
    warnings: Sequence[str] = (),
) -> Case:
    times = {name: time for name, time in (("start", start), ("end", end)) if time is not None}
    return Case(
        key=key,
        what=what,
        make=make,
        outcome=Plays(frames=len(numbers), numbers=numbers, beeps=beeps, warnings=warnings),
        why=why,
        request=times,
    )


def _refused(key: str, what: str, sentence: str, **times: float) -> Case:
    return Case(
        key=key,
        what=what,
        make=card("mp4"),
        outcome=Refused(sentence=sentence, code="time_outside"),
        why="Nothing is encoded. Where the video is inspected, the answer to the request is a 422 with the field.",
        request=times,
    )


CASES = (
    _part(
        "part-middle",
        "9 s out of the middle of 12 s, from 1.3 s on.",
        card("mp4", f"{H264} -bf 3 {AAC}", frames=300),
        "No frame starts at 1.3 s: frame 33 is the next, at 1.32 s. All chunks count from there.",
        start=1.3,
        end=10.4,
        numbers=range(33, 260),
        beeps=[0.18 + number for number in range(9)],
    ),
    _part(
        "part-open-gops",
        "The rest of a video with open GOPs, from 2.9 s on.",
        card("mp4", f"{_OPEN_GOPS} {AAC}", frames=150),
        "Frames that need those before a key frame have them.",
        start=2.9,
        numbers=range(73, 150),
        beeps=[0.58, 1.58, 2.58],
    ),
    _part(
        "part-transport-stream",
        "The first two seconds of a transport stream, but for ten frames.",
        card("ts", f"{H264} -bf 2 {AAC}", frames=75),
        "Times count from the first frame, whatever the clock of the source says.",
        start=0.4,
        end=2,
        numbers=range(10, 50),
        beeps=[0.1, 1.1],
    ),
    _part(
        "part-one-frame",
        "A single frame.",
        card("mp4", f"{H264} -bf 2 {AAC}", frames=50),
        "`end` is a frame later.",
        start=1.28,
        end=1.32,
        numbers=[32],
    ),
    _part(
        "part-varying",
        "A part of a video whose frames come irregularly, and one of them not at all.",
        then(card("mp4", frames=50), _JITTER, source="varying.mp4"),
        "It begins with what a player shows then: the frame before the missing one.",
        start=0.4,
        end=1.4,
        numbers=[9, *range(11, 35)],
        beeps=[0.1],
        warnings=("variable_frame_rate",),
    ),
    _part(
        "part-held-before",
        "A part of a video that begins half a second after the audio: from 0.2 s on.",
        then(card("mp4", frames=50), _LATE, source="late.mp4"),
        "The first frame is held until its time comes, as in outputs of the whole.",
        start=0.2,
        numbers=[*[0] * 8, *range(50)],
        beeps=[0.32, 1.32],
        warnings=("audio_longer",),
    ),
    _part(
        "part-held-after",
        "A part of a podcast of one frame and 6 s of audio: from 2 to 5 s.",
        then(card("mkv", frames=150), *_PODCAST, source="made.mp4"),
        "All of it lies behind the only frame.",
        start=2,
        end=5,
        numbers=[0] * 75,
        beeps=[0.5, 1.5, 2.5],
        warnings=("audio_longer",),
    ),
    Case(
        key="part-fields",
        what="A part of interlaced video, with a frame for each field: from 0.19 s on.",
        make=interlaced("mp4", f"{H264} -qp 10 -flags +ildct+ilme -x264-params tff=1", "tff"),
        outcome=Plays(
            frames=40,
            rate="50",
            size=(160, 96),
            card=None,
            audio=0,
            probes=levels(39, 50, first=10),
            warnings=("interlaced", "no_audio"),
        ),
        why="The frames of the outputs count.",
        request={"start": 0.19, "deinterlace": "field"},
    ),
    Case(
        key="part-film",
        what="A part of film that is spread over the fields of video: from 2 s on.",
        make=film(120),
        outcome=Plays(
            frames=72,
            rate=FILM,
            size=FILM_SIZE,
            card=FILM_CARD,
            numbers=range(48, 120),
            beeps=[0.498, 1.498, 2.498],
            warnings=("interlaced",),
        ),
        why="The same frames of film are restored as in outputs of the whole.",
        request={"start": 2},
    ),
    Case(
        key="part-audio",
        what="A part of an audio file: from 0.71 s to 2.2 s.",
        make=audio_file("mp3", "-b:a 96k", seconds=3),
        outcome=Plays(video=False, frames=38, card=None, beeps=[0.79], warnings=("no_video",)),
        why="Audio is cut at any time, not only every 0.04 s. It is silent to the end of the last position.",
        request={"start": 0.71, "end": 2.2},
    ),
    _refused(
        "part-behind",
        "A part that begins behind a video of a second.",
        "start is not before the end of the video, which lasts 1.000 s",
        start=1.0,
    ),
    _refused(
        "part-too-long",
        "A part that ends behind it.",
        "end is behind that of the video, which lasts 1.000 s",
        start=0.5,
        end=1.5,
    ),
    _refused(
        "part-too-short",
        "A part that is shorter than a frame.",
        "no frame starts between start and end: one lasts 0.040 s",
        start=0.21,
        end=0.22,
    ),
)
