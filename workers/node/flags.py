"""A flag that a worker's parent raises and its children see at once, forked before or after."""

import mmap

_UP, _URGENT = 1, 2


class SharedFlag:
    """One byte of memory that survives fork. The parent of a prefork pool has no other way to reach a busy child."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def set(self, *, urgent: bool = False) -> None:
        """Raise the flag for good. Once it is urgent it stays urgent."""
        self._memory[0] = _URGENT if urgent else self._memory[0] or _UP

    def clear(self) -> None:
        """Lower the flag: for tests, and for a node that is put into service again."""
        self._memory[0] = 0

    def is_set(self) -> bool:
        """Tell whether the flag is up."""
        return self._memory[0] != 0

    def is_urgent(self) -> bool:
        """Tell whether there is no time left to finish anything."""
        return self._memory[0] == _URGENT
