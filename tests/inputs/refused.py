"""Files that are no videos, or whose content nobody can show. None of them is tried again."""

import io
import random
import struct
import zipfile

from tests.inputs.case import Case, Maker, Refused
from tests.inputs.making import card, content, edited, ffmpeg
from transcoding.sniffing.refused import ACCEPTED

TITLE = "What is refused"

_PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
_PAGE = b"<!DOCTYPE html><html><body>Sorry, this video is not available.</body></html>\n"
_MPD = b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>'


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("video.mp4", b"\0" * 1000)
    return buffer.getvalue()


_CONVERT = "convert it to MP4 with H.264 and AAC, and upload that"
_UNKNOWN = f"the file is not a video in a container that is accepted; {_CONVERT}"
_TEXT = "the file is a text, not a video; upload a video"
_NAMES_OTHERS = "the file is a playlist, which names videos and contains none; upload the video itself"


def _no_video(key: str, what: str, make: Maker, why: str, finding: str) -> Case:
    """`finding` is the sentence without the list of what is accepted."""
    sentence = f"{finding} (accepted are {ACCEPTED})"
    return Case(key=key, what=what, make=make, outcome=Refused(sentence=sentence), why=why)


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


_REFERENCE = _box(b"rmda", _box(b"rdrf", bytes(4) + b"url " + struct.pack(">I", 18) + b"file:///etc/passwd"))


def _still(extension: str, options: str = "") -> Maker:
    line = f"-f lavfi -i testsrc2=size=64x64 -frames:v 1 {options} still.{extension}"
    return ffmpeg(line, source=f"still.{extension}")


CASES = (
    _no_video(
        "empty", "A file of no bytes.", content(b""), "There is nothing in it.", "the file is empty; upload a video"
    ),
    _no_video("three-bytes", "A file of three bytes.", content(b"\0\0\0"), "No container is that short.", _UNKNOWN),
    _no_video(
        "text",
        "A text named `.mp4`.",
        content(b"This is a text, which ffmpeg takes for ANSI art.\n" * 100),
        "ffmpeg would show the text as a video; no program opens what is in no accepted container.",
        _TEXT,
    ),
    _no_video(
        "random",
        "Random bytes.",
        content(random.Random(1).randbytes(100_000)),  # noqa: S311 - no secret
        "They are in no container.",
        _UNKNOWN,
    ),
    _no_video(
        "zip",
        "A ZIP archive named `.mp4`.",
        content(_zip()),
        "The video has to be unpacked first.",
        "the file is a ZIP archive or an office document, not a video; upload the video itself",
    ),
    _no_video("web-page", "A web page named `.mp4`.", content(_PAGE), "Downloads that failed are such files.", _TEXT),
    _no_video(
        "playlist",
        "An HLS playlist named `.mp4` that names a file of the server.",
        content(_PLAYLIST),
        "ffmpeg would open what it names.",
        _NAMES_OTHERS,
    ),
    _no_video(
        "concat-script",
        "A script of ffmpeg named `.mp4`.",
        content(b"ffconcat version 1.0\nfile other.mp4\n"),
        "ffmpeg would open what it names.",
        _NAMES_OTHERS,
    ),
    _no_video(
        "manifest", "A DASH manifest named `.mp4`.", content(_MPD), "ffmpeg would open what it names.", _NAMES_OTHERS
    ),
    _no_video(
        "png",
        "A PNG image named `.mp4`.",
        _still("png"),
        "It is an image.",
        "the file is a PNG image, not a video; upload a video",
    ),
    _no_video(
        "jpeg",
        "A JPEG image.",
        _still("jpg"),
        "It is an image.",
        "the file is a JPEG image, not a video; upload a video",
    ),
    _no_video(
        "gif-still",
        "A GIF image.",
        _still("gif"),
        "One with more than one frame is accepted.",
        "the file is a GIF image without animation, not a video; upload a video",
    ),
    _no_video(
        "webp-animated",
        "An animated WebP.",
        content(b"RIFF\x3e\0\0\0WEBPVP8X\x0a\0\0\0\x02" + bytes(9) + b"ANIM\x06\0\0\0" + bytes(6), "anim.webp"),
        "ffmpeg 5.1 cannot decode it.",
        "the file is an animated WebP, which cannot be decoded; convert it to an animated GIF or to MP4",
    ),
    _no_video(
        "avif-sequence",
        "An animated AVIF.",
        content(_box(b"ftyp", b"avis" + bytes(4) + b"avifmsf1") + _box(b"meta", bytes(40)) + bytes(100), "anim.avif"),
        "Versions of ffmpeg number its streams differently, so another one than the inspected could be opened.",
        "the file is an HEIF or AVIF image or sequence of images, not a video; upload a video",
    ),
    _no_video(
        "wtv",
        "A recording of Windows Media Center.",
        content(bytes.fromhex("b7d800203749da11a64e0007e95ead8d") + bytes(5000), "tv.wtv"),
        "Hardly anybody has one; older recordings of the program, DVR-MS, are accepted.",
        f"the file is a WTV recording, which is not accepted; {_CONVERT}",
    ),
    Case(
        key="media-elsewhere",
        what="QuickTime whose video lies in another file.",
        make=content(_box(b"ftyp", b"qt  " + bytes(4)) + _box(b"moov", _box(b"rmra", _REFERENCE)), "refers.mov"),
        outcome=Refused(
            sentence="the file only refers to its video or audio, which is in other files; save it as a self-contained"
            " file and upload that"
        ),
        why="No other file than the uploaded one is ever opened.",
    ),
    Case(
        key="jpeg-2000",
        what="QuickTime with the codec JPEG 2000.",
        make=card("mov", "-c:v jpeg2000 -an"),
        outcome=Refused(
            sentence="jpeg2000 is not among the codecs that are accepted; export the video with a usual one, such as"
            " H.264"
        ),
        why="Its decoder is not safe enough (docs/security.md).",
    ),
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
