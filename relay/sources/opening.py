"""Opening sources: they are connected to, and their first bytes decide what they are."""

import threading
from collections.abc import Iterator
from typing import Protocol

from outbound.addresses import Reach
from outbound.errors import REFUSED
from outbound.fetching import Credentials
from outbound.urls import url_problem
from relay.errors import SessionEnded, SourceNotMedia, SourceRefused
from relay.sources.direct import Direct
from relay.sources.fetching import Connection, Fetcher
from relay.sources.hls import Hls
from relay.sources.playlists import is_playlist, single_stream
from relay.sources.sniffing import SNIFFED_BYTES, container_of
from relay.sources.source import SourceLimits, SourceStats

MAX_URL_CHARACTERS = 4096
_DEFAULT_LIMITS = SourceLimits()
_SCHEMES = ("http", "https")


class _Stream(Protocol):
    def blocks(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class FetchedSource:
    """A source that is fetched."""

    def __init__(self, container: str, stream: _Stream, fetcher: Fetcher) -> None:
        self.container = container
        self.stats: SourceStats = fetcher.stats
        self._stream = stream
        self._ended = fetcher.ended
        self._lock = threading.Lock()
        self._read = False

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes, in one thread. Raises SourceError."""
        with self._lock:
            if self._ended.is_set():
                return
            self._read = True
        try:
            yield from self._stream.blocks()
        except SessionEnded:
            return
        finally:
            self._stream.close()

    def close(self) -> None:
        """End `blocks` within 0.2 s, from any thread, or close what is open if nobody has called it."""
        with self._lock:
            self._ended.set()
            if not self._read:
                self._stream.close()


def source_problem(url: str) -> str:
    """Say what is wrong with the form of a source's URL; empty: nothing. It may have credentials. No lookups."""
    if len(url) > MAX_URL_CHARACTERS:
        return f"must not have more than {MAX_URL_CHARACTERS} characters"
    try:
        bare, _ = Credentials.split(url)
    except ValueError:
        return "must be an absolute address"
    return url_problem(bare, schemes=_SCHEMES)


def open_source(
    url: str,
    *,
    reach: Reach,
    user_agent: str,
    limits: SourceLimits = _DEFAULT_LIMITS,
    ended: threading.Event | None = None,
) -> FetchedSource:
    """Connect to a source, and wait for its first bytes.

    `ended`: an event of this source alone; set: it is not needed any more, also while it is opened.
    Raises SourceError, SessionEnded.
    """
    if source_problem(url):
        raise SourceRefused(REFUSED)
    bare, credentials = Credentials.split(url)
    fetcher = Fetcher(
        reach, limits=limits, user_agent=user_agent, credentials=credentials, ended=ended or threading.Event()
    )
    return _opened(fetcher, bare, may_lead=True)


def _opened(fetcher: Fetcher, url: str, *, may_lead: bool) -> FetchedSource:
    """Open a URL. `may_lead`: it may be a list with the URL of the stream."""
    connection = fetcher.connect(url, idle_seconds=fetcher.limits.silence_seconds)
    try:
        if container := _sniff(connection):
            connection.expect(fetcher.limits.stall_seconds)
            return FetchedSource(container, Direct(fetcher, url, connection, container), fetcher)
        text = _rest(connection, fetcher.limits.playlist_bytes)
    except BaseException:
        connection.close()
        raise
    connection.close()
    if may_lead and (stream := single_stream(text, connection.url)):
        return _opened(fetcher, stream, may_lead=False)
    hls = Hls(fetcher, connection.url, text)
    return FetchedSource(hls.container, hls, fetcher)


def _sniff(connection: Connection) -> str:
    """Read until it is clear what a response is: a container, or empty for a playlist. Raises SourceError."""
    while True:
        head, ended = connection.head(SNIFFED_BYTES)
        if is_playlist(head):
            return ""
        if container := container_of(head, ended=ended):
            return container


def _rest(connection: Connection, max_bytes: int) -> bytes:
    text = bytearray()
    for block in connection.blocks():
        text += block
        if len(text) > max_bytes:
            raise SourceNotMedia(f"the source sends a playlist of more than {max_bytes} bytes")
    return bytes(text)
