"""Videos with closed captions: CEA-608 in user data of H.264 frames, which ffmpeg reads and cannot write."""

import re
from pathlib import Path

from tests.ffmpeg.sources import run

RATE, SECONDS = 25, 3
SHOWN, ERASED = 25, 50
"""Frames at which the caption is shown, and erased."""
_LOAD, _ERASE_HIDDEN, _ROW_15, _SHOW, _ERASE = (0x14, 0x20), (0x14, 0x2E), (0x14, 0x70), (0x14, 0x2F), (0x14, 0x2C)
_NAL = re.compile(b"\x00\x00\x01(.)", re.DOTALL)
_ACCESS_UNIT, _SLICES = 9, (1, 5)


def captioned(path: Path, words: str = "HELLO") -> Path:
    """Write three seconds of MP4 that show words from the first to the second second. No words: idle captions."""
    source = f"testsrc2=size=160x90:rate={RATE}:duration={SECONDS}"
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-x264-params", "aud=1:repeat-headers=1"]
    stream = run(["-f", "lavfi", "-i", source, *coding, "-f", "h264", "-"])
    codes = _codes(words)
    starts = [found.start() for found in _NAL.finditer(stream) if found[1][0] & 0x1F == _ACCESS_UNIT]
    frames = [stream[start:end] for start, end in zip(starts, [*starts[1:], len(stream)], strict=True)]
    raw = path.with_suffix(".h264")
    raw.write_bytes(b"".join(_with_code(frame, codes.get(n, (0, 0))) for n, frame in enumerate(frames)))
    run(["-r", str(RATE), "-f", "h264", "-i", f"file:{raw}", "-c", "copy", f"file:{path}"])
    return path


def _codes(words: str) -> dict[int, tuple[int, int]]:
    """Return the two bytes of each frame that has some: a caption is loaded unseen, then shown (CEA-608, pop-on)."""
    if not words:
        return {}
    letters = words.encode("ascii") + b"\0" * (len(words) % 2)
    pairs = list(zip(letters[::2], letters[1::2], strict=True))
    loading = [_LOAD, _LOAD, _ERASE_HIDDEN, _ERASE_HIDDEN, _ROW_15, _ROW_15, *pairs]
    return dict(enumerate(loading, start=3)) | {SHOWN: _SHOW, SHOWN + 1: _SHOW, ERASED: _ERASE, ERASED + 1: _ERASE}


def _with_code(frame: bytes, code: tuple[int, int]) -> bytes:
    """Put the bytes of a caption in front of the image of a frame (ATSC A/53, Part 4, 6.2.3)."""
    first, second = (byte | (0x80 if byte.bit_count() % 2 == 0 else 0) for byte in code)  # odd parity
    data = b"\xb5\x00\x31GA94\x03\xc1\xff" + bytes((0xFC, first, second)) + b"\xff"
    message = bytes((4, len(data))) + data + b"\x80"
    message = re.sub(b"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", message)
    at = next(found.start() for found in _NAL.finditer(frame) if found[1][0] & 0x1F in _SLICES)
    return frame[:at] + b"\x00\x00\x01\x06" + message + frame[at:]
