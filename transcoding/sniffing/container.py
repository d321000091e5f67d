"""Container sniffing: the family of a file, and where it begins, from the structure of its first bytes.

ffmpeg is not used: it opens playlists, scripts and text files as video. What decides is structure, not the first bytes:
unusual boxes may come first, and broken recordings begin with bytes of something else. But a file that begins as an
image, an archive, a document, a program or a script is that, whatever is behind it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import IO

from transcoding.sniffing.animated import is_animated_gif, is_animated_png, is_motion_jpeg
from transcoding.sniffing.audio import AUDIO_DEMUXERS, MAX_TAGS, audio_family, has_late_mp3, id3_bytes
from transcoding.sniffing.raw import is_av1, is_dv, is_h264, is_hevc, is_mpeg4_video, is_mpeg_video
from transcoding.sniffing.refused import is_refused, is_text, is_whole
from transcoding.sniffing.structures import (
    is_asf,
    is_avi,
    is_flv,
    is_ivf,
    is_matroska,
    is_mov,
    is_mxf,
    is_ogg,
    is_program_stream,
    is_video_cd,
    is_y4m,
    transport_stream_start,
)

HEAD_BYTES = 1 << 18
"""Number of first bytes that `sniff` reads; fewer are fine when the file is shorter."""

MAX_LEAD_BYTES = 1 << 16
"""Bytes in front of a container that are skipped: the longest run-in of MXF, and more than other junk has."""

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
    "ivf": "ivf",
    "y4m": "yuv4mpegpipe",
    "gif": "gif",
    "apng": "apng",
    "h264": "h264",
    "hevc": "hevc",
    "av1": "obu",
    "mpegvideo": "mpegvideo",
    "mpeg4": "m4v",
    "mjpeg": "mjpeg",
    "dv": "dv",
    **AUDIO_DEMUXERS,
}
"""ffmpeg's demuxer for each container family that is accepted; it is always forced."""

FROM_BEGINNING = frozenset({DEMUXERS["gif"], DEMUXERS["apng"]})
"""Demuxers in whose files every frame needs those before it, whatever the flags of packets say."""

READ_AS_THEY_ARE = frozenset({"apng", "y4m"})
"""Families that are never copied: animated images are decoded from their beginning, and frames of YUV4MPEG2 have one
length."""

RAW_ORDERED = frozenset({"h264", "hevc"})
"""Raw streams without a clock whose frames are coded in another order than they are shown in."""

_CONTAINERS: tuple[tuple[str, Callable[[bytes, int], bool], bytes], ...] = (
    ("matroska", is_matroska, b"\x1a\x45\xdf\xa3"),
    ("asf", is_asf, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("mxf", is_mxf, b"\x06\x0e\x2b\x34\x02\x05\x01\x01"),
    ("avi", is_avi, b"RIFF"),
    ("mpegps", is_video_cd, b"RIFF"),
    ("flv", is_flv, b"FLV\x01"),
    ("ogg", is_ogg, b"OggS\x00\x02"),
    ("ivf", is_ivf, b"DKIF"),
    ("y4m", is_y4m, b"YUV4MPEG2 "),
    ("mpegps", is_program_stream, b"\x00\x00\x01\xba"),
)
"""Containers with the bytes that they begin with behind others."""
_IMAGES: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("gif", is_animated_gif),
    ("apng", is_animated_png),
    ("mjpeg", is_motion_jpeg),
)
"""Images in a row, which begin like images."""
_RAW: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("h264", is_h264),
    ("hevc", is_hevc),
    ("mpegvideo", is_mpeg_video),
    ("mpeg4", is_mpeg4_video),
    ("dv", is_dv),
    ("av1", is_av1),
)
_MOV_STARTS = re.compile(rb"(?=.{4}(?:ftyp|moov|styp|moof)|\x00\x00\x00\x08wide.{4}mdat)", re.DOTALL)
_RAW_STARTS = (
    (re.compile(rb"\x00\x00\x01(?=[\x07\x27\x47\x67]|[\x40\x42]\x01)"), _RAW[:2]),
    (re.compile(rb"\x00\x00\x01(?=[\xb0\xb3])"), _RAW[2:4]),
)
"""Parameter sets of H.264 and HEVC, and sequence headers of MPEG-1, MPEG-2 and MPEG-4."""
_MAX_TRIES = 64
"""Positions of a signature behind junk that are looked at."""
_MAX_RAW_TRIES = 16
"""The same for raw streams, whose units take longer to read."""
_ID3_HEADER_BYTES = 10


