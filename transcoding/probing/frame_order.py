"""Frames of a raw H.264 or HEVC stream: where each begins, and the order in which they are shown.

Raw streams have no clock, and frames are coded in another order than they are shown in. Their headers say the order
(ISO/IEC 14496-10, 8.2.1; ISO/IEC 23008-2, 8.3.1). Nothing is decoded.
"""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice, pairwise

from transcoding.errors import NO_FRAME, InputRejected
from transcoding.sniffing.bits import OutOfBits
from transcoding.sniffing.nal import (
    START_CODE,
    H264Headers,
    H264Slice,
    HevcHeaders,
    Searchable,
    nal_units,
    read_h264_sequence,
)

_CHECKED_EVERY = 4096
_RECOVERY_POINT = 6
"""payloadType of the message that says from where on frames can be decoded."""
_LARGEST_ORDER = 1 << 62
"""Order counts of type 1 are multiplied with a number that the stream says, and could be of any size."""
_RASL, _LAST_SUB_LAYER = range(6, 10), 15


@dataclass(slots=True)
class CodedFrames:
    """The frames of a stream in coding order."""

    starts: "array[int]" = field(default_factory=lambda: array("q"))
    """Offset of each frame in the stream, in bytes."""
    keys: bytearray = field(default_factory=bytearray)
    """1 for frames that can be decoded without earlier ones."""
    _orders: "array[int]" = field(default_factory=lambda: array("q"))
    _sequences: "array[int]" = field(default_factory=lambda: array("q"))
    """Number of the first frame of each stretch whose order counts are comparable."""

    def add(self, start: int, *, key: bool, order: int, first: bool) -> None:
        """Append a frame. `first`: its order count starts again."""
        if first or not self.starts:
            self._sequences.append(len(self.starts))
        self.starts.append(start)
        self.keys.append(key)
        self._orders.append(order)

    def positions(self, breaks: Iterable[int] = ()) -> "array[int]":
        """Return of each frame the number at which it is shown, from 0.

        `breaks` are frames that are shown behind all those that come before them.
        """
        shown = array("q", bytes(8 * len(self.starts)))
        for begin, end in pairwise(sorted({*self._sequences, *breaks, len(self.starts)})):
            for position, frame in enumerate(sorted(range(begin, end), key=self._orders.__getitem__), start=begin):
                shown[frame] = position
        return shown


def coded_frames(
    data: Searchable, codec: str, *, max_frames: int, check: Callable[[], None] = lambda: None
) -> CodedFrames:
    """Find the frames of a raw stream of `h264` or `hevc`. `check` is called again and again, and may raise.

    Raises:
        InputRejected: The stream has no frame, or more than `max_frames`.

    """
    walk = _H264Walk() if codec == "h264" else _HevcWalk()
    units = nal_units(data)
    while block := list(islice(units, _CHECKED_EVERY)):
        check()
        for position, unit in block:
            walk.take(position - len(START_CODE), unit)
        if len(walk.frames.starts) > max_frames:
            raise InputRejected(f"a track has more than {max_frames} packets; export it at a usual frame rate")
    if not walk.frames.starts:
        raise InputRejected(NO_FRAME)
    return walk.frames


class _Walk:
    """State of a walk through the NAL units of a stream."""

    def __init__(self) -> None:
        self.frames = CodedFrames()
        self._front: int | None = None
        """Offset of the first unit behind the last frame that belongs to the next one."""

    def take(self, start: int, unit: bytes) -> None:
        """Take the next unit; one that cannot be read stays part of the frame before it."""
        try:
            self._read(start, unit)
        except (OutOfBits, IndexError):
            self._front = None

    def _read(self, start: int, unit: bytes) -> None:
        raise NotImplementedError

    def _in_front(self, start: int) -> None:
        if self._front is None:
            self._front = start

    def _begin(self, start: int) -> int:
        """Return where a frame begins whose first slice is here."""
        begin = start if self._front is None else self._front
        self._front = None
        return begin


class _H264Walk(_Walk):
    def __init__(self) -> None:
        super().__init__()
        self._headers = H264Headers({}, {})
        self._last: H264Slice | None = None
        self._paired = False
        self._recovers = False
        self._counter = _H264Counter()

    def _read(self, start: int, unit: bytes) -> None:
        kind = unit[0] & 0x1F
        if kind in (1, 5):
            self._slice(start, self._headers.slice(unit))
        elif 6 <= kind <= 9 or 14 <= kind <= 18:  # noqa: PLR2004 - those of 7.4.1.2.3 that begin an access unit
            self._in_front(start)
            if kind == 7:  # noqa: PLR2004 - a sequence parameter set
                sequence = read_h264_sequence(unit)
                self._headers.sequences[sequence.number] = sequence
            elif kind == 8:  # noqa: PLR2004 - a picture parameter set
                self._headers.add_set(unit)
            elif kind == 6:  # noqa: PLR2004 - additional information
                self._recovers = self._recovers or _RECOVERY_POINT in _messages(unit[1:])

    def _slice(self, start: int, found: H264Slice) -> None:
        last, self._last = self._last, found
        if last and found.first_block and found.same_frame(last):
            return
        if last and self._second_field(found, last):
            self._front = None
            return
        self._paired = False
        order = self._counter.order(found)
        if abs(order) > _LARGEST_ORDER:
            raise OutOfBits(f"{order} is no order count")
        self.frames.add(self._begin(start), key=found.idr or self._recovers, order=order, first=found.idr)
        self._recovers = False

    def _second_field(self, found: H264Slice, last: H264Slice) -> bool:
        fields = found.field and last.field and found.bottom != last.bottom
        if self._paired or not fields or found.frame_number != last.frame_number:
            return False
        self._paired = True
        return True


