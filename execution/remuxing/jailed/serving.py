"""The process: takes streams from the server, and remuxes each in a thread of its own."""

import gc
import os
import socket
import threading
from contextlib import suppress

from execution.remuxing.jailed.messages import (
    BROKEN,
    MAX_BYTES,
    NOT_MEDIA,
    End,
    Ended,
    Failed,
    Message,
    Ready,
    Start,
    packed,
    unpacked,
)
from execution.remuxing.jailed.pipes import Ending, OutputFile, SourceFile, SourceUnreadable, StreamOver
from execution.remuxing.jailed.remux import Remux, RemuxFailed

_STATISTICS_SECONDS = 1.0
_DESCRIPTORS = 2


class _Stream(threading.Thread):
    """One stream."""

    def __init__(self, server: "Server", start: Start, source: int, output: int) -> None:
        super().__init__(name=f"stream-{start.stream}", daemon=True)
        self.number = start.stream
        self._server = server
        self._descriptors = (source, output)
        self.ending = Ending()
        self.remux = Remux(
            start,
            SourceFile(source, output, self.ending),
            OutputFile(output, self.ending),
            on_started=server.send,
        )

    def run(self) -> None:
        result: Message = Ended(stream=self.number)
        try:
            self.remux.run()
        except StreamOver:
            pass
        except SourceUnreadable:
            result = Failed(stream=self.number, code=NOT_MEDIA, text="no packet can be found in the source")
        except RemuxFailed as error:
            result = Failed(stream=self.number, code=error.code, text=str(error))
        except Exception as error:  # noqa: BLE001 - the other streams go on
            if not self.ending.is_set():
                result = Failed(stream=self.number, code=BROKEN, text=f"{type(error).__name__}: {error}"[:500])
        statistics = self.remux.statistics()
        self._server.remove(self)
        self.release()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self.ending.close()
        self._server.send(statistics)
        self._server.send(result)

    def release(self) -> None:
        """Free what FFmpeg holds for it: some of its objects refer to each other in circles."""
        del self.remux
        gc.collect()


class Server:
    """Serves the other end of a pair of sockets until it is closed."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._streams: dict[int, _Stream] = {}
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Take streams until the server is gone. The process ends then, whatever its streams do."""
        threading.Thread(target=self._report, name="statistics", daemon=True).start()
        self.send(Ready())
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._control, MAX_BYTES, _DESCRIPTORS)
            if not data:
                return
            self._take(unpacked(data), descriptors)

    def send(self, message: Message) -> None:
        """Send a message, from any thread. The main thread sees when there is nobody to send it to."""
        with suppress(OSError):
            self._control.send(packed(message))

    def remove(self, stream: _Stream) -> None:
        """Forget a stream that ends."""
        with self._lock:
            del self._streams[stream.number]

    def _take(self, message: Message, descriptors: list[int]) -> None:
        if isinstance(message, Start):
            source, output = descriptors
            stream = _Stream(self, message, source, output)
            with self._lock:
                self._streams[message.stream] = stream
            stream.start()
        elif isinstance(message, End):
            with self._lock:
                if ending := self._streams.get(message.stream):
                    ending.ending.set()

    def _report(self) -> None:
        waiting = threading.Event()
        while not waiting.wait(_STATISTICS_SECONDS):
            for message in self._statistics():
                self.send(message)

    def _statistics(self) -> list[Message]:
        with self._lock:
            return [stream.remux.statistics() for stream in self._streams.values()]
