"""Sniffing of audio files: containers by their signatures, raw streams by frames that follow each other in step."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

AUDIO_DEMUXERS: Mapping[str, str] = MappingProxyType(
    {
        "aac": "aac",
        "ac3": "ac3",
        "aiff": "aiff",
        "amr": "amr",
        "au": "au",
        "caf": "caf",
        "dts": "dts",
        "eac3": "eac3",
        "flac": "flac",
        "mp3": "mp3",
        "truehd": "truehd",
        "w64": "w64",
        "wav": "wav",
        "wavpack": "wv",
    }
)
"""ffmpeg's demuxer for each family of files that have audio alone."""

Frame = tuple[int, object]
"""Length of a frame in bytes, and what the frames of one stream have in common."""

_SIGNATURES = (
    (0, b"fLaC", "flac"),
    (0, b"caff\x00\x01", "caf"),
    (0, b".snd", "au"),
    (0, b"wvpk", "wavpack"),
    (0, b"#!AMR\n", "amr"),
    (0, b"#!AMR-WB\n", "amr"),
    (0, bytes.fromhex("726966662e91cf11a5d628db04c10000"), "w64"),
    (4, bytes.fromhex("f8726fba"), "truehd"),
)
"""Offset, bytes and family."""
_WAVES = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_ID3_VERSIONS = (b"ID3\x02\x00", b"ID3\x03\x00", b"ID3\x04\x00")
_ID3_HEADER = 10
MAX_TAGS = 4
"""ID3 tags in a row that are passed over: programs that do not know an old one put theirs before it."""
_ID3_FOOTER_FLAG = 0x10
_HEADER_BYTES = 8
"""Bytes of a frame that tell its length, of any kind of raw stream here."""
_MAX_LEAD = 1 << 12
"""Bytes in front of the first frame of MP3 that are passed over."""
_FRAMES = 3
"""Frames in step that are no accident; two where the buffer has no room for more."""

