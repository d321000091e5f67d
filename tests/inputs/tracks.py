"""Files with more streams than one video and one audio track."""

from collections.abc import Mapping, Sequence

from tests.inputs.case import Case, Maker, Plays, Tone
from tests.inputs.making import AAC, H264, card, then

TITLE = "Which track is the video, which the audio"

_BEEPS = (0.5,)
_OTHER = "-f lavfi -i testsrc2=size=160x90:rate=25:duration=1"
_LARGE = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1"
_SILENCE = "-f lavfi -i anullsrc=sample_rate=48000:duration=1"
_TONE = "-f lavfi -i sine=440:sample_rate=48000:duration=1"
_STILL = "-f lavfi -i color=yellow:size=320x180:rate=25:duration=0.04"
_TONE_ONLY = (Tone(start=0.1, end=0.9, hertz=440),)


def _beside(inputs: str, maps: str, options: str, extension: str, of: Maker | None = None) -> Maker:
    """Put other streams beside those of a card, which is the first input."""
    name = f"beside.{extension}"
    return then(of or card("mp4"), f"-i {{}} {inputs} {maps} {options} {name}", source=name)


def _plays(
    key: str,
    what: str,
    make: Maker,
    why: str,
    *,
    request: Mapping[str, object] | None = None,
    audio: int = 1,
    beeps: Sequence[float] | None = None,
    tones: Sequence[Tone] = (),
    warnings: Sequence[str] = (),
    media: Mapping[str, object] | None = None,
) -> Case:
    outcome = Plays(audio=audio, beeps=beeps, tones=tones, warnings=warnings, media=media or {})
    return Case(key=key, what=what, make=make, outcome=outcome, why=why, request=request or {})


_IGNORED = ("streams_ignored",)
_TWO_AUDIO = _beside(
    f"{_SILENCE} {_TONE}",
    "-map 0:v -map 1:a -map 2:a",
    f"-c:v copy {AAC} -disposition:a:0 0 -disposition:a:1 default -shortest",
    "mkv",
)
_TWO_VIDEOS = _beside(
    _OTHER,
    "-map 1:v -map 0:v -map 0:a",
    f"{H264} -c:a copy -disposition:v:0 0 -disposition:v:1 default -crf 10",
    "mkv",
)

