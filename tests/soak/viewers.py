"""Viewers of a relay: one who watches all the time, and measures audio against video; and one who comes and goes."""

from __future__ import annotations

import http.client
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

import av

from tests.live_media import measured
from tests.soak.relays import Relay

_BLOCK = 1 << 16
_AGAIN_SECONDS = 1.0
_SILENCE_SECONDS = 30.0


@dataclass(slots=True)
class Watched:
    """A stream that somebody watches: what to open, and how far its beeps are from its flashes in the source."""

    name: str
    path: str
    source_url: str
    source_offset: float
    """Seconds from a flash to its beep, in the source."""


class Watcher:
    """Watches a stream until `close`, in a thread. It opens the stream again when it ends."""

    def __init__(self, relay: Relay, watched: Watched) -> None:
        self.watched = watched
        self.starts = 0
        self.failures: list[str] = []
        self.bytes = 0
        self.first_byte_seconds = 0.0
        self._relay = relay
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._recorded: bytearray | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def drift_ms(self, seconds: float) -> tuple[float, int] | None:
        """Watch for so long, and return how far audio is behind video beyond the source, and the number of beeps."""
        with self._lock:
            self._recorded = bytearray()
        self._over.wait(seconds)
        with self._lock:
            recorded, self._recorded = bytes(self._recorded or b""), None
        offsets: Sequence[float] = []
        with suppress(av.FFmpegError):
            offsets = measured(recorded).offsets()
        if not offsets:
            return None
        return (statistics.median(offsets) - self.watched.source_offset) * 1000, len(offsets)

    def close(self) -> None:
        """Leave, and wait for the thread."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            self.starts += 1
            try:
                self._view()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            self._over.wait(_AGAIN_SECONDS)

    def _view(self) -> None:
        query = urlencode({"source_url": self.watched.source_url})
        started = time.monotonic()
        with closing(http.client.HTTPConnection("127.0.0.1", self._relay.port, timeout=_SILENCE_SECONDS)) as client:
            client.request("GET", f"{self.watched.path}?{query}", headers={"X-API-Key": self._relay.key})
            with closing(client.getresponse()) as response:
                if response.status != http.client.OK:
                    self.failures.append(f"{response.status}: {response.read()!r}")
                    return
                while not self._over.is_set():
                    block = response.read1(_BLOCK)
                    if not block:
                        self.failures.append("the stream ended")
                        return
                    if not self.first_byte_seconds:
                        self.first_byte_seconds = time.monotonic() - started
                    self.bytes += len(block)
                    with self._lock:
                        if self._recorded is not None:
                            self._recorded += block


@dataclass(slots=True)
class Crowd:
    """Clients that open what `choices` has, as they like, and leave at random; some of them do not read."""

    relay: Relay
    choices: Sequence[tuple[str, str]]
    """Paths at the relay, and URLs of sources."""
    seed: int = 1
    answers: Counter[str] = field(default_factory=Counter)
    """Number of responses by their status."""
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, clients: int) -> None:
        for number in range(clients):
            chance = random.Random(f"{self.seed} {number}")  # noqa: S311 - who does what
            self._threads.append(threading.Thread(target=self._come_and_go, args=(chance,), daemon=True))
            self._threads[-1].start()

    def close(self) -> None:
        """Have all of them leave."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _come_and_go(self, chance: random.Random) -> None:
        while not self._over.is_set():
            path, url = chance.choice(self.choices)
            seconds = chance.choice((0.05, 0.5, 2, 8)) * chance.uniform(0.5, 1.5)
            reads = chance.random() > 0.1
            try:
                answer = self._visit(path, url, seconds, reads=reads)
            except TimeoutError:
                answer = "left before the status"
            except OSError as error:
                answer = type(error).__name__
            except http.client.HTTPException as error:
                answer = type(error).__name__
            with self._lock:
                self.answers[answer] += 1
            self._over.wait(chance.uniform(0, 1))

    def _visit(self, path: str, url: str, seconds: float, *, reads: bool) -> str:
        ends_at = time.monotonic() + seconds
        with closing(http.client.HTTPConnection("127.0.0.1", self.relay.port, timeout=seconds)) as client:
            client.request("GET", f"{path}?{urlencode({'source_url': url})}", headers={"X-API-Key": self.relay.key})
            with closing(client.getresponse()) as response, suppress(TimeoutError, ConnectionError):
                while response.status == http.client.OK and (left := ends_at - time.monotonic()) > 0:
                    if not reads:
                        self._over.wait(left)
                    elif not response.read1(_BLOCK):
                        break
                return str(response.status)
        return "none"
