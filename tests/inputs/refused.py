"""Files that are no videos, or whose content nobody can show. None of them is tried again."""

import io
import random
import zipfile

from tests.inputs.case import Case, Maker, Refused
from tests.inputs.making import card, content, edited, ffmpeg
from transcoding.probing.sniff import NOT_A_VIDEO

TITLE = "What is refused"

_PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
_PAGE = b"<!DOCTYPE html><html><body>Sorry, this video is not available.</body></html>\n"
_MPD = b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>'


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("video.mp4", b"\0" * 1000)
    return buffer.getvalue()


def _no_video(key: str, what: str, make: Maker, why: str) -> Case:
    return Case(key=key, what=what, make=make, outcome=Refused(sentence=NOT_A_VIDEO), why=why)


def _still(extension: str, options: str = "") -> Maker:
    line = f"-f lavfi -i testsrc2=size=64x64 -frames:v 1 {options} still.{extension}"
    return ffmpeg(line, source=f"still.{extension}")


CASES = (
    _no_video("empty", "A file of no bytes.", content(b""), "There is nothing in it."),
    _no_video("three-bytes", "A file of three bytes.", content(b"\0\0\0"), "No container is that short."),
    _no_video(
        "text",
        "A text named `.mp4`.",
        content(b"This is a text, which ffmpeg takes for ANSI art.\n" * 100),
        "ffmpeg would show the text as a video; no program opens what is in no accepted container.",
    ),
    _no_video(
        "random",
        "Random bytes.",
        content(random.Random(1).randbytes(100_000)),  # noqa: S311 - no secret
        "They are in no container.",
    ),
    _no_video("zip", "A ZIP archive named `.mp4`.", content(_zip()), "The video has to be unpacked first."),
    _no_video("web-page", "A web page named `.mp4`.", content(_PAGE), "Downloads that failed are such files."),
    _no_video(
        "playlist",
        "An HLS playlist named `.mp4` that names a file of the server.",
        content(_PLAYLIST),
        "ffmpeg would open what it names.",
    ),
    _no_video(
        "concat-script",
        "A script of ffmpeg named `.mp4`.",
        content(b"ffconcat version 1.0\nfile other.mp4\n"),
        "ffmpeg would open what it names.",
    ),
    _no_video("manifest", "A DASH manifest named `.mp4`.", content(_MPD), "ffmpeg would open what it names."),
    _no_video("png", "A PNG image named `.mp4`.", _still("png"), "It is an image."),
    _no_video("jpeg", "A JPEG image.", _still("jpg"), "It is an image."),
    Case(
        key="index-missing",
        what="The first half of an MP4 whose index is at its end.",
        make=edited(card("mp4", frames=50), lambda data: data[: len(data) // 2]),
        outcome=Refused(
            sentence="the file cannot be read: its index is missing, as when a recording or an upload broke off;"
            " upload all of it"
        ),
        why="Without its index nobody knows where a frame begins.",
    ),
)