CASES = (
    _plays(
        "audio-second-default",
        "Two audio tracks in Matroska, of which the second is marked as the default.",
        _TWO_AUDIO,
        "Players begin with the default one; the other can be chosen.",
        audio=2,
        tones=_TONE_ONLY,
    ),
    _plays(
        "audio-named",
        "The same, with a request that names the first audio track alone.",
        _TWO_AUDIO,
        "A request may name other tracks than the rule chooses.",
        request={"audio_streams": [1]},
        beeps=(),
        tones=(Tone(start=0, end=1),),
    ),
    _plays(
        "audio-none-named",
        "H.264 and AAC, with a request that names no audio track.",
        card("mp4"),
        "The outputs have no audio then.",
        request={"audio_streams": []},
        audio=0,
    ),
    _plays(
        "audio-more-channels",
        "Stereo and 5.1 audio without default flags in a transport stream.",
        _beside(
            _TONE,
            "-map 0:v -map 1:a -map 0:a",
            "-c:v copy -c:a:0 mp2 -ac:a:0 2 -c:a:1 ac3 -ac:a:1 6"
            " -af:a:1 pan=5.1|FL=c0|FR=c0|FC=c0|LFE=0*c0|BL=c0|BR=c0",
            "ts",
        ),
        "Without a default, players begin with the one of more channels.",
        audio=2,
    ),
    _plays(
        "audio-commentary",
        "A commentary for people who do not see, marked as the default, before the audio itself.",
        _beside(
            _TONE,
            "-map 0:v -map 1:a -map 0:a",
            f"-c:v copy {AAC} -disposition:a:0 default+visual_impaired -disposition:a:1 0",
            "mkv",
        ),
        "It is for those who choose it.",
        audio=2,
    ),
    _plays(
        "audio-unknown-second",
        "Beside the audio, a track in True Audio, which is not among the accepted codecs.",
        _beside(_TONE, "-map 0 -map 1:a", "-c copy -c:a:1 tta", "mkv"),
        "Only what is chosen needs an accepted codec; no decoder is opened for the rest.",
        warnings=_IGNORED,
    ),
    _plays(
        "audio-unknown-default",
        "The same, with the unknown track first and as the default.",
        _beside(
            _TONE,
            "-map 0:v -map 1:a -map 0:a",
            "-c copy -c:a:0 tta -disposition:a:0 default -disposition:a:1 0",
            "mkv",
        ),
        "What cannot be decoded is never chosen.",
        warnings=_IGNORED,
    ),
    _plays(
        "audio-unknown-alone",
        "The only audio is in a codec that is not accepted.",
        _beside(_TONE, "-map 0:v -map 1:a", "-c:v copy -c:a tta", "mkv"),
        "The video is worth having, and warnings say what is missing.",
        audio=0,
        warnings=("no_audio", "streams_ignored"),
    ),
    _plays(
        "audio-tracks-twelve",
        "Twelve audio tracks.",
        _beside("", "-map 0:v " + "-map 0:a " * 12, "-c copy", "mp4"),
        "Eight become renditions: more is a recording of a studio, not a choice for listeners.",
        audio=8,
        warnings=_IGNORED,
    ),
    _plays(
        "languages-ts",
        "Audio in two languages, in a transport stream.",
        _beside(
            _TONE,
            "-map 0:v -map 0:a -map 1:a",
            "-c:v copy -c:a aac -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu",
            "ts",
        ),
        "Each is a rendition with its language.",
        audio=2,
    ),
    _plays(
        "avi-two-audio",
        "Two audio tracks in AVI.",
        _beside(_TONE, "-map 0:v -map 0:a -map 1:a", "-c:v mpeg4 -q:v 2 -c:a pcm_s16le", "avi"),
        "Both become renditions.",
        audio=2,
    ),
    _plays(
        "cover-jpeg",
        "A cover in JPEG before the video, in MP4.",
        _beside(
            _STILL,
            "-map 1:v -map 0:v -map 0:a",
            "-c copy -c:v:0 mjpeg -disposition:v:0 attached_pic",
            "mp4",
        ),
        "A cover is no video.",
        warnings=_IGNORED,
    ),
    _plays(
        "cover-mkv",
        "A cover in PNG, attached to Matroska.",
        then(
            card("mp4"),
            f"{_STILL} cover.png",
            "-i {} -c copy -attach cover.png -metadata:s:t mimetype=image/png attached.mkv",
            source="attached.mkv",
        ),
        "A cover is no video.",
        warnings=_IGNORED,
    ),
    _plays(
        "still-first",
        "A single image, larger and first in the file, which nothing marks as a cover.",
        _beside(_STILL, "-map 1:v -map 0:v -map 0:a", "-c copy -c:v:0 mjpeg", "mp4"),
        "A still beside a film is not what people want to see.",
        warnings=_IGNORED,
    ),
    _plays(
        "video-second-default",
        "Two video tracks in Matroska, of which the second is marked as the default.",
        _TWO_VIDEOS,
        "The default is the video.",
        warnings=_IGNORED,
    ),
    Case(
        key="video-named",
        what="The same, with a request that names the first video track.",
        make=_TWO_VIDEOS,
        outcome=Plays(card=None, beeps=_BEEPS, warnings=_IGNORED),
        why="A request may name other tracks than the rule chooses.",
        request={"video_stream": 0},
    ),
    Case(
        key="video-larger",
        what="Two video tracks in a transport stream, the larger one last.",
        make=_beside(_LARGE, "-map 0:v -map 0:a -map 1:v", f"{H264} -c:a aac", "ts"),
        outcome=Plays(size=(320, 180), card=None, beeps=_BEEPS, warnings=_IGNORED),
        why="Without a default, the larger one is the video.",
    ),
    _plays(
        "video-unknown-first",
        "A larger track of QuickTime's Animation codec before the video, in QuickTime.",
        _beside(_LARGE, "-map 1:v -map 0:v -map 0:a", "-c copy -c:v:0 qtrle -pix_fmt:v:0 rgb24", "mov"),
        "Only what is chosen needs an accepted codec.",
        warnings=_IGNORED,
    ),
    _plays(
        "timecode-track",
        "A time code track in QuickTime, as editors write it.",
        _beside("", "", "-c copy -timecode 01:00:00:00", "mov"),
        "It is no video and no audio.",
        warnings=_IGNORED,
    ),
    _plays(
        "font-attached",
        "A font attached to Matroska.",
        then(
            card("mp4"),
            "-i {} -c copy -attach {} -metadata:s:t mimetype=application/x-truetype-font font.mkv",
            source="font.mkv",
        ),
        "Attachments are ignored, whatever is in them.",
        warnings=_IGNORED,
    ),
)
