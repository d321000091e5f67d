"""Peak memory of processes and peak size of a folder during a measurement."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_POLL_SECONDS = 0.25
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's blocks are


class Peaks:
    """Samples the memory of processes and the size of a folder, four times per second."""

    def __init__(self, processes: Sequence[int], folder: Path) -> None:
        self._processes = processes
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="peaks")
        self.memory = 0
        """Peak resident bytes of the processes and all their children."""
        self.disk = 0
        """Peak bytes of the folder's blocks on disk."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            self.memory = max(self.memory, sum(resident for _, resident in _tree(self._processes)))
            self.disk = max(self.disk, sum(_on_disk(self._folder)))


def _tree(roots: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield these processes and all their descendants with their resident bytes."""
    parents = dict(_parents())
    for process in {*parents, *roots}:
        line, above = process, {process}
        while (line := parents.get(line, 0)) and line not in above:
            above.add(line)
        if above & set(roots):
            with suppress(OSError):
                yield process, int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_BYTES


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                yield int(entry.name), int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def _on_disk(folder: Path) -> Iterator[int]:
    for directory, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                yield (Path(directory) / name).lstat().st_blocks * _BLOCK_BYTES
