"""The tables of a transport stream: its programs, and the streams that belong to them (ISO/IEC 13818-1, 2.4.4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

PACKET_BYTES, SYNC = 188, 0x47
PAT_PID, NULL_PID = 0, 0x1FFF
_HEADER_BYTES, _CRC_BYTES = 4, 4
_PAT, _PMT = 0, 2
_NOT_YET_VALID = 0
_MAX_SECTION_BYTES = 1021
_MAX_PACKETS_BETWEEN = 4096
"""Packets of other streams between two of one section."""
_MAX_PACKETS_OF = 2 * -(-_MAX_SECTION_BYTES // (PACKET_BYTES - _HEADER_BYTES))
"""Packets of one section: twice those that it fills, since an adaptation field may leave little room in some."""
_VIDEO_TYPES = frozenset({0x01, 0x02, 0x10, 0x1B, 0x24, 0x33, 0x42, 0xD1, 0xEA})
_AUDIO_TYPES = frozenset({0x03, 0x0F, 0x11, 0x1C})
_MPEG_AUDIO = {0x04: 0x03}
"""MPEG-2 audio as MPEG-1 audio: they have one decoder, and muxers take one for the other."""
_PRIVATE = frozenset({0x05, 0x06, *range(0x80, 0x100)}) - {0xD1, 0xEA}
"""Types of which descriptors say what the stream is."""
_REGISTRATION, _LANGUAGE = 0x05, 0x0A
_DESCRIBED = {
    0x6A: "AC-3",
    0x7A: "EAC3",
    0x7B: "DTS",
    0x7C: "AAC",
    0x81: "AC-3",
    0x45: "VBI",
    0x46: "VBI",
    0x56: "teletext",
    0x59: "subtitles",
}
"""Formats by the descriptors that only they have (ETSI EN 300 468, 6.1)."""
_AUDIO_FORMATS = frozenset({"AC-3", "EAC3", "DTS", "DTS1", "DTS2", "DTS3", "AAC", "Opus", "BSSD"})
_AUDIO_PRIVATE = frozenset({0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87})
"""Types of AC-3, DTS, TrueHD and their relatives in ATSC and on Blu-ray."""


class Bytes(Protocol):
    """Bytes, or a file in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...

    def find(self, sub: bytes, start: int, end: int, /) -> int: ...


@dataclass(slots=True)
class BoundedSearch:
    """Bytes in which no more than so many are searched: what looks like the beginning of a section may be none."""

    data: Bytes
    left: int
    """Bytes that may still be searched; a packet that is found counts whole, since it is looked at."""

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, part: slice, /) -> bytes:
        return self.data[part]

    def find(self, sub: bytes, start: int, end: int, /) -> int:
        end = min(end, start + self.left, len(self.data))
        found = self.data.find(sub, start, end)
        self.left -= min(self.left, max(0, (end if found < 0 else found) - start) + PACKET_BYTES)
        return found


class Kind(StrEnum):
    VIDEO = "video"
    AUDIO = "audio"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TransportStream:
    """A stream of a program. `format` is what descriptors of a private type say; empty: nothing."""

    pid: int
    type: int
    format: str = ""
    language: str = ""

    @property
    def kind(self) -> Kind:
        if self.type in _VIDEO_TYPES or self.format in {"HEVC", "VC-1", "AV01"}:
            return Kind.VIDEO
        if self.type in _AUDIO_TYPES or self.type in _AUDIO_PRIVATE or self.format in _AUDIO_FORMATS:
            return Kind.AUDIO
        return Kind.OTHER

    def is_like(self, other: "TransportStream") -> bool:
        """Tell whether a decoder of one is a decoder of the other, as far as the tables say."""
        return self.type == other.type and (self.format == other.format or not (self.format and other.format))


def packet_pid(packet: bytes | bytearray) -> int:
    """Return the PID of a packet from its first three bytes."""
    return (packet[1] & 0x1F) << 8 | packet[2]


