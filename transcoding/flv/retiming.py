"""Changes of FLV tags in a row, as they are written: their times, and which of them there are."""

from collections.abc import Iterator

_HEADER_BYTES = 11
_TRAILER_BYTES = 4
_AUDIO = 8


def retimed(data: bytes, base_ms: int) -> bytes:
    """Return tags whose times count from `base_ms`; those before it are at 0."""
    if not base_ms:
        return data
    changed = bytearray(data)
    for start, _ in _tags(data):
        time = int.from_bytes(data[start + 4 : start + 7]) | data[start + 7] << 24
        time = max(0, time - base_ms)
        changed[start + 4 : start + 7] = (time & 0xFF_FFFF).to_bytes(3)
        changed[start + 7] = time >> 24
    return bytes(changed)


def without_audio(data: bytes) -> bytes:
    """Return the tags that are not of audio."""
    return b"".join(data[start:end] for start, end in _tags(data) if data[start] & 0x1F != _AUDIO)


def _tags(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the beginning and the end of each tag."""
    start = 0
    while start < len(data):
        size = int.from_bytes(data[start + 1 : start + 4])
        end = start + _HEADER_BYTES + size + _TRAILER_BYTES
        yield start, end
        start = end
