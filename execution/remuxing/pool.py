"""The remux processes of a server: started when they are needed, ended when they are idle."""

import os
import sys
import threading
from itertools import count
from uuid import UUID

from configuration import ExecutionConfig
from execution.remuxing.jailed.messages import Start
from execution.remuxing.process import FULL, RemuxError, RemuxProcess, RemuxStream

AUDIO_BITRATE = 192_000
MAX_PROCESSES = 16
"""Processes of a node. Each may use 512 MiB, and uses a tenth of that."""
_IDLE_SECONDS = 60.0


class RemuxPool:
    """Processes of one owner each, of whom none may have more than half of them.

    What a stream does to its process, it does to streams of the same owner only. A process is filled before the next
    one is started.
    """

    def __init__(
        self,
        config: ExecutionConfig,
        *,
        max_processes: int = MAX_PROCESSES,
        idle_seconds: float = _IDLE_SECONDS,
        python: str | None = None,
    ) -> None:
        """Start nothing yet. `python` runs the program; None: the interpreter of this process."""
        self._config = config
        self._max_processes = max_processes
        self._idle_seconds = idle_seconds
        self._python = python or os.path.realpath(sys.executable)
        self._processes: list[RemuxProcess] = []
        self._numbers = count()
        self._lock = threading.Lock()

    def start(self, container: str, *, owner: UUID, audio_bitrate: int | None = None) -> RemuxStream:
        """Start a stream of this owner, from any thread. Raises RemuxError when there is no room.

        `audio_bitrate` None: the usual one, and audio that is what we give already is copied.
        """
        request = Start(
            stream=next(self._numbers),
            container=container,
            audio_bitrate=audio_bitrate or AUDIO_BITRATE,
            copies_audio=audio_bitrate is None,
        )
        with self._lock:
            for process in self._processes:
                if process.owner == owner and (stream := process.add(request)):
                    return stream
            if self._has_room(owner) and (stream := self._new_process(owner).add(request)):
                return stream
        raise RemuxError(FULL, "all remux processes are full")

    @property
    def pids(self) -> list[int]:
        """Process ids of those that run."""
        with self._lock:
            return [process.pid for process in self._processes if process.pid]

    def close(self) -> None:
        """End all processes and their streams."""
        with self._lock:
            processes = list(self._processes)
        for process in processes:
            process.close()

    def _has_room(self, owner: UUID) -> bool:
        """Tell whether this owner may have one more process. Idle ones make room where there is none."""
        if sum(process.owner == owner for process in self._processes) >= max(1, self._max_processes // 2):
            return False
        if len(self._processes) < self._max_processes:
            return True
        return sum(not process.retire_if_idle() for process in self._processes) < self._max_processes

    def _new_process(self, owner: UUID) -> RemuxProcess:
        try:
            process = RemuxProcess(
                self._config, owner=owner, python=self._python, idle_seconds=self._idle_seconds, on_over=self._forget
            )
        except (OSError, RuntimeError) as error:
            raise RemuxError(FULL, "no further remux process can be started") from error
        self._processes.append(process)
        return process

    def _forget(self, process: RemuxProcess) -> None:
        with self._lock:
            self._processes.remove(process)
