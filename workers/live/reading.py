"""Reading a stream from its ingest server, again whenever the connection breaks."""

import logging
import threading
from collections.abc import Callable
from typing import Self

from outbound.errors import OutboundError
from outbound.rtmp import PlayReader
from transcoding.rtmp.client import PublishStarted
from workers.live.intake import Intake, Item

log = logging.getLogger(__name__)

_PAUSES_SECONDS = (0.1, 0.5, 1.0, 2.0)
"""Pauses before further attempts to connect; the last one is that of all others."""

OpenReader = Callable[[], PlayReader]
"""Connects to the ingest server and requests the stream. Raises OutboundError."""


class StreamReader:
    """Thread that reads a stream into an intake until `close`. A context manager."""

    def __init__(self, connect: OpenReader, intake: Intake, also: Callable[[Item], None]) -> None:
        self._connect = connect
        self._intake = intake
        self._also = also
        """Gets everything, too."""
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._reader: PlayReader | None = None
        self._thread = threading.Thread(target=self._run, name="live-reader", daemon=True)
        self.problem = ""
        """The reason for which it is not connected; empty: it is, or was not yet."""
        self.connections = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with self._lock:
            if self._reader:
                self._reader.close()
        self._thread.join()

    @property
    def waits(self) -> bool:
        """It is connected, and gets whatever is published from now on."""
        with self._lock:
            return self._reader is not None and self._reader.waiting.is_set()

    def _run(self) -> None:
        failures = 0
        while not self._over.is_set():
            try:
                self._read()
                failures = 0
            except OutboundError as error:
                self.problem = str(error)
                log.warning("a stream cannot be read", extra={"event": "live_read_failed", "error": self.problem})
            except Exception as error:
                self.problem = f"{type(error).__name__}: {error}"
                log.exception("reading a stream broke", extra={"event": "live_read_broke"})
            self._over.wait(_PAUSES_SECONDS[min(failures, len(_PAUSES_SECONDS) - 1)])
            failures += 1

    def _read(self) -> None:
        """Read one connection to its end."""
        reader = self._connect()
        try:
            with self._lock:
                self._reader = reader
            if self._over.is_set():
                return
            if self.connections:
                self._put(PublishStarted())  # whatever comes now has another clock
            self.connections += 1
            for item in reader:
                self.problem = ""
                self._put(item)
        finally:
            with self._lock:
                self._reader = None
            reader.close()

    def _put(self, item: Item) -> None:
        self._intake.put(item)
        self._also(item)
