"""The input of ffmpeg that is not published yet, for another run to begin with."""

import threading
from collections import deque
from dataclasses import dataclass, replace

from transcoding.flv.retiming import retimed, without_audio

_MAX_BYTES = 128 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes of FLV that were fed together. `time_ms` is that of the feed's clock."""

    data: bytes
    time_ms: int
    shown_ms: int
    """Time at which its frame is shown; of audio, `time_ms`."""
    keyframe: bool
    wall: float
    """Unix time at which it arrived."""

    def at(self, base_ms: int) -> bytes:
        """Return its bytes, with times that count from `base_ms`."""
        return retimed(self.data, base_ms)


class Replay:
    """Blocks from the last key frame on from which everything unpublished can be encoded again."""

    def __init__(self, *, max_bytes: int = _MAX_BYTES) -> None:
        self._lock = threading.Lock()
        self._blocks: deque[Block] = deque()
        self._bytes = 0
        self._max_bytes = max_bytes

    def add(self, block: Block) -> None:
        """Keep a block. Forgets all where that would be more than is kept: another run begins at a later key frame."""
        with self._lock:
            self._blocks.append(block)
            self._bytes += len(block.data)
            if self._bytes > self._max_bytes:
                self._forget(len(self._blocks))

    def clear(self) -> None:
        """Forget everything: another run begins with what arrives from now on."""
        with self._lock:
            self._forget(len(self._blocks))

    def forget_before(self, seconds: float) -> None:
        """Forget what is not needed to encode from this time of the feed's clock on."""
        with self._lock:
            needed = [number for number, each in enumerate(self._blocks) if each.keyframe and _before(each, seconds)]
            self._forget(needed[-1] if needed else 0)

    def first(self) -> Block | None:
        """Return the key frame that a run from here on begins with; None: there is none."""
        with self._lock:
            keyframes = (number for number, block in enumerate(self._blocks) if block.keyframe)
            self._forget(next(keyframes, len(self._blocks)))
            return self._blocks[0] if self._blocks else None

    def blocks(self, *, base_ms: int) -> list[bytes]:
        """Return the bytes of all blocks, with times that count from `base_ms`."""
        with self._lock:
            return [block.at(base_ms) for block in self._blocks]

    def silence(self) -> None:
        """Remove the audio from all blocks: what follows is coded in another way."""
        with self._lock:
            self._blocks = deque(replace(block, data=without_audio(block.data)) for block in self._blocks)
            self._bytes = sum(len(block.data) for block in self._blocks)

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._bytes -= len(self._blocks.popleft().data)


def _before(block: Block, seconds: float) -> bool:
    return block.shown_ms <= seconds * 1000
