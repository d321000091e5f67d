"""H.264 whose fields are coded apart (PAFF), which no encoder here writes: macroblocks of raw samples."""

from collections.abc import Iterator
from pathlib import Path

from tests.inputs.case import Maker

_MACROBLOCK = 16
WIDTH, HEIGHT = 160, 96
_ROWS = HEIGHT // _MACROBLOCK // 2
"""Rows of macroblocks of a field."""
_STEP = 4
_RAW_SAMPLES = 25
"""mb_type of a macroblock of raw samples."""


class _Bits:
    """Writes bits and Exp-Golomb numbers, most significant bit first."""

    def __init__(self) -> None:
        self._text = ""

    def u(self, value: int, bits: int) -> "_Bits":
        self._text += f"{value:0{bits}b}"
        return self

    def ue(self, *values: int) -> "_Bits":
        for value in values:
            number = f"{value + 1:b}"
            self._text += "0" * (len(number) - 1) + number
        return self

    def raw(self, data: bytes) -> "_Bits":
        """Write whole bytes at the next whole byte."""
        self._text += "0" * (-len(self._text) % 8)
        self._text += "".join(f"{byte:08b}" for byte in data)
        return self

    def nal(self, head: int) -> bytes:
        """Return the unit, with its end bit, and the bytes that keep start codes out of it."""
        text = f"{self._text}1"
        text += "0" * (-len(text) % 8)
        body = bytearray()
        for byte in int(text, 2).to_bytes(len(text) // 8, "big"):
            if byte <= 3 and body.endswith(b"\0\0"):
                body.append(3)
            body.append(byte)
        return b"\0\0\0\1" + bytes((head,)) + bytes(body)


def paff(frames: int) -> Maker:
    """Write a stream of 50 fields per second, the top one first; field n has the level 16 + 4 n."""

    def maker(folder: Path) -> Path:
        path = folder / "paff.h264"
        path.write_bytes(b"".join(_stream(frames)))
        return path

    return maker


def _stream(frames: int) -> Iterator[bytes]:
    for frame in range(frames):
        yield _sequence().nal(0x67)
        yield _Bits().ue(0, 0).u(0, 2).ue(0, 0, 0).u(0, 3).ue(0, 0, 0).u(0, 3).nal(0x68)
        yield _field(2 * frame, frame % 2).nal(0x65)
        yield _field(2 * frame + 1, None).nal(0x21)


def _sequence() -> _Bits:
    """Main profile, level 3.0, shown in the order of decoding, fields allowed, 25 frames per second."""
    bits = _Bits().u(77, 8).u(0, 8).u(30, 8).ue(0, 0, 2, 1).u(0, 1)
    bits.ue(WIDTH // _MACROBLOCK - 1, _ROWS - 1).u(0b0010, 4).u(1, 1)
    return bits.u(0, 4).u(1, 1).u(1, 32).u(50, 32).u(1, 1).u(0, 4)


def _field(number: int, idr: int | None) -> _Bits:
    """A field as one slice: the top one is IDR with this id, the bottom one belongs to it."""
    bits = _Bits().ue(0, 7, 0).u(0, 4).u(1, 1)
    if idr is None:
        bits.u(1, 1).u(0, 1)
    else:
        bits.u(0, 1).ue(idr).u(0, 2)
    bits.ue(0)
    samples = bytes((16 + _STEP * number,)) * 256 + bytes((128,)) * 128
    for _ in range(_ROWS * WIDTH // _MACROBLOCK):
        bits.ue(_RAW_SAMPLES).raw(samples)
    return bits
