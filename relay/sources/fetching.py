"""Connections to sources: by checked addresses alone, bounded in time, and over as soon as nobody wants them."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus

from outbound.addresses import Reach
from outbound.errors import (
    REFUSED,
    DownloadBroken,
    DownloadEncoded,
    DownloadError,
    DownloadGarbled,
    DownloadRefused,
    DownloadSilent,
    DownloadUnreachable,
)
from outbound.fetching import Credentials, Download, Downloader, Part
from relay.errors import (
    SessionEnded,
    SourceEnded,
    SourceError,
    SourceNotMedia,
    SourceRefused,
    SourceRejected,
    SourceSilent,
    SourceUnreachable,
)
from relay.sources.pace import REQUEST_BYTES, Pace
from relay.sources.sniffing import SNIFFING_STEP
from relay.sources.source import SourceLimits, SourceStats

WHOLE = Part()


class Connection:
    """A response that is being read, by one thread."""

    def __init__(self, download: Download, held: ExitStack, fetcher: "Fetcher") -> None:
        self.url = download.url
        """The URL that it comes from, behind all redirects."""
        self.start = download.start
        """Position in the file of the first byte."""
        self._download = download
        self._held = held
        self._fetcher = fetcher
        self._blocks = self._read()
        self._ahead = b""

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes. Raises SourceSilent, SourceEnded where they end too early, SessionEnded."""
        if self._ahead:
            yield self._ahead
            self._ahead = b""
        yield from self._blocks

    def head(self, size: int) -> tuple[bytes, bool]:
        """Read some more bytes, and return the first ones so far, and whether there are no more.

        They are among `blocks`, too. Not to be called again when there are `size` of them, or no more.
        """
        enough = len(self._ahead) + SNIFFING_STEP
        while len(self._ahead) < enough:
            block = next(self._blocks, None)
            if block is None:
                return self._ahead[:size], True
            self._ahead += block
        return self._ahead[:size], False

    def expect(self, idle_seconds: float) -> None:
        """Bound the time without bytes from now on."""
        self._download.limit.max_idle = idle_seconds

    def close(self) -> None:
        """Close the connection. Not while another thread reads."""
        self._held.close()

    def _read(self) -> Iterator[bytes]:
        try:
            for block in self._download.blocks():
                self._fetcher.check()
                self._fetcher.stats.bytes += len(block)
                self._fetcher.paced(len(block))
                yield block
        except DownloadSilent as error:
            raise SourceSilent("the source sends nothing, or too little") from error
        except DownloadError as error:
            raise SourceEnded("the connection to the source broke") from error


class Fetcher:
    """Connects to the addresses of one source, until `ended` is set."""

    def __init__(
        self,
        reach: Reach,
        *,
        limits: SourceLimits,
        user_agent: str,
        credentials: Credentials | None,
        ended: threading.Event,
    ) -> None:
        self.limits = limits
        self.ended = ended
        self.stats = SourceStats()
        self._reach = reach
        self._user_agent = user_agent
        self._credentials = credentials
        self._pace = Pace(limits)

    def connect(self, url: str, *, part: Part = WHOLE, idle_seconds: float | None = None) -> Connection:
        """Request a URL. `idle_seconds`: time without bytes, by default `stall_seconds`.

        Raises SourceError, SessionEnded.
        """
        self.check()
        self.paced(REQUEST_BYTES)
        downloader = Downloader(
            self._reach,
            user_agent=self._user_agent,
            idle_seconds=self.limits.stall_seconds if idle_seconds is None else idle_seconds,
            min_bytes_per_second=self.limits.min_bytes_per_second,
            head_seconds=self.limits.head_seconds,
        )
        download = downloader.open(
            url, ends_at=float("inf"), part=part, credentials=self._credentials, on_wait=self.check
        )
        with ExitStack() as stack:
            try:
                opened = stack.enter_context(download)
            except DownloadError as error:
                raise _source_error(error) from error
            return Connection(opened, stack.pop_all(), self)

    def read(self, url: str, *, max_bytes: int, part: Part = WHOLE) -> tuple[str, bytes]:
        """Return the URL behind all redirects, and the bytes there. Raises SourceError, SessionEnded."""
        connection = self.connect(url, part=part)
        try:
            body = bytearray()
            for block in connection.blocks():
                body += block
                if len(body) > max_bytes:
                    raise SourceNotMedia(f"the source sends a playlist of more than {max_bytes} bytes")
            start = part.start - connection.start
            return connection.url, bytes(body[start : None if part.length is None else start + part.length])
        finally:
            connection.close()

    def check(self) -> None:
        """Raise SessionEnded if nobody wants the source any more."""
        if self.ended.is_set():
            raise SessionEnded("the session was ended")

    def paced(self, amount: int) -> None:
        """Wait after so many bytes, if they came too fast. Raises SessionEnded."""
        if seconds := self._pace.take(amount):
            self.pause(seconds)

    def pause(self, seconds: float) -> None:
        """Wait. Raises SessionEnded as soon as nobody wants the source any more."""
        if self.ended.wait(max(0.0, seconds)):
            self.check()


def _source_error(error: DownloadError) -> SourceError:
    """Translate the error of a request. Nothing is repeated that the server said."""
    if error.http_status is not None:
        return SourceRejected("the source answered with an HTTP error", details=_status(error.http_status))
    found: SourceError
    match error:
        case DownloadRefused():
            found = SourceRefused(REFUSED)
        case DownloadUnreachable():
            found = SourceUnreachable("there is no connection to the source")
        case DownloadSilent():
            found = SourceSilent("the source does not answer, or too slowly")
        case DownloadEncoded():
            found = SourceNotMedia("the source compresses what it sends, which is not accepted")
        case DownloadGarbled():
            found = SourceNotMedia("the source does not speak HTTP, or its header has no end")
        case DownloadBroken():
            found = SourceUnreachable("the source closed the connection")
        case _:
            found = SourceEnded("the source sent something else than was requested")
    return found


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
