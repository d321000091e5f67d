"""The remux processes of a server: started when they are needed, ended when they are idle."""

import os
import sys
import threading
from itertools import count

from configuration import ExecutionConfig
from execution.remuxing.jailed.messages import Start
from execution.remuxing.process import FULL, RemuxError, RemuxProcess, RemuxStream

AUDIO_BITRATE = 192_000
_IDLE_SECONDS = 60.0


class RemuxPool:
    """At most one process for each core. A process is filled before the next one is started."""

    def __init__(
        self,
        config: ExecutionConfig,
        *,
        max_processes: int | None = None,
        idle_seconds: float = _IDLE_SECONDS,
        python: str | None = None,
    ) -> None:
        """Start nothing yet. `python` runs the program; None: the interpreter of this process."""
        self._config = config
        self._max_processes = max_processes or len(os.sched_getaffinity(0))
        self._idle_seconds = idle_seconds
        self._python = python or os.path.realpath(sys.executable)
        self._processes: list[RemuxProcess] = []
        self._numbers = count()
        self._lock = threading.Lock()

    def start(self, container: str, *, audio_bitrate: int = AUDIO_BITRATE) -> RemuxStream:
        """Start a stream, from any thread. Raises RemuxError when there is no room."""
        request = Start(stream=next(self._numbers), container=container, audio_bitrate=audio_bitrate)
        with self._lock:
            for process in self._processes:
                if stream := process.add(request):
                    return stream
            if len(self._processes) < self._max_processes:
                process = RemuxProcess(
                    self._config, python=self._python, idle_seconds=self._idle_seconds, on_over=self._forget
                )
                self._processes.append(process)
                if stream := process.add(request):
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

    def _forget(self, process: RemuxProcess) -> None:
        with self._lock:
            self._processes.remove(process)