def section_at(data: Bytes, position: int) -> bytes | None:
    """Return the section that begins in the packet at `position`, if it is whole: its checksum is right."""
    packet = data[position : position + PACKET_BYTES]
    payload = _payload(packet)
    if not payload or payload[0] >= len(payload):
        return None
    section = payload[1 + payload[0] :]
    for _ in range(_MAX_PACKETS_OF):
        if len(section) >= 3:  # noqa: PLR2004 - a table's number and its length
            length = (section[1] & 0x0F) << 8 | section[2]
            if length > _MAX_SECTION_BYTES or length <= _CRC_BYTES:
                return None
            if len(section) >= 3 + length:
                whole = bytes(section[: 3 + length])
                return None if _checksum(whole) else whole
        following = _next_packet(data, position, packet)
        if following is None:
            return None
        position, packet = following
        section += _payload(packet)
    return None


def _next_packet(data: Bytes, position: int, packet: bytes) -> tuple[int, bytes] | None:
    """Find the next packet of the same stream that continues a section."""
    mark, end = bytes((SYNC, packet[1] & 0x1F, packet[2])), position + _MAX_PACKETS_BETWEEN * PACKET_BYTES
    counter = (packet[3] + 1) & 0x0F
    while (position := data.find(mark, position + PACKET_BYTES, end)) >= 0:
        found = data[position : position + PACKET_BYTES]
        if len(found) == PACKET_BYTES and found[3] & 0x0F == counter:
            return position, found
    return None


def _payload(packet: bytes) -> bytes:
    if len(packet) < PACKET_BYTES or not packet[3] & 0x10:
        return b""
    return packet[_HEADER_BYTES + (1 + packet[4] if packet[3] & 0x20 else 0) :]


def programs_of(section: bytes) -> dict[int, int] | None:
    """Return the PIDs of the maps of all programs by the programs' numbers. None: it is no such table."""
    if section[0] != _PAT or not _is_current(section):
        return None
    entries = section[8:-_CRC_BYTES]
    found = (entries[at : at + 4] for at in range(0, len(entries) - 3, 4))
    programs = {each[0] << 8 | each[1]: (each[2] & 0x1F) << 8 | each[3] for each in found}
    return {number: pid for number, pid in programs.items() if number}  # 0 is the network's


def streams_of(section: bytes) -> tuple[int, tuple[TransportStream, ...]] | None:
    """Return a program's number and its streams. None: it is no such table."""
    if section[0] != _PMT or not _is_current(section) or len(section) < 12 + _CRC_BYTES:
        return None
    position = 12 + ((section[10] & 0x0F) << 8 | section[11])
    streams: list[TransportStream] = []
    while position + 5 <= len(section) - _CRC_BYTES:
        length = (section[position + 3] & 0x0F) << 8 | section[position + 4]
        descriptors = section[position + 5 : position + 5 + length]
        streams.append(_stream(section[position], packet_pid(section[position:]), descriptors))
        position += 5 + length
    return section[3] << 8 | section[4], tuple(streams)


def _is_current(section: bytes) -> bool:
    """Tell whether a table is valid from now on, and is all in this section."""
    return len(section) > 8 and section[5] & 1 != _NOT_YET_VALID and section[7] == 0  # noqa: PLR2004 - the fixed fields


def _stream(type_: int, pid: int, descriptors: bytes) -> TransportStream:
    found = dict(reversed(list(_descriptors(descriptors))))
    registered = found.get(_REGISTRATION, b"")[:4].decode("ascii", "replace").strip()
    described = next((name for tag, name in _DESCRIBED.items() if tag in found), registered)
    language = found.get(_LANGUAGE, b"")[:3].decode("ascii", "replace")
    return TransportStream(pid, _MPEG_AUDIO.get(type_, type_), described if type_ in _PRIVATE else "", language)


def _descriptors(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 2 <= len(data):
        yield data[position], data[position + 2 : position + 2 + data[position + 1]]
        position += 2 + data[position + 1]


def _checksum(section: bytes) -> int:
    """Return 0 for a section whose checksum is right (Annex A)."""
    register = 0xFFFFFFFF
    for byte in section:
        register = (register << 8 & 0xFFFFFFFF) ^ _CRC[(register >> 24) ^ byte]
    return register


def _crc_entry(byte: int) -> int:
    register = byte << 24
    for _ in range(8):
        register = (register << 1 ^ (0x04C11DB7 if register & 0x80000000 else 0)) & 0xFFFFFFFF
    return register


_CRC = tuple(map(_crc_entry, range(256)))
