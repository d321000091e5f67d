"""Kinds of files that are no videos, or none that are accepted, known by their first bytes; and what to do instead."""

import re
from codecs import getincrementaldecoder

_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"GIF87a", "a GIF image without animation"),
    (b"GIF89a", "a GIF image without animation"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"8BPS", "a Photoshop image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"SDPX", "a DPX image"),
    (b"XPDS", "a DPX image"),
    (b"DDS ", "a DDS image"),
)
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an XZ archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"MSCF", "a Cabinet archive"),
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"{\\rtf", "an RTF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document"),
    (b"SQLite format 3\x00", "a database"),
    (b"\x7fELF", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\x00asm", "a program"),
    (b"FWS", "a Flash animation"),
    (b"CWS", "a Flash animation"),
    (b"ZWS", "a Flash animation"),
    (b"MThd", "a MIDI file"),
)
_CONTAINERS = (
    (b".RMF\x00", "a RealMedia file"),
    (b".ra\xfd", "a RealAudio file"),
    (b"nut/multimedia container\x00", "a NUT file"),
    (bytes.fromhex("b7d800203749da11a64e0007e95ead8d"), "a WTV recording"),
    (b"\x00\x00\x00\x00\x01\xbc\x00\x00\x00\x00\xe1\xe2", "a GXF file"),
    (b"CAMTASIA", "a Camtasia project"),
    (b"BIKi", "a Bink video"),
    (b"SMK2", "a Smacker video"),
)
_SCRIPTS = re.compile(rb"\s*(?:#EXT|#!|ffconcat|\[playlist\]|RTSPtext|SMILtext|<|\{|WEBVTT)", re.IGNORECASE)
"""Beginnings of playlists, scripts and markup. Whatever follows them, such a file is not opened."""
_PLAYLISTS = re.compile(
    rb"\s*(?:#EXTM3U|ffconcat|\[playlist\]|RTSPtext|SMILtext|<\?xml[^>]*>\s*<(?:MPD|smil|asx)|<(?:MPD|smil|asx))",
    re.IGNORECASE,
)
TEXT_BYTES = 512
"""First bytes that are looked at to know a text."""
_NOT_IN_TEXT = bytes(sorted({*range(32), 0x7F} - set(b"\t\n\v\f\r\x1b")))
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_HIDDEN_DOCUMENT_BYTES = 1024
"""Readers of PDF look for its mark in so many bytes."""
_MARKS = ((0, b"RIFF"), (4, b"ftyp"), (128, b"DICM"), (257, b"ustar"), (32769, b"CD001"))
"""Offsets and marks of files of which nothing behind their beginning is looked for: RIFF and MP4 of other kinds,
medical images, tape archives, images of discs."""

ACCEPTED = (
    "MP4, QuickTime, Matroska, WebM, MPEG-TS, MPEG-PS, AVI, FLV, Ogg, ASF, MXF, IVF, YUV4MPEG2, animated GIF and PNG,"
    " and raw H.264, HEVC, AV1, MPEG-1, MPEG-2, MPEG-4, Motion JPEG and DV; of audio, also MP3, AAC, WAV, FLAC, AIFF,"
    " CAF, AMR, AC-3, DTS, WavPack and AU"
)
"""The accepted files, as error texts name them."""

_UNKNOWN = "the file is not a video in a container that is accepted"
_CONVERT = "convert it to MP4 with H.264 and AAC, and upload that"


def is_refused(head: bytes) -> bool:
    """Tell whether a file begins like a kind that is never opened, whatever follows."""
    return _known(head) is not None


def is_whole(head: bytes) -> bool:
    """Tell whether a file without a container at its beginning is whole: what seems to begin behind that, does not.

    It is a script, a document, an archive or another kind of a known file.
    """
    bare = head.removeprefix(_BYTE_ORDER_MARKS[0])
    marked = head.startswith(_BYTE_ORDER_MARKS) or any(head.startswith(mark, offset) for offset, mark in _MARKS)
    return marked or bool(_SCRIPTS.match(bare)) or _document_within(head) is not None


def is_text(head: bytes) -> bool:
    """Tell whether the first bytes are text: UTF-8 without control characters."""
    beginning = head[:TEXT_BYTES]
    if not beginning or len(beginning.translate(None, _NOT_IN_TEXT)) < len(beginning):
        return False
    try:
        getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return False
    return True


def refusal(head: bytes) -> str:
    """Return the sentence that says what a file is which is not accepted, what to do, and what is accepted."""
    return f"{_finding(head)} (accepted are {ACCEPTED})"


def _finding(head: bytes) -> str:  # noqa: PLR0911 - one line per kind reads best
    bare = head.removeprefix(_BYTE_ORDER_MARKS[0])
    if not head:
        return "the file is empty; upload a video"
    if _PLAYLISTS.match(bare):
        return "the file is a playlist, which names videos and contains none; upload the video itself"
    if _is_animated_webp(head):
        return "the file is an animated WebP, which cannot be decoded; convert it to an animated GIF or to MP4"
    if name := _image(head):
        return f"the file is {name}, not a video; upload a video"
    if name := _match(head, _OTHERS) or _document_within(head):
        return f"the file is {name}, not a video; upload the video itself"
    if name := _match(head, _CONTAINERS):
        return f"the file is {name}, which is not accepted; {_CONVERT}"
    if is_text(head) or _SCRIPTS.match(bare):
        return "the file is a text, not a video; upload a video"
    return f"{_UNKNOWN}; {_CONVERT}"


def _is_animated_webp(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP" and b"ANIM" in head[12:64]


def _image(head: bytes) -> str | None:
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "a WebP image"
    return "an HEIF or AVIF image or sequence of images" if head[4:8] == b"ftyp" else _match(head, _IMAGES)


def _known(head: bytes) -> str | None:
    return next((name for kinds in (_IMAGES, _OTHERS, _CONTAINERS) if (name := _match(head, kinds))), None)


def _match(head: bytes, kinds: tuple[tuple[bytes, str], ...]) -> str | None:
    return next((name for signature, name in kinds if head.startswith(signature)), None)


def _document_within(head: bytes) -> str | None:
    return "a PDF document" if b"%PDF-" in head[:_HIDDEN_DOCUMENT_BYTES] else None