_MPEG_1_KBITS = (
    (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_MPEG_2_KBITS = (
    (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
"""Kilobits per second by layer, for MPEG-1, and for MPEG-2 and 2.5 (ISO/IEC 11172-3, 13818-3)."""
_MPEG_RATES = (44_100, 48_000, 32_000)
_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
"""ETSI TS 102 366, table 4.13."""


def id3_bytes(head: bytes) -> int:
    """Return the length of the ID3v2 tag at the start of these bytes; 0: there is none. Covers make it megabytes."""
    if not head.startswith(_ID3_VERSIONS) or len(head) < _ID3_HEADER or max(head[6:_ID3_HEADER]) > 0x7F:  # noqa: PLR2004 - the sign of a byte is no part of the size
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return size + _ID3_HEADER * (2 if head[5] & _ID3_FOOTER_FLAG else 1)


def audio_family(head: bytes, *, more: bool) -> str | None:
    """Name the family (a key of `AUDIO_DEMUXERS`) of an audio file with these first bytes. None: it is none.

    Where they are an ID3v2 tag and there is `more`, what it is may lie behind them: it counts as MP3 until somebody
    looks there.
    """
    tagged = False
    for _ in range(MAX_TAGS):
        if tag := id3_bytes(head):
            head, tagged = head[tag:], True
    family = _by_signature(head) or next((family for family, frame_of in _RAW if _begins_with(head, frame_of)), None)
    return family or ("mp3" if tagged and more else None)


def has_late_mp3(head: bytes) -> bool:
    """Tell whether frames of MP3 begin behind something else, such as the rest of a cut one. Players pass over that."""
    start = head.find(0xFF, 1, _MAX_LEAD)
    while start >= 0:
        if _in_step(head, start, _mpeg_frame)[0] == _FRAMES:
            return True
        start = head.find(0xFF, start + 1, _MAX_LEAD)
    return False


def _by_signature(head: bytes) -> str | None:
    if head[:4] in _WAVES and head[8:12] == b"WAVE":
        return "wav"
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    return next((family for at, mark, family in _SIGNATURES if head[at : at + len(mark)] == mark), None)


def _begins_with(head: bytes, frame_of: Callable[[bytes], Frame | None]) -> bool:
    """Tell whether a stream begins here. Two frames suffice that are too long for a third, and one that is all."""
    found, position = _in_step(head, 0, frame_of)
    return found == _FRAMES or (found > 0 and position == len(head)) or (found > 1 and position > len(head))


def _in_step(head: bytes, position: int, frame_of: Callable[[bytes], Frame | None]) -> tuple[int, int]:
    """Count the frames of one kind from here, each where the one before it ends, and return where the last one ends."""
    found, common = 0, None
    while found < _FRAMES and position + _HEADER_BYTES <= len(head):
        frame = frame_of(head[position : position + _HEADER_BYTES])
        if frame is None or (found and frame[1] != common):
            break
        length, common = frame
        found += 1
        position += length
    return found, position


def _mpeg_frame(header: bytes) -> Frame | None:
    """Read the header of a frame of MPEG audio, layer I to III; those of no stated rate are left out."""
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    row, rate_index = header[2] >> 4, header[2] >> 2 & 3
    if header[0] != 0xFF or header[1] < 0xE0 or version == 1 or layer == 4 or row in (0, 15) or rate_index == 3:  # noqa: PLR2004 - reserved
        return None
    mpeg_1 = version == 3  # noqa: PLR2004 - its number
    bits = 1000 * (_MPEG_1_KBITS if mpeg_1 else _MPEG_2_KBITS)[layer - 1][row - 1]
    rate = _MPEG_RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    padding = header[2] >> 1 & 1
    if layer == 1:
        length = (12 * bits // rate + padding) * 4
    else:
        length = (144 if mpeg_1 or layer == 2 else 72) * bits // rate + padding  # noqa: PLR2004 - layer II
    return length, (version, layer, rate)


def _adts_frame(header: bytes) -> Frame | None:
    """Read the header of a frame of AAC in ADTS (ISO/IEC 13818-7)."""
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    rate_index = header[2] >> 2 & 15
    if header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or rate_index > 12 or length < _HEADER_BYTES:  # noqa: PLR2004 - reserved
        return None
    return length, (header[1], header[2] & 0xFD, header[3] & 0xC0)


def _ac3_frame(header: bytes) -> Frame | None:
    """Read the header of a frame of AC-3 (ETSI TS 102 366)."""
    rate_index, size = header[4] >> 6, header[4] & 63
    if header[:2] != b"\x0b\x77" or header[5] >> 3 > 10 or rate_index == 3 or size >= 2 * len(_AC3_KBITS):  # noqa: PLR2004 - reserved
        return None
    kbits = _AC3_KBITS[size >> 1]
    words = (2 * kbits, 320 * kbits // 147 + (size & 1), 3 * kbits)[rate_index]
    return 2 * words, rate_index


def _eac3_frame(header: bytes) -> Frame | None:
    """Read the header of a frame of E-AC-3, which says its length itself."""
    if header[:2] != b"\x0b\x77" or header[5] >> 3 not in range(11, 17):
        return None
    return 2 * (((header[2] & 7) << 8 | header[3]) + 1), "eac3"


def _dts_frame(header: bytes) -> Frame | None:
    """Read the header of a frame of DTS, as it is in files (ETSI TS 102 114)."""
    if header[:4] != b"\x7f\xfe\x80\x01":
        return None
    return ((header[5] & 3) << 12 | header[6] << 4 | header[7] >> 4) + 1, "dts"


_RAW: tuple[tuple[str, Callable[[bytes], Frame | None]], ...] = (
    ("mp3", _mpeg_frame),
    ("aac", _adts_frame),
    ("ac3", _ac3_frame),
    ("eac3", _eac3_frame),
    ("dts", _dts_frame),
)
