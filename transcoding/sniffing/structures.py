"""Recognition of containers by their structure, at any offset of the first bytes of a file.

Each function looks at one kind. It follows the structure as far as the bytes go: a signature alone can be an accident,
or the beginning of something else. None of them raises for any bytes.
"""

import re

from transcoding.sniffing.nal import START_CODE
from transcoding.sniffing.refused import TEXT_BYTES, is_text

_STRONG_BOXES = frozenset({b"moov", b"moof", b"styp", b"sidx"})
_WEAK_BOXES = frozenset(
    {
        b"free",
        b"skip",
        b"wide",
        b"uuid",
        b"pnot",
        b"PICT",
        b"pdin",
        b"meta",
        b"udta",
        b"ssix",
        b"prft",
        b"emsg",
        b"junk",
    }
)
"""Boxes that say nothing by themselves: four letters in the right position."""
_STILL_BRANDS = frozenset(
    {
        *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1", b"avif", b"avis", b"avic"),
        *(b"avcs", b"avci", b"jp2 ", b"jpx ", b"jpm ", b"jxl ", b"crx ", b"j2ki", b"miaf", b"mjp2", b"mj2s", b"vvic"),
    }
)
"""Brands of images and of sequences of images: HEIF, AVIF, JPEG 2000, raw images of cameras.

ffmpeg 9 lists the still image of a sequence as a stream in front of its frames, and 5.1 does not: what ffprobe finds
could be another stream for ffmpeg.
"""
_MAX_BRANDS_BYTES = 1024
_MAX_BOXES = 64
_MAX_WEAK_BYTES = 1 << 24
_MAX_INDEX_BYTES = 1 << 28
"""Less than any four letters, which a text has in this place."""
_LARGE, _HEADER, _LARGE_HEADER = 1, 8, 16
_BOX_TYPE = re.compile(rb"[A-Za-z0-9\xa9 _.-]{4}")

_EBML, _SEGMENT, _DOC_TYPE = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x42\x82"
_EBML_FILLERS = (b"\xec", b"\xbf")
_MAX_EBML_BYTES = 1 << 16
_MAX_ELEMENTS = 64
"""Elements of an EBML header, and fillers behind it, that are read: writers have seven of the first, and few others."""

_SYNC = 0x47
TS_PACKETS = ((188, 0), (192, 4), (204, 0))
"""Lengths of packets of transport streams, with the bytes in front of the sync byte of each."""
_FEW_PACKETS, _PACKETS_IN_STEP = 3, 8

_PACK, _SYSTEM, _END = 0xBA, 0xBB, 0xB9
_MIN_STREAM_ID = 0xBC
_UNITS_OF_PROGRAM = 4
_FILLING = re.compile(rb"\x00{3,}")
"""Zeros in front of a start code, with which sectors of discs are filled up; the last two belong to the code."""
_Y4M = re.compile(rb"YUV4MPEG2(?=[ -~]{0,99} W\d{1,5}\b)(?=[ -~]{0,99} H\d{1,5}\b)[ -~]{1,256}\nFRAME")


def is_mov(head: bytes, start: int = 0) -> bool:
    """Follow the boxes of MP4, QuickTime and their relatives. Unusual ones may come first."""
    position, weak = start, False
    for _ in range(_MAX_BOXES):
        size, kind = int.from_bytes(head[position : position + 4], "big"), head[position + 4 : position + 8]
        if len(kind) < 4 or not _BOX_TYPE.fullmatch(kind):  # noqa: PLR2004 - a type has four bytes
            return weak and len(kind) < 4 and position >= len(head)  # noqa: PLR2004
        if size not in (0, _LARGE) and size < _HEADER:
            return False
        decided = _decided_by(head, position, size, kind)
        if decided is not None:
            return decided
        if size == _LARGE:
            size = int.from_bytes(head[position + 8 : position + 16], "big")
        weak = kind in _WEAK_BOXES and size < _MAX_WEAK_BYTES
        if size < _HEADER:
            return False
        position += size
    return False


def _decided_by(head: bytes, position: int, size: int, kind: bytes) -> bool | None:
    """Tell what a box says about its file: that it is one of these, that it is an image, or nothing."""
    if kind == b"ftyp":
        return _HEADER + 4 <= size <= _MAX_BRANDS_BYTES and not _is_still(head, position, size)
    if kind in _STRONG_BOXES:
        return size < _MAX_INDEX_BYTES
    if kind == b"mdat":
        return not is_text(head[position : position + TEXT_BYTES])
    return None


def _is_still(head: bytes, position: int, size: int) -> bool:
    """Tell whether a file type box is that of an image; others may list their brands if no `meta` follows."""
    brands = head[position + _HEADER : position + size]
    if brands[:4] in _STILL_BRANDS:
        return True
    listed = {brands[offset : offset + 4] for offset in range(8, len(brands), 4)}
    return bool(listed & _STILL_BRANDS) and head[position + size + 4 : position + size + 8] == b"meta"


def is_matroska(head: bytes, start: int = 0) -> bool:
    """Read the EBML header, whose document type may stand anywhere in it, and the beginning of what follows."""
    if not head.startswith(_EBML, start):
        return False
    length = _ebml_size(head, start + 4)
    if length is None or length[0] > _MAX_EBML_BYTES:
        return False
    position = start + 4 + length[1]
    end, known = position + length[0], False
    for _ in range(_MAX_ELEMENTS):
        if position >= min(end, len(head)):
            break
        number = head[position : position + _ebml_length(head, position)]
        found = _ebml_size(head, position + len(number)) if number else None
        if found is None:
            return False
        position += len(number) + found[1]
        if number == _DOC_TYPE:
            known = head[position : position + found[0]].rstrip(b"\x00") in (b"matroska", b"webm")
        position += found[0]
    return known and position == end and _segment_follows(head, end)


