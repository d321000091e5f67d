"""Recognition of raw coded video, which has no container: the first units must be those that a decoder needs first.

None of the functions raises for any bytes.
"""

from collections.abc import Iterator
from itertools import chain, islice, pairwise

from transcoding.sniffing.bits import BitReader, OutOfBits
from transcoding.sniffing.nal import START_CODE, H264Headers, HevcHeaders, nal_units, read_h264_sequence

_MAX_UNITS = 64
_MAX_SEQUENCES = 16
"""Sequence parameter sets among them: reading one can take a millisecond."""
_WHOLE_UNIT_BYTES = 8
"""A unit of so many bytes has the fields that are read, though the rest may be cut off."""
_MAX_LEADING_ZEROS = 4096
_MIN_RAW_SIDE = 16
_MAX_RATE_CODE = 8
_DIF_BLOCK, _DIF_SEQUENCE = 80, 12_000
_LAST_H264_UNIT = 20
_LAST_OBJECT, _LAST_LAYER, _VISUAL_SEQUENCE, _VISUAL_FRAME = 0x1F, 0x2F, 0xB0, 0xB6
"""Start codes of MPEG-4 part 2 (ISO/IEC 14496-2, table 6-3): video objects, their layers, the sequence, a frame."""
_FIXED_AV1_BITS, _HAS_SIZE = 0x83, 0x02
_TEMPORAL_DELIMITER, _SEQUENCE_HEADER, _LAST_KIND, _PADDING = 2, 1, 8, 15
_MAX_PROFILE_AV1 = 2
_UNITS_OF_AV1 = 3


def _begins_with_unit(head: bytes) -> bool:
    """Tell whether nothing but zeros is in front of the first start code."""
    first = head.find(START_CODE, 0, _MAX_LEADING_ZEROS)
    return first >= 0 and not head[:first].strip(b"\x00")


def is_h264(head: bytes) -> bool:
    """Find a sequence, a picture parameter set and a slice that uses them; nothing else may be around them."""
    headers, parameters, found = H264Headers({}, {}), 0, False
    for unit in _units(head):
        kind = unit[0] & 0x1F if unit else 0
        if not unit or unit[0] & 0x80 or not 1 <= kind <= _LAST_H264_UNIT or parameters > _MAX_SEQUENCES:
            return False
        try:
            if kind == 7:  # noqa: PLR2004 - a sequence parameter set
                sequence = read_h264_sequence(unit)
                headers.sequences[sequence.number] = sequence
                parameters += 1
            elif kind == 8:  # noqa: PLR2004 - a picture parameter set
                headers.add_set(unit)
            elif kind in (1, 5) and headers.sets:
                headers.slice(unit)
                found = True
        except OutOfBits:
            return False
    return found


def is_hevc(head: bytes) -> bool:
    """Find the parameter sets and a slice that uses them; nothing else may be around them."""
    headers, found = HevcHeaders({}, {}), False
    for unit in _units(head):
        if len(unit) < 3 or unit[0] & 0x80 or not unit[1] & 7:  # noqa: PLR2004 - a header and something behind it
            return False
        kind, layer = unit[0] >> 1, (unit[0] & 1) << 5 | unit[1] >> 3
        try:
            if layer:
                continue
            if kind == 33:  # noqa: PLR2004 - a sequence parameter set
                headers.add_sequence(unit)
            elif kind == 34:  # noqa: PLR2004 - a picture parameter set
                headers.add_set(unit)
            elif kind < 32 and headers.sets:  # noqa: PLR2004 - slices
                headers.slice_order(unit)
                found = True
        except OutOfBits:
            return False
    return found


def _units(head: bytes) -> Iterator[bytes]:
    """Yield the first units of a stream, but not the last one, which may be cut off."""
    if _begins_with_unit(head):
        units = (unit for _, unit in islice(nal_units(head), _MAX_UNITS))
        for unit, following in pairwise(chain(units, [b""])):
            if following or len(unit) > _WHOLE_UNIT_BYTES:
                yield unit


