"""Container sniffing: the family of a file from its first bytes.

ffmpeg is not used: it opens playlists, scripts and text files as video.
"""

HEAD_BYTES = 4096
"""Number of first bytes that `sniff` reads; fewer are fine when the file is shorter."""

_TS_PACKET = 188
_M2TS_PACKET = 192
_TS_SYNC = 0x47
_MOV_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_EBML = b"\x1a\x45\xdf\xa3"

DEMUXERS = {
    "mov": "mov",
    "matroska": "matroska",
    "mpegts": "mpegts",
    "avi": "avi",
    "flv": "flv",
    "mpegps": "mpeg",
    "ogg": "ogg",
    "asf": "asf",
    "mxf": "mxf",
}
"""ffmpeg's demuxer for each container family that is accepted; it is always forced."""

NOT_A_VIDEO = (
    "the file is not a video in a container that is accepted: MP4, QuickTime, Matroska, WebM, MPEG-TS, MPEG-PS, AVI,"
    " FLV, Ogg, ASF, MXF"
)
"""Error text for files that are no videos."""


def sniff(head: bytes) -> str | None:
    """Name the container family (a key of `DEMUXERS`) that these first bytes belong to, or None: not a video."""
    return _by_signature(head) or (_by_sync_bytes(head))


def _by_signature(head: bytes) -> str | None:  # noqa: PLR0911 - one line per signature reads best
    if head[4:8] in _MOV_FIRST_BOXES and _plausible_box(head):
        return "mov"
    if head.startswith(_EBML) and (b"webm" in head[:128] or b"matroska" in head[:128]):
        return "matroska"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(b"FLV\x01"):
        return "flv"
    if head.startswith(b"\x00\x00\x01\xba"):
        return "mpegps"
    if head.startswith(b"OggS\x00"):
        return "ogg"
    if head.startswith(bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")):
        return "asf"
    if head.startswith(bytes.fromhex("060e2b34020501010d010201")):
        return "mxf"
    return None


def _plausible_box(head: bytes) -> bool:
    """A box size of 0 (to the end) and 1 (64 bits) are legal; otherwise it must hold at least its own header."""
    size = int.from_bytes(head[:4], "big")
    if head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"mif", b"avi"):  # HEIF and AVIF are images
        return False
    return size in (0, 1) or size >= 8  # noqa: PLR2004 - the header's length


def _by_sync_bytes(head: bytes) -> str | None:
    for packet, start in ((_TS_PACKET, 0), (_M2TS_PACKET, 4)):
        marks = head[start::packet]
        if len(marks) >= 3 and all(mark == _TS_SYNC for mark in marks):  # noqa: PLR2004 - three in step are no accident
            return "mpegts"
    return None