class _H264Counter:
    """Order counts of H.264 from what slices say (8.2.1)."""

    def __init__(self) -> None:
        self._high, self._low = 0, 0
        self._offset, self._last_number = 0, 0

    def order(self, found: H264Slice) -> int:
        if found.idr:
            self._high, self._low, self._offset, self._last_number = 0, 0, 0, 0
        if found.sequence.order.kind == 0:
            return self._from_bits(found)
        if found.frame_number < self._last_number:
            self._offset += 1 << found.sequence.frame_number_bits
        self._last_number = found.frame_number
        number = self._offset + found.frame_number
        if found.sequence.order.kind == 1:
            return _expected(found, number) + found.order_delta
        return 2 * number - (not found.reference)

    def _from_bits(self, found: H264Slice) -> int:
        high = _unwrapped(found.order_bits, self._high, self._low, found.sequence.order.bits)
        if found.reference:
            self._high, self._low = high, found.order_bits
        return high + found.order_bits


def _unwrapped(low: int, last_high: int, last_low: int, width: int) -> int:
    """Return the upper part of an order count of which the lower bits are known."""
    half = 1 << (width - 1)
    if low < last_low and last_low - low >= half:
        return last_high + 2 * half
    if low > last_low and low - last_low > half:
        return last_high - 2 * half
    return last_high


def _expected(found: H264Slice, number: int) -> int:
    """Return the order count of type 1 before its correction (8.2.1.2)."""
    cycle = found.sequence.order.cycle
    number = (number if cycle else 0) - (not found.reference and number > 0 and bool(cycle))
    count = 0
    if number > 0:
        whole, part = divmod(number - 1, len(cycle))
        count = whole * sum(cycle) + sum(cycle[: part + 1])
    return count if found.reference else count + found.sequence.order.non_reference_offset


def _messages(payload: bytes) -> set[int]:
    """Return the types of the messages in a unit of additional information (7.3.2.3)."""
    types, position = set(), 0
    while position + 2 < len(payload):
        numbers = []
        for _ in range(2):
            number = 0
            while payload[position] == 0xFF:  # noqa: PLR2004 - more bytes of the number follow
                number, position = number + 0xFF, position + 1
            numbers.append(number + payload[position])
            position += 1
        types.add(numbers[0])
        position += numbers[1]
    return types


class _HevcWalk(_Walk):
    def __init__(self) -> None:
        super().__init__()
        self._headers = HevcHeaders({}, {})
        self._high, self._low = 0, 0
        self._restarts = True
        """The stream begins here, or ended just before."""

    def _read(self, start: int, unit: bytes) -> None:
        kind, layer, temporal = unit[0] >> 1 & 0x3F, (unit[0] & 1) << 5 | unit[1] >> 3, (unit[1] & 7) - 1
        if layer:
            return
        if kind < 32:  # noqa: PLR2004 - slices
            self._slice(start, unit, kind, temporal)
        elif kind in (36, 37):  # the end of a sequence, of the stream
            self._restarts = True
        elif kind <= 35 or kind == 39 or 41 <= kind <= 44 or 48 <= kind <= 55:  # noqa: PLR2004 - those of 7.4.2.4.4
            self._in_front(start)
            if kind == 33:  # noqa: PLR2004 - a sequence parameter set
                self._headers.add_sequence(unit)
            elif kind == 34:  # noqa: PLR2004 - a picture parameter set
                self._headers.add_set(unit)

    def _slice(self, start: int, unit: bytes, kind: int, temporal: int) -> None:
        first, low, width = self._headers.slice_order(unit)
        if not first:
            return
        random_access = 16 <= kind <= 23  # noqa: PLR2004 - Table 7-1
        restarts = random_access and (kind != 21 or self._restarts)  # noqa: PLR2004 - a clean random access frame
        high = 0 if restarts else _unwrapped(low, self._high, self._low, width)
        leading_or_unused = kind in _RASL or (kind < _LAST_SUB_LAYER and kind % 2 == 0)
        if temporal == 0 and not leading_or_unused:
            self._high, self._low = high, low
        if random_access:
            self._restarts = False
        self.frames.add(self._begin(start), key=random_access, order=high + low, first=restarts)
