"""NAL units of H.264 and HEVC in the byte stream format (Annex B), and what their headers say about order.

Only the fields in front of those that are used are read. A stranger's bytes can raise OutOfBits, and nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from transcoding.sniffing.bits import BitReader, OutOfBits

START_CODE = b"\x00\x00\x01"
MAX_HEADER_BYTES = 1024
"""First bytes of a NAL unit that are read: parameter sets are shorter, and so is what is used of a slice."""

_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
_PROFILES = _HIGH_PROFILES | {66, 77, 88}
_CHROMA_444 = 3
_MAX_CYCLE = 255
_MAX_SETS = 256
_MAX_SUB_LAYERS = 7
_MIN_SIDE, _MAX_SIDE = 16, 16384
"""Lengths of a side of H.264 and HEVC of which a raw stream is recognised."""


class Searchable(Protocol):
    """Bytes in memory or in a mapped file."""

    def find(self, sub: bytes, start: int = ..., end: int = ..., /) -> int:
        """Return the offset of these bytes, or -1."""
        ...

    def __getitem__(self, part: slice, /) -> bytes:
        """Return a part of the bytes."""
        ...


def nal_units(data: Searchable) -> Iterator[tuple[int, bytes]]:
    """Yield the offset of each NAL unit behind its start code, and its first bytes, unescaped."""
    position = data.find(START_CODE)
    while position >= 0:
        position += len(START_CODE)
        following = data.find(START_CODE, position)
        end = position + MAX_HEADER_BYTES if following < 0 else min(following, position + MAX_HEADER_BYTES)
        yield position, unescaped(data[position:end])
        position = following


def unescaped(unit: bytes) -> bytes:
    """Remove the bytes that keep start codes out of payloads."""
    return unit.replace(b"\x00\x00\x03", b"\x00\x00")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRule:
    """The way in which slices of H.264 say their order count: one of three types, with its fields."""

    kind: int
    bits: int = 0
    """Type 0: the lower bits that slices have."""
    always_zero: bool = False
    """Type 1: slices have no difference to what is expected."""
    non_reference_offset: int = 0
    cycle: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class H264Sequence:
    """Fields of a sequence parameter set of H.264."""

    number: int
    frame_number_bits: int
    order: OrderRule
    frames_only: bool = True
    separate_planes: bool = False
    chroma: int = 1
    """Code of the chroma format; 1: 4:2:0."""
    macroblocks: tuple[int, int] = (1, 1)
    """Columns, and rows of a frame or field."""


def read_h264_sequence(unit: bytes) -> H264Sequence:
    """Read a sequence parameter set (ISO/IEC 14496-10, 7.3.2.1.1). Raises OutOfBits for one that is none."""
    return h264_sequence(BitReader(unit[1:]))


def h264_sequence(bits: BitReader) -> H264Sequence:
    """Read one up to its flag of frames, and leave the reader there. Raises OutOfBits."""
    profile = bits.number(8)
    bits.skip(16)
    number = _below(bits.unsigned(), 32)
    if profile not in _PROFILES:
        raise OutOfBits(f"{profile} is no profile of H.264")
    chroma, separate_planes = _read_chroma(bits) if profile in _HIGH_PROFILES else (1, False)
    frame_number_bits = 4 + _below(bits.unsigned(), 13)
    order = _order_rule(bits)
    bits.unsigned()
    bits.skip(1)
    width, height = (16 * (1 + _below(bits.unsigned(), _MAX_SIDE // 16)) for _ in range(2))
    _below(max(width, height), _MAX_SIDE + 1)
    return H264Sequence(
        number=number,
        frame_number_bits=frame_number_bits,
        order=order,
        frames_only=bits.flag(),
        separate_planes=separate_planes,
        chroma=chroma,
        macroblocks=(width // 16, height // 16),
    )


def _order_rule(bits: BitReader) -> OrderRule:
    kind = _below(bits.unsigned(), 3)
    if kind == 0:
        return OrderRule(kind=kind, bits=4 + _below(bits.unsigned(), 13))
    if kind == 1:
        always_zero, non_reference = bits.flag(), bits.signed()
        bits.signed()
        cycle = tuple(bits.signed() for _ in range(_below(bits.unsigned(), _MAX_CYCLE + 1)))
        return OrderRule(kind=kind, always_zero=always_zero, non_reference_offset=non_reference, cycle=cycle)
    return OrderRule(kind=kind)


def _read_chroma(bits: BitReader) -> tuple[int, bool]:
    """Read formats and scaling lists; return the chroma format and the flag of separately coded planes."""
    chroma = _below(bits.unsigned(), _CHROMA_444 + 1)
    separate = chroma == _CHROMA_444 and bits.flag()
    bits.unsigned()
    bits.unsigned()
    bits.skip(1)
    if bits.flag():
        for number in range(12 if chroma == _CHROMA_444 else 8):
            if bits.flag():
                _skip_scaling_list(bits, 16 if number < 6 else 64)  # noqa: PLR2004 - the first six are 4x4
    return chroma, separate


def _skip_scaling_list(bits: BitReader, length: int) -> None:
    last, following = 8, 8
    for _ in range(length):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


@dataclass(frozen=True, slots=True, kw_only=True)
class H264Slice:
    """Fields of the first slice header of a field or frame of H.264."""

    first_block: int
    sequence: H264Sequence
    reference: bool
    idr: bool
    frame_number: int
    field: bool
    bottom: bool
    order_bits: int
    """The lower bits of the order count, for type 0."""
    order_delta: int
    """The difference to what is expected, for type 1."""

    def same_frame(self, other: "H264Slice") -> bool:
        """Tell whether another slice belongs to the same frame, or field."""
        mine = (self.frame_number, self.idr, self.field, self.bottom, self.order_bits, self.order_delta)
        return mine == (other.frame_number, other.idr, other.field, other.bottom, other.order_bits, other.order_delta)


@dataclass(slots=True)
class H264Headers:
    """Parameter sets of H.264 that were seen so far, by number."""

    sequences: dict[int, H264Sequence]
    sets: dict[int, int]
    """The sequence of each picture parameter set."""

    def add_set(self, unit: bytes) -> None:
        """Read a picture parameter set. Raises OutOfBits."""
        bits = BitReader(unit[1:])
        number = _below(bits.unsigned(), _MAX_SETS)
        self.sets[number] = _below(bits.unsigned(), 32)

    def slice(self, unit: bytes) -> H264Slice:
        """Read the beginning of a slice header. Raises OutOfBits, also where its parameter sets are missing."""
        kind, bits = unit[0] & 0x1F, BitReader(unit[1:64])
        first_block = bits.unsigned()
        bits.unsigned()
        chosen = self.sets.get(bits.unsigned(), -1)
        if chosen not in self.sequences:
            raise OutOfBits("a slice names parameters that are not there")
        sequence = self.sequences[chosen]
        bits.skip(2 if sequence.separate_planes else 0)
        frame_number = bits.number(sequence.frame_number_bits)
        field = not sequence.frames_only and bits.flag()
        bottom = field and bits.flag()
        idr = kind == 5  # noqa: PLR2004 - nal_unit_type of Table 7-1
        if idr:
            bits.unsigned()
        order = sequence.order
        order_bits = bits.number(order.bits) if order.kind == 0 else 0
        delta = bits.signed() if order.kind == 1 and not order.always_zero else 0
        return H264Slice(
            first_block=first_block,
            sequence=sequence,
            reference=bool(unit[0] & 0x60),
            idr=idr,
            frame_number=frame_number,
            field=field,
            bottom=bottom,
            order_bits=order_bits,
            order_delta=delta,
        )


@dataclass(slots=True)
class HevcHeaders:
    """Parameter sets of HEVC that were seen so far, by number."""

    sequences: dict[int, tuple[int, bool]]
    """Of each sequence the bits of an order count, and whether planes are coded separately."""
    sets: dict[int, tuple[int, bool, int]]
    """Of each picture parameter set the sequence, whether slices say if they are shown, and their additional bits."""

    def add_sequence(self, unit: bytes) -> None:
        """Read a sequence parameter set (ISO/IEC 23008-2, 7.3.2.2). Raises OutOfBits for one that is none."""
        bits = BitReader(unit[2:])
        bits.skip(4)
        layers = _below(bits.number(3), _MAX_SUB_LAYERS)
        bits.skip(1)
        skip_profile(bits, layers)
        number = _below(bits.unsigned(), 16)
        chroma = _below(bits.unsigned(), _CHROMA_444 + 1)
        separate = chroma == _CHROMA_444 and bits.flag()
        for _ in range(2):
            side = bits.unsigned()
            if not _MIN_SIDE // 2 <= side <= _MAX_SIDE:
                raise OutOfBits(f"a side of {side} pixels is no video's")
        if bits.flag():
            for _ in range(4):
                bits.unsigned()
        _below(bits.unsigned(), 9)
        _below(bits.unsigned(), 9)
        self.sequences[number] = 4 + _below(bits.unsigned(), 13), separate

    def add_set(self, unit: bytes) -> None:
        """Read a picture parameter set. Raises OutOfBits."""
        bits = BitReader(unit[2:])
        number, sequence = _below(bits.unsigned(), 64), _below(bits.unsigned(), 16)
        bits.skip(1)
        self.sets[number] = sequence, bits.flag(), bits.number(3)

    def slice_order(self, unit: bytes) -> tuple[bool, int, int]:
        """Return whether a slice is the first of its frame, the lower bits of its order count, and how many they are.

        Raises OutOfBits, also where its parameter sets are missing.
        """
        kind, bits = unit[0] >> 1 & 0x3F, BitReader(unit[2:64])
        if not bits.flag():
            return False, 0, 0
        if 16 <= kind <= 23:  # noqa: PLR2004 - the types of random access frames in Table 7-1
            bits.skip(1)
        sequence, shown, extra = self.sets.get(bits.unsigned(), (-1, False, 0))
        if sequence not in self.sequences:
            raise OutOfBits("a slice names parameters that are not there")
        width, separate = self.sequences[sequence]
        bits.skip(extra)
        bits.unsigned()
        bits.skip(shown + 2 * separate)
        return True, 0 if kind in (19, 20) else bits.number(width), width


def skip_profile(bits: BitReader, layers: int) -> None:
    """Pass over profile_tier_level, whose length depends on the number of sub-layers."""
    bits.skip(96)
    present = [(bits.flag(), bits.flag()) for _ in range(layers)]
    if layers:
        bits.skip(2 * (8 - layers))
    for profile, level in present:
        bits.skip(88 * profile + 8 * level)


def _below(number: int, limit: int) -> int:
    if number >= limit:
        raise OutOfBits(f"{number} is not below {limit}")
    return number