def _segment_follows(head: bytes, position: int) -> bool:
    for _ in range(_MAX_ELEMENTS):
        if not head.startswith(_EBML_FILLERS, position):
            return _SEGMENT.startswith(head[position : position + 4])
        found = _ebml_size(head, position + 1)
        if found is None:
            return False
        position += 1 + sum(found)
    return False


def _ebml_length(head: bytes, position: int) -> int:
    """Return the length of a number that begins here, 0 for none: its first bit says it."""
    first = head[position] if position < len(head) else 0
    return 9 - first.bit_length() if first else 0


def _ebml_size(head: bytes, position: int) -> tuple[int, int] | None:
    """Return the size that stands here, and its own length."""
    length = _ebml_length(head, position)
    if not length or position + length > len(head):
        return None
    return int.from_bytes(head[position : position + length], "big") & ((1 << 7 * length) - 1), length


def transport_stream_start(head: bytes, furthest: int) -> int | None:
    """Return where the packets of a transport stream begin, at most `furthest` bytes behind the beginning, or None.

    A whole file of at least three packets is enough, and so are eight in step anywhere.
    """
    for packet, lead in TS_PACKETS:
        marks = head[lead::packet]
        if len(marks) >= _FEW_PACKETS and marks.count(_SYNC) == len(marks):
            return 0
    found = []
    for packet, lead in TS_PACKETS:
        for phase in range(packet):
            at = head[phase::packet].find(bytes([_SYNC]) * _PACKETS_IN_STEP)
            start = phase + at * packet - lead
            if at >= 0 and start <= furthest:
                found.append(max(0, start))
    return min(found, default=None)


def is_program_stream(head: bytes, start: int = 0) -> bool:
    """Follow packs and packets of an MPEG-1 or MPEG-2 program stream, also from the middle of one."""
    position, units, has_pack = start, 0, False
    while units < _UNITS_OF_PROGRAM:
        kind = head[position + 3] if position + 3 < len(head) else None
        if kind is None:
            return has_pack and (position >= len(head) or START_CODE.startswith(head[position : position + 3]))
        if not head.startswith(START_CODE, position):
            return False
        length = _unit_length(head, position, kind)
        if not length:
            return False
        has_pack = has_pack or kind == _PACK
        position, units = position + length, units + 1
        if filling := _FILLING.match(head, position):
            position = filling.end() - 2
    return True


def _unit_length(head: bytes, position: int, kind: int) -> int:
    """Return the length of a pack header or packet with this start code, 0 for one that is none."""
    if kind == _PACK:
        first = head[position + 4 : position + 5]
        if first and first[0] & 0xF0 == 0x20:  # noqa: PLR2004 - the marker of MPEG-1
            return 12
        stuffing = head[position + 13 : position + 14]
        return 14 + (stuffing[0] & 7 if stuffing else 0) if not first or first[0] & 0xC0 == 0x40 else 0  # noqa: PLR2004
    if kind == _END:
        return 4
    if kind == _SYSTEM or kind >= _MIN_STREAM_ID:
        return 6 + int.from_bytes(head[position + 4 : position + 6], "big")
    return 0


def is_avi(head: bytes, start: int = 0) -> bool:
    """Read the first chunk headers of RIFF."""
    kind, chunk = head[start + 8 : start + 12], head[start + 12 : start + 16]
    riff = head.startswith((b"RIFF", b"ON2 "), start) and kind in (b"AVI ", b"AVI\x19", b"ON2f")
    return riff and chunk in (b"LIST", b"JUNK", b"avih", b"")


def is_video_cd(head: bytes, start: int = 0) -> bool:
    """Recognise the files of a Video CD: a program stream in the sectors of a disc, with a RIFF header in front."""
    if not head.startswith(b"RIFF", start) or head[start + 8 : start + 16] != b"CDXAfmt ":
        return False
    return head.startswith(b"\x00" + b"\xff" * 10 + b"\x00", start + 44)


def is_flv(head: bytes, start: int = 0) -> bool:
    """Read the header of Flash Video."""
    header = head[start : start + 9]
    flags = header[4] if len(header) == 9 else 0xFF  # noqa: PLR2004 - the length of the header
    return header.startswith(b"FLV\x01") and not flags & 0xFA and int.from_bytes(header[5:], "big") >= len(header)


def is_ogg(head: bytes, start: int = 0) -> bool:
    """Read the header of the first page, which begins streams."""
    flags = head[start + 5 : start + 6]
    return head.startswith(b"OggS\x00", start) and flags != b"" and flags[0] < 8  # noqa: PLR2004 - three flags


def is_asf(head: bytes, start: int = 0) -> bool:
    """Read the identifier of the header object."""
    return head.startswith(bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), start)


def is_mxf(head: bytes, start: int = 0) -> bool:
    """Read the key of a header partition, behind a run-in of up to 64 KiB (SMPTE ST 377-1)."""
    return (
        head.startswith(bytes.fromhex("060e2b34020501010d01020101"), start) and head[start + 13 : start + 14] == b"\x02"
    )


def is_ivf(head: bytes, start: int = 0) -> bool:
    """Read the header of IVF: version, its own length, codec."""
    return head.startswith(b"DKIF\x00\x00\x20\x00", start) and head[start + 8 : start + 12] in (
        b"VP80",
        b"VP90",
        b"AV01",
    )


def is_y4m(head: bytes, start: int = 0) -> bool:
    """Read the header line of YUV4MPEG2, and the beginning of the first frame."""
    return bool(_Y4M.match(head, start))