def is_mpeg_video(head: bytes) -> bool:
    """Read the sequence header of MPEG-1 or MPEG-2 video, and the type of the unit behind it."""
    units = _units_from(head, 0xB3)
    if len(units) < 2 or len(units[0]) < 8:  # noqa: PLR2004 - the header is that long
        return False
    header, following = units[0], units[1][:1]
    width, height = header[1] << 4 | header[2] >> 4, (header[2] & 15) << 8 | header[3]
    aspect, rate, marker = header[4] >> 4, header[4] & 15, header[7] & 0x20
    sized = min(width, height) >= _MIN_RAW_SIDE and aspect not in (0, 15)
    return sized and 1 <= rate <= _MAX_RATE_CODE and bool(marker) and following in (b"\xb5", b"\xb8", b"\xb2", b"\x00")


def is_mpeg4_video(head: bytes) -> bool:
    """Find a visual object sequence, a video object and its layer, in this order, as MPEG-4 part 2 has them."""
    units = _units_from(head, _VISUAL_SEQUENCE) or _units_from(head, 0)
    kinds = [unit[0] for unit in units if unit]
    objects = [kind for kind in kinds if kind <= _LAST_LAYER]
    others = [kind for kind in kinds[:4] if _LAST_LAYER < kind < _VISUAL_SEQUENCE or kind > _VISUAL_FRAME]
    if others or len(objects) <= 1 or not objects[0] <= _LAST_OBJECT < objects[1]:
        return False
    return kinds[0] == _VISUAL_SEQUENCE or _VISUAL_FRAME in kinds


def _units_from(head: bytes, first: int) -> list[bytes]:
    """Return the first units behind their start codes, if the very first is of this kind."""
    if not _begins_with_unit(head):
        return []
    position = head.find(START_CODE) + len(START_CODE)
    if head[position : position + 1] != bytes([first]):
        return []
    return [unit for _, unit in islice(nal_units(head), _MAX_UNITS)]


def is_dv(head: bytes) -> bool:
    """Follow the blocks of the first DIF sequence: header, subcode, additional data, audio, video (IEC 61834-2)."""
    kinds = [head[number * _DIF_BLOCK : number * _DIF_BLOCK + 3] for number in range(8)]
    if len(kinds[7]) < 3 or kinds[0] != b"\x1f\x07\x00" or head[3] & 0x7F != 0x3F:  # noqa: PLR2004 - three bytes say it
        return False
    sections = [kind[0] >> 5 for kind in kinds]
    following = head[_DIF_SEQUENCE : _DIF_SEQUENCE + 2]
    return sections == [0, 1, 1, 2, 2, 2, 3, 4] and following in (b"", b"\x1f\x17")


def is_av1(head: bytes) -> bool:
    """Follow the units of AV1 in its low-overhead format: a temporal delimiter, a sequence header, and more."""
    position, kinds = 0, list[int]()
    while len(kinds) < _UNITS_OF_AV1 and position < len(head):
        header = head[position]
        kind, extended = header >> 3 & 15, header >> 2 & 1
        size = _leb128(head, position + 1 + extended)
        if header & _FIXED_AV1_BITS != _HAS_SIZE or size is None or not (1 <= kind <= _LAST_KIND or kind == _PADDING):
            return False
        length, taken = size
        payload = position + 1 + extended + taken
        if not kinds and (kind != _TEMPORAL_DELIMITER or length):
            return False
        if len(kinds) == 1 and (kind != _SEQUENCE_HEADER or not _is_av1_sequence(head[payload : payload + length])):
            return False
        kinds.append(kind)
        position = payload + length
    return len(kinds) == _UNITS_OF_AV1


def _is_av1_sequence(payload: bytes) -> bool:
    try:
        return BitReader(payload[:8]).number(3) <= _MAX_PROFILE_AV1
    except OutOfBits:
        return False


def _leb128(head: bytes, position: int) -> tuple[int, int] | None:
    """Return the number that stands here and its length."""
    value = 0
    for length, byte in enumerate(head[position : position + 4]):
        value |= (byte & 0x7F) << 7 * length
        if not byte & 0x80:
            return value, length + 1
    return None
