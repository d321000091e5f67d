"""Reading of bit fields, as the headers of coded video have them."""


class OutOfBits(ValueError):
    """A field lies beyond the end, or is longer than any that a specification has."""


_LONGEST_ZEROS = 32
"""Leading zeros of an Exp-Golomb code: no field of H.264 and HEVC has more than 32 bits."""


class BitReader:
    """Reads the bits of a payload one field after another. Methods raise OutOfBits."""

    def __init__(self, payload: bytes) -> None:
        self._bits = int.from_bytes(payload, "big")
        self._left = 8 * len(payload)

    def number(self, width: int) -> int:
        """Return the next `width` bits as an unsigned number."""
        self.skip(width)
        return (self._bits >> self._left) & ((1 << width) - 1)

    def flag(self) -> bool:
        """Return the next bit."""
        return bool(self.number(1))

    def skip(self, width: int) -> None:
        """Pass over some bits."""
        if width > self._left:
            raise OutOfBits(f"{width} bits are needed, {self._left} are left")
        self._left -= width

    def unsigned(self) -> int:
        """Return the next Exp-Golomb code, ue(v) in H.264 and HEVC."""
        rest = self._bits & ((1 << self._left) - 1)
        zeros = self._left - rest.bit_length()
        if not rest or zeros > _LONGEST_ZEROS:
            raise OutOfBits("an Exp-Golomb code is too long")
        self.skip(zeros + 1)
        return (1 << zeros) - 1 + self.number(zeros)

    def signed(self) -> int:
        """Return the next signed Exp-Golomb code, se(v)."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)
