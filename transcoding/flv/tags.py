"""Tags of FLV, as files and RTMP carry them (Adobe Flash Video File Format 10.1, Annex E; Enhanced RTMP v2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

FLV_HEADER = b"FLV\x01\x05" + (9).to_bytes(4, "big") + bytes(4)
"""File header that promises video and audio, and the size of the tag before the first one."""

_VIDEO_CODECS = {2: "flv1", 4: "vp6", 7: "h264", 12: "hevc"}
_AUDIO_CODECS = {2: "mp3", 10: "aac", 11: "speex"}
_FOUR_CC = {
    b"avc1": "h264", b"hvc1": "hevc", b"av01": "av1", b"vp09": "vp9", b"vp08": "vp8",
    b"mp4a": "aac", b"Opus": "opus", b".mp3": "mp3", b"ac-3": "ac3", b"ec-3": "eac3", b"fLaC": "flac",
}  # fmt: skip
_EX_VIDEO = 0x80
_EX_AUDIO = 9
_KEY, _COMMAND = 1, 5  # frame types
_HEADER, _FRAMES, _END, _FRAMES_AT_DTS = 0, 1, 2, 3  # packet types; the last one in extended tags only
_PACKETED = frozenset({"h264", "hevc"})
"""Codecs whose packets have an offset from decoding to presentation."""
_SIGN = 0x800000


class TagKind(IntEnum):
    """Types of tags, which are those of RTMP messages, too."""

    AUDIO = 8
    VIDEO = 9
    DATA = 18


@dataclass(frozen=True, slots=True)
class FlvTag:
    """One tag. `timestamp_ms` is its decode time, modulo 2^32. No property raises, whatever the data are."""

    kind: TagKind
    timestamp_ms: int
    data: bytes

    @property
    def is_video(self) -> bool:
        return self.kind == TagKind.VIDEO

    @property
    def is_audio(self) -> bool:
        return self.kind == TagKind.AUDIO

    @property
    def codec(self) -> str:
        """Name of the codec, as ffmpeg has it; empty where it is not known."""
        if not self.data or self.kind == TagKind.DATA:
            return ""
        if self._extended:
            return _FOUR_CC.get(self.data[1:5], "")
        codes, code = (_VIDEO_CODECS, self.data[0] & 0xF) if self.is_video else (_AUDIO_CODECS, self.data[0] >> 4)
        return codes.get(code, "")

    @property
    def is_keyframe(self) -> bool:
        """Tell whether it has a frame of video that can be decoded alone."""
        return self.is_frame and self.is_video and (self.data[0] >> 4 & 7) == _KEY

    @property
    def is_sequence_header(self) -> bool:
        """Tell whether it has the parameters that a decoder needs first."""
        return self._packet == _HEADER

    @property
    def is_header(self) -> bool:
        """Tell whether it has parameters or metadata, and no media."""
        return self.kind == TagKind.DATA or self.is_sequence_header

    @property
    def is_frame(self) -> bool:
        """Tell whether it has media."""
        return self._packet in (_FRAMES, _FRAMES_AT_DTS)

    @property
    def composition_ms(self) -> int:
        """Time from decoding to presentation; 0 for audio."""
        at = self._composition_at
        if at is None or len(self.data) < at + 3:
            return 0
        number = int.from_bytes(self.data[at : at + 3], "big")
        return number - 2 * _SIGN if number & _SIGN else number

    @property
    def payload(self) -> bytes:
        """Bytes behind the fields of the tag: for the decoder, or the record of its parameters."""
        if self._extended:
            return self.data[8 if self._composition_at else 5 :]
        if self.is_video:
            return self.data[5 if self.codec in _PACKETED else 1 :]
        return self.data[2 if self.codec == "aac" else 1 :]

    def without_composition(self) -> FlvTag:
        """Return the same, presented when it is decoded."""
        at = self._composition_at
        if at is None:
            return self
        return FlvTag(self.kind, self.timestamp_ms, self.data[:at] + bytes(3) + self.data[at + 3 :])

    @property
    def _extended(self) -> bool:
        first = self.data[0] if self.data else 0
        return bool(first & _EX_VIDEO) if self.is_video else self.is_audio and first >> 4 == _EX_AUDIO

    @property
    def _packet(self) -> int:
        """Type of the packet; that of the end for what is neither parameters nor media."""
        if not self.payload or self.kind == TagKind.DATA:
            return _END
        if self.is_video and (self.data[0] >> 4 & 7) == _COMMAND:
            return _END
        if self._extended:
            return self.data[0] & 0xF
        if self.codec in _PACKETED or self.codec == "aac":
            return min(self.data[1], _END)
        return _FRAMES

    @property
    def _composition_at(self) -> int | None:
        if not self.is_video or self.codec not in _PACKETED or not self.data:
            return None
        if not self._extended:
            return 2
        return 5 if self.data[0] & 0xF == _FRAMES else None


def flv_bytes(tag: FlvTag) -> bytes:
    """Write a tag as files have it, with its size behind it."""
    size, time = len(tag.data), tag.timestamp_ms & 0xFFFFFFFF
    head = bytes((tag.kind, *size.to_bytes(3, "big"), *(time & 0xFFFFFF).to_bytes(3, "big"), time >> 24, 0, 0, 0))
    return b"".join((head, tag.data, (size + len(head)).to_bytes(4, "big")))
