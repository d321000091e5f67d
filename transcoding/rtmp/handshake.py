"""The handshake of a client (Adobe RTMP 1.0, 5.2): both sides send 1,536 bytes and return those of the other."""

from __future__ import annotations

from transcoding.rtmp.errors import RtmpViolation

VERSION = 3
SIZE = 1536
_ANSWER = 1 + 2 * SIZE  # S0, S1, S2


class Handshake:
    """A handshake that a client begins. `seed`: 1,528 random bytes."""

    def __init__(self, seed: bytes) -> None:
        self.opening = bytes((VERSION,)) + bytes(8) + seed[: SIZE - 8].ljust(SIZE - 8, b"\0")
        """First bytes to send."""
        self.left = b""
        """Bytes behind the handshake."""
        self._received = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes of the server; return what ends the handshake once it is complete. Raises RtmpViolation."""
        self._received += data
        if self._received[0] != VERSION:
            raise RtmpViolation("the server does not speak RTMP")
        if len(self._received) < _ANSWER:
            return None
        self.left = bytes(self._received[_ANSWER:])
        return bytes(self._received[1 : 1 + SIZE])
