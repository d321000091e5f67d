"""Cutting streams at the units of their containers, so that what follows an interruption begins with a whole one."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from relay.errors import SourceEnded, SourceNotMedia
from relay.sources.sniffing import SNIFFED_BYTES
from transcoding.sniffing.structures import TS_PACKETS, transport_stream_start

_SYNC = 0x47
_PACKET = 188
_MARKS = 8
"""Packets in step that are no accident."""
_FLV_HEADER, _FLV_TAG_HEADER, _FLV_TAG_END = 13, 11, 4
_FLV_TAGS = (8, 9, 18)
_FLV_TAG_TYPE = 0x1F
MAX_TAG_BYTES = 4 << 20
"""Size of a tag of FLV, which is one frame. Frames of 100 Mbit/s are smaller."""


class Alignment(Protocol):
    """The units of one stream."""

    def feed(self, block: bytes) -> bytes:
        """Take the next bytes, and return whole units. Raises SourceNotMedia, SourceEnded: they are none any more."""
        ...

    def restart(self) -> None:
        """Forget a unit that was cut off: the stream begins again. Raises SourceEnded: it cannot."""
        ...


class Packets:
    """Packets of MPEG-TS, of 188 bytes: what those of 192 and 204 have in addition is left out."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._size = self._lead = 0

    def feed(self, block: bytes) -> bytes:
        self._rest += block
        if not self._size and not self._find():
            return b""
        whole = len(self._rest) // self._size * self._size
        if whole and self._rest[self._lead] != _SYNC:
            self.restart_within()
            return b""
        units = bytes(self._rest[:whole])
        del self._rest[:whole]
        if self._size == _PACKET:
            return units
        return b"".join(units[at : at + _PACKET] for at in range(self._lead, whole, self._size))

    def restart(self) -> None:
        self._rest.clear()
        self._size = 0

    def restart_within(self) -> None:
        """Look for the packets again, behind bytes that are lost."""
        del self._rest[:1]
        self._size = 0

    def _find(self) -> bool:
        """Find the beginning of a packet, and drop what is in front of it."""
        while True:
            head = bytes(self._rest[:SNIFFED_BYTES])
            start = transport_stream_start(head, SNIFFED_BYTES)
            if start is None:
                if len(head) == SNIFFED_BYTES:
                    raise SourceNotMedia("the source does not send MPEG-TS any more")
                return False
            for size, lead in TS_PACKETS:
                marks = head[start + lead :: size][:_MARKS]
                if marks.count(_SYNC) == len(marks) > 1:
                    self._size, self._lead = size, lead
                    del self._rest[:start]
                    return True
            del self._rest[: start + 1]


class Tags:
    """Tags of FLV. The header of the file is let through once."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._headers = 0
        self._in_header = True

    def feed(self, block: bytes) -> bytes:
        self._rest += block
        units, position = b"", 0
        if self._in_header:
            if len(self._rest) < _FLV_HEADER:
                return b""
            if not self._rest.startswith(b"FLV"):
                raise SourceNotMedia("the source does not send FLV any more")
            position = _FLV_HEADER
            units = b"" if self._headers else bytes(self._rest[:position])
            self._headers, self._in_header = 1, False
        start = position
        while len(self._rest) >= position + _FLV_TAG_HEADER:
            size = int.from_bytes(self._rest[position + 1 : position + 4], "big")
            if self._rest[position] & _FLV_TAG_TYPE not in _FLV_TAGS or size > MAX_TAG_BYTES:
                raise SourceEnded("the source sends bytes that are no FLV")
            end = position + _FLV_TAG_HEADER + size + _FLV_TAG_END
            if end > len(self._rest):
                break
            position = end
        units += bytes(self._rest[start:position])
        del self._rest[:position]
        return units

    def restart(self) -> None:
        self._rest.clear()
        self._in_header = True


class Boxes:
    """Fragmented MP4, as it comes: it cannot begin again."""

    def feed(self, block: bytes) -> bytes:
        return block

    def restart(self) -> None:
        raise SourceEnded("the connection to the source broke, and fragmented MP4 cannot be continued")


_ALIGNMENTS: Mapping[str, Callable[[], Alignment]] = MappingProxyType({"mpegts": Packets, "flv": Tags, "mp4": Boxes})


def alignment_of(container: str) -> Alignment:
    """Return the alignment of a container that `container_of` names."""
    return _ALIGNMENTS[container]()