@dataclass(frozen=True, slots=True)
class Container:
    """The family of a file (a key of `DEMUXERS`), and the offset in bytes at which it begins."""

    family: str
    start: int = 0


def sniff(head: bytes) -> str | None:
    """Name the container family (a key of `DEMUXERS`) that these first bytes belong to; None: there is none."""
    found = find_container(head)
    return found.family if found else None


def find_container(head: bytes) -> Container | None:  # noqa: PLR0911 - one line per way reads best
    """Find the container in the first bytes of a file; None: it is neither video nor audio."""
    if family := next((family for family, is_one in _IMAGES if is_one(head)), None):
        return Container(family)
    if is_refused(head) or (is_text(head) and not is_y4m(head)):
        return None
    if family := _family_at(head, 0) or next((family for family, is_one in _RAW if is_one(head)), None):
        return Container(family)
    if found := _behind_tag(head):
        return found
    if family := audio_family(head, more=len(head) >= HEAD_BYTES):
        return Container(family)
    if is_whole(head):
        return None
    return _behind_junk(head) or _raw_behind_junk(head) or (Container("mp3") if has_late_mp3(head) else None)


def find_in_file(file: IO[bytes]) -> Container | None:
    """Find the container in a file. An ID3 tag with a cover may be longer than the first bytes."""
    file.seek(0)
    head, start = file.read(HEAD_BYTES), 0
    for _ in range(MAX_TAGS):
        tag = id3_bytes(head)
        if tag < len(head) // 2:
            break
        start += tag
        file.seek(start)
        head = file.read(HEAD_BYTES)
    found = find_container(head)
    if found is None or found.family in AUDIO_DEMUXERS:  # ffmpeg passes over tags by itself
        return found
    return Container(found.family, start + found.start)


def _family_at(head: bytes, start: int) -> str | None:
    if is_mov(head, start):
        return "mov"
    if family := next((family for family, is_one, _ in _CONTAINERS if is_one(head, start)), None):
        return family
    return "mpegts" if transport_stream_start(head[start:], 0) == 0 else None


def _behind_tag(head: bytes) -> Container | None:
    """Look behind an ID3 tag, which recorders of streams put in front of what they record."""
    if not head.startswith(b"ID3") or len(head) < _ID3_HEADER_BYTES:
        return None
    length = 0
    for byte in head[6:10]:
        length = length << 7 | byte & 0x7F
    start = _ID3_HEADER_BYTES + length
    family = _family_at(head, start) if start < len(head) else None
    return Container(family, start) if family else None


def _behind_junk(head: bytes) -> Container | None:
    """Find the first container behind other bytes, by its structure."""
    starts = [("mov", _start_of_mov(head)), ("mpegts", transport_stream_start(head, MAX_LEAD_BYTES))]
    starts += [(family, _first(head, signature, is_one)) for family, is_one, signature in _CONTAINERS]
    found = [Container(family, start) for family, start in starts if start is not None]
    return min(found, key=lambda each: each.start, default=None)


def _raw_behind_junk(head: bytes) -> Container | None:
    """Find the first unit of a raw stream from which on it can be decoded: recordings begin anywhere in one."""
    for starts, families in _RAW_STARTS:
        for match in islice(starts.finditer(head), _MAX_RAW_TRIES):
            rest = head[match.start() :]
            if family := next((family for family, is_one in families if is_one(rest)), None):
                return Container(family, match.start())
    return None


def _start_of_mov(head: bytes) -> int | None:
    tries = islice(_MOV_STARTS.finditer(head, 0, MAX_LEAD_BYTES), _MAX_TRIES)
    return next((match.start() for match in tries if is_mov(head, match.start())), None)


def _first(head: bytes, signature: bytes, is_one: Callable[[bytes, int], bool]) -> int | None:
    start = -1
    for _ in range(_MAX_TRIES):
        start = head.find(signature, start + 1, MAX_LEAD_BYTES)
        if start < 0:
            return None
        if is_one(head, start):
            return start
    return None
