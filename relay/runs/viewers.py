"""Viewers of a run: each has a queue of its own, which is bounded. Everything here happens in the event loop."""

import asyncio
from collections import deque
from dataclasses import dataclass

from relay.runs.joining import Piece

QUEUE_BYTES = 4 << 20
"""Bytes that wait for a viewer at most. One who is further behind than others is dropped."""
ENOUGH_BYTES = QUEUE_BYTES // 2
"""The run waits while so much waits for each of its viewers."""
TOO_SLOW = "too_slow"
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Outcome:
    """Reason for the end of a stream. `error` None: it is a regular one."""

    code: str
    error: Exception | None = None

    @property
    def is_broken(self) -> bool:
        """Tell whether something is missing at the end."""
        return self.error is not None or self.code == TOO_SLOW


class Viewer:
    """One who reads a run, from the first point on at which it may begin."""

    def __init__(self, *, max_bytes: int = QUEUE_BYTES) -> None:
        self.waiting_bytes = 0
        self.outcome: Outcome | None = None
        self._max_bytes = max_bytes
        self._pieces: deque[bytes] = deque()
        self._joined = False
        self._changed = asyncio.Event()

    @property
    def has_enough(self) -> bool:
        """Tell whether it need not get more at present."""
        return self.waiting_bytes >= min(ENOUGH_BYTES, self._max_bytes)

    def offer(self, piece: Piece) -> bool:
        """Add a piece to the queue. False: there is no room for it."""
        if not self._joined and piece.head is not None:
            self._joined = True
            self._add(piece.head + piece.data)
        elif self._joined:
            self._add(piece.data)
        return self.waiting_bytes <= self._max_bytes

    def close(self, outcome: Outcome, *, at_once: bool = False) -> None:
        """Have `next` return None after what waits, or `at_once`. Only the first outcome counts."""
        self.outcome = self.outcome or outcome
        if at_once:
            self._pieces.clear()
            self.waiting_bytes = 0
        self._changed.set()

    async def next(self) -> bytes | None:
        """Wait for bytes. None: there will be no more; see `outcome`."""
        while not self._pieces:
            if self.outcome:
                return None
            self._changed.clear()
            await self._changed.wait()
        taken = [self._pieces.popleft()]
        size = len(taken[0])
        while self._pieces and size + len(self._pieces[0]) <= _BLOCK_BYTES:
            taken.append(self._pieces.popleft())
            size += len(taken[-1])
        self.waiting_bytes -= size
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _add(self, data: bytes) -> None:
        self._pieces.append(data)
        self.waiting_bytes += len(data)
        self._changed.set()
