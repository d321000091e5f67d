"""Headers of AAC frames (ADTS, ISO/IEC 13818-7, section 6.2), for audio that is what the encoder would give."""

HEADER_BYTES = 7
_LC_48_KHZ, _PROFILE_AND_RATE = 0x4C, 0xFD
"""Third byte, and its bits that say so; the others are private, and the first of the number of channels."""
_STEREO, _CHANNELS = 0x80, 0xC0
_BLOCKS = 0x03
_LONGEST = (1 << 13) - 1


def header(payload_bytes: int) -> bytes:
    """Return the header of a frame of AAC-LC, 48 kHz, stereo. Raises ValueError when it is too long."""
    size = payload_bytes + HEADER_BYTES
    if size > _LONGEST:
        raise ValueError("an AAC frame is too long")
    return bytes((0xFF, 0xF1, _LC_48_KHZ, _STEREO | size >> 11, size >> 3 & 0xFF, (size & 0b111) << 5 | 0x1F, 0xFC))


def is_plain(frame: bytes) -> bool:
    """Tell whether a frame with header is one block of AAC-LC, 48 kHz, stereo."""
    return (
        has_header(frame)
        and frame[2] & _PROFILE_AND_RATE == _LC_48_KHZ
        and frame[3] & _CHANNELS == _STEREO
        and frame[6] & _BLOCKS == 0
    )


def has_header(frame: bytes) -> bool:
    """Tell whether a frame has such a header."""
    return len(frame) >= HEADER_BYTES and frame[0] == 0xFF and frame[1] & 0xF6 == 0xF0  # noqa: PLR2004 - the sync word
