"""Points of an MPEG-TS of ours at which a viewer may begin: PAT and PMT, then a packet from which decoders can start.

Only the first packets of sections and of frames are looked at: the others are most of a stream.
"""

import re
from dataclasses import dataclass

from relay.runs.drift import Drift

PACKET = 188
"""Bytes of a packet."""
UNMARKED_LIMIT_BYTES = 4 << 20
"""Bytes without any mark after which any frame will do: video that is refreshed bit by bit has no key frames."""

_SYNC = 0x47
_STARTS = re.compile(rb"[\x40-\x7f]")
"""Second bytes of packets with the start of a section or frame, and without a transport error."""
_PAT_PID = 0
_HAS_ADAPTATION = 0x20
_RANDOM_ACCESS = 0x40
_VIDEO_TYPES = frozenset({0x01, 0x02, 0x10, 0x1B, 0x20, 0x21, 0x24, 0x33, 0x42, 0xD1, 0xD2, 0xEA})
"""Types of streams with video, by ISO/IEC 13818-1 and its registrations."""
_AUDIO_TYPES = frozenset({0x03, 0x04, 0x0F, 0x11, 0x81, 0x87})
"""Types of streams with audio: MPEG, AAC, and AC-3 as ATSC has it."""
_CRC_BYTES = 4
_PTS_BYTES = 14
"""Bytes of a frame up to the end of its time stamp."""


class NotOurs(Exception):
    """The bytes are no MPEG-TS as a muxer writes it: whole packets, one after the other."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole packets. `head` is what a viewer who begins with them gets first; None: nobody may begin here."""

    data: bytes
    head: bytes | None = None


class Joining:
    """Cuts a stream where viewers may begin."""

    def __init__(self, *, unmarked_limit_bytes: int = UNMARKED_LIMIT_BYTES) -> None:
        self._unmarked_limit_bytes = unmarked_limit_bytes
        self._rest = b""
        self._pat = b""
        self._pmt = b""
        self._pmt_pid: int | None = None
        self._pid: int | None = None
        self._audio_pid: int | None = None
        self._is_video = False
        self._unmarked_bytes = 0
        self.drift = Drift()

    def feed(self, data: bytes) -> list[Piece]:
        """Return the whole packets so far, cut at the first point at which viewers may begin. Raises NotOurs."""
        data = self._rest + data
        size = len(data) - len(data) % PACKET
        block, self._rest = data[:size], data[size:]
        if block[::PACKET].count(_SYNC) != size // PACKET:
            raise NotOurs("the output is not a sequence of MPEG-TS packets")
        if not block:
            return []
        self._unmarked_bytes += size
        start, head = self._point(block)
        if head is None:
            return [Piece(block)]
        before = [Piece(block[:start])] if start else []
        return [*before, Piece(block[start:], head)]

    def _point(self, block: bytes) -> tuple[int, bytes | None]:
        """Return the first position where viewers may begin, with its head; read tables and times on the way."""
        point, head = 0, None
        for match in _STARTS.finditer(block[1::PACKET]):
            start = match.start() * PACKET
            pid = (block[start + 1] & 0x1F) << 8 | block[start + 2]
            if pid == _PAT_PID:
                self._pat = block[start : start + PACKET]
                self._pmt_pid = _first_programme(_section(self._pat))
            elif pid == self._pmt_pid:
                self._pmt = block[start : start + PACKET]
                self._pid, self._is_video, self._audio_pid = _leading_streams(_section(self._pmt))
            elif pid == self._pid:
                if self._is_video and (time := _time(block, start)) is not None:
                    self.drift.video(time)
                if head is None and self._may_begin(block, start):
                    point, head = start, self._pat + self._pmt
            elif pid == self._audio_pid and (time := _time(block, start)) is not None:
                self.drift.audio(time)
        return point, head

    def _may_begin(self, block: bytes, start: int) -> bool:
        if not self._is_video:  # each frame of audio stands for itself
            return True
        has_fields = block[start + 3] & _HAS_ADAPTATION and block[start + 4]
        if has_fields and block[start + 5] & _RANDOM_ACCESS:
            self._unmarked_bytes = 0
            return True
        return self._unmarked_bytes > self._unmarked_limit_bytes


def _section(packet: bytes) -> bytes:
    """Return the section that begins in a packet, without its checksum; empty where it is no whole one."""
    payload = 4 + (1 + packet[4] if packet[3] & _HAS_ADAPTATION else 0)
    begin = payload + 1 + (packet[payload] if payload < PACKET else 0)
    if begin + 3 > PACKET:
        return b""
    size = (packet[begin + 1] & 0x0F) << 8 | packet[begin + 2]
    return packet[begin : min(PACKET, begin + 3 + size - _CRC_BYTES)]


def _first_programme(pat: bytes) -> int | None:
    """Return the PID of the PMT of the first programme in a PAT."""
    for start in range(8, len(pat) - 3, 4):
        if pat[start : start + 2] != b"\0\0":  # else the network's table
            return (pat[start + 2] & 0x1F) << 8 | pat[start + 3]
    return None


def _leading_streams(pmt: bytes) -> tuple[int | None, bool, int | None]:
    """Return the PID of the stream that viewers begin with, whether it is video, and the PID of the first audio.

    Without video, the first stream of all leads.
    """
    first = video = audio = None
    start = 12 + ((pmt[10] & 0x0F) << 8 | pmt[11] if len(pmt) > 11 else 0)  # noqa: PLR2004 - the length of its head
    while start + 5 <= len(pmt):
        pid = (pmt[start + 1] & 0x1F) << 8 | pmt[start + 2]
        if pmt[start] in _VIDEO_TYPES:
            video = pid if video is None else video
        elif pmt[start] in _AUDIO_TYPES:
            audio = pid if audio is None else audio
        first = pid if first is None else first
        start += 5 + ((pmt[start + 3] & 0x0F) << 8 | pmt[start + 4])
    return (first if video is None else video), video is not None, audio


def _time(block: bytes, start: int) -> int | None:
    """Return the presentation time of the frame that starts in the packet there, if it has one."""
    frame = start + 4 + (1 + block[start + 4] if block[start + 3] & _HAS_ADAPTATION else 0)
    if frame + _PTS_BYTES > start + PACKET or block[frame : frame + 3] != b"\0\0\1" or not block[frame + 7] & 0x80:
        return None
    one, two, three, four, five = block[frame + 9 : frame + _PTS_BYTES]
    return (one >> 1 & 7) << 30 | two << 22 | three >> 1 << 15 | four << 7 | five >> 1
