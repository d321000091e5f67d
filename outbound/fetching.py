"""Downloads from servers of other people: ranged, streamed, bounded in time, and by checked addresses alone."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

import httpcore2

from outbound.addresses import AddressRefused, NameUnanswered, Reach
from outbound.connections import CheckedNetwork, TimeLimit, tls_context
from outbound.errors import DownloadChanged, DownloadEncoded, DownloadFailed, DownloadMissing, DownloadRefused
from outbound.urls import url_problem

MAX_REDIRECTS = 5
IDLE_SECONDS = 30.0
MIN_BYTES_PER_SECOND = 16 * 1024
"""Far less than any connection has that videos are fetched over."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Answers below 500 that another try may change."""
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that a server sends."""

    start: int
    """Position in the file of the first byte that is sent: the requested one, or 0."""
    size: int | None
    """Bytes of the whole file. None: the server does not say."""
    validator: str
    """Identifies its content, for If-Range. Empty: the server says nothing by which a change would show."""
    ranged: bool
    """The server sends parts of it."""
    response: httpcore2.Response

    @property
    def resumable(self) -> bool:
        """Return True if the rest can be had later."""
        return self.ranged and bool(self.validator)

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes. Raises DownloadFailed where they end early, or come too slowly."""
        with _translated():
            yield from self.response.iter_stream()


class Downloader:
    """Downloads over one connection each. No credentials, no cookies: nothing of ours is sent but the request."""

    def __init__(
        self,
        reach: Reach,
        *,
        user_agent: str,
        idle_seconds: float = IDLE_SECONDS,
        min_bytes_per_second: int = MIN_BYTES_PER_SECOND,
    ) -> None:
        self._reach = reach
        self._user_agent = user_agent
        self._idle_seconds = idle_seconds
        self._min_bytes_per_second = min_bytes_per_second
        self._tls = tls_context()

    @contextmanager
    def open(
        self,
        url: str,
        *,
        ends_at: float,
        start: int = 0,
        validator: str = "",
        on_wait: Callable[[], object] = lambda: None,
    ) -> Iterator[Download]:
        """Request a file, or from `start` on the rest of the one that this validator identifies.

        `ends_at` (monotonic) is when all of it must be there. `on_wait` is called every second while nothing comes, and
        may raise what ends the wait. Redirects are followed, each checked like the URL itself.

        Raises:
            DownloadRefused: it may not be reached, or redirects too often.
            DownloadMissing: the server refuses it.
            DownloadChanged: it is another file by now.
            DownloadEncoded: it is compressed.
            DownloadFailed: the server cannot be reached, or fails.

        """
        limit = TimeLimit(
            ends_at,
            idle_seconds=self._idle_seconds,
            min_bytes_per_second=self._min_bytes_per_second,
            on_wait=on_wait,
        )
        with ExitStack() as stack:
            with _translated():
                response = self._follow(stack, url, limit, _range(start, validator))
            yield _download(response, start, validator)

    def _follow(self, stack: ExitStack, url: str, limit: TimeLimit, headers: Mapping[str, str]) -> httpcore2.Response:
        for _ in range(MAX_REDIRECTS + 1):
            if url_problem(url, schemes=self._reach.schemes):
                raise DownloadRefused
            with ExitStack() as hop:
                response = hop.enter_context(self._requested(url, limit, headers))
                if response.status not in _REDIRECTS:
                    stack.push(hop.pop_all())
                    return response
                url = urljoin(url, _header(response, "location"))
        raise DownloadRefused

    @contextmanager
    def _requested(self, url: str, limit: TimeLimit, headers: Mapping[str, str]) -> Iterator[httpcore2.Response]:
        network = CheckedNetwork(self._reach, limit, plain=urlsplit(url).scheme == "http")
        fields = {
            "Host": urlsplit(url).netloc,
            "User-Agent": self._user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
            **headers,
        }
        with (
            httpcore2.ConnectionPool(ssl_context=self._tls, network_backend=network) as pool,
            pool.stream("GET", url.partition("#")[0], headers=list(fields.items())) as response,
        ):
            yield response


def _range(start: int, validator: str) -> dict[str, str]:
    return {"Range": f"bytes={start}-", "If-Range": validator} if start else {}


def _download(response: httpcore2.Response, start: int, validator: str) -> Download:
    """Check the head of a response. Raises DownloadError."""
    status = response.status
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
        raise DownloadChanged("the file became shorter while it was fetched")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER:
        raise DownloadFailed(f"the server answered {_status(status)}")
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise DownloadMissing(f"the server answered {_status(status)}")
    if encoding := _header(response, "content-encoding").strip().lower().removeprefix("identity"):
        raise DownloadEncoded(f"the server sends the file compressed ({encoding[:20]}), which is not accepted")
    found = _validator(response)
    if validator and found and found != validator:
        raise DownloadChanged("the file changed while it was fetched")
    ranged = status == HTTPStatus.PARTIAL_CONTENT
    first, size = _content_range(response) if ranged else (0, _number(_header(response, "content-length")))
    if first not in (start, 0) or (ranged and first != start):
        raise DownloadFailed("the server sent another part of the file than was requested")
    return Download(
        start=first,
        size=size,
        validator=found or (validator if ranged else ""),
        ranged=ranged or _header(response, "accept-ranges").strip().lower() == "bytes",
        response=response,
    )


def _validator(response: httpcore2.Response) -> str:
    """Return what If-Range takes: a strong ETag, otherwise the time of the last change (RFC 9110, 13.1.5).

    One that is not in ASCII cannot be sent back.
    """
    etag = _header(response, "etag")
    found = etag if etag.startswith('"') else _header(response, "last-modified")
    return found if found.isascii() else ""


def _content_range(response: httpcore2.Response) -> tuple[int, int | None]:
    match = _CONTENT_RANGE.fullmatch(_header(response, "content-range").strip())
    if match is None:
        raise DownloadFailed("the server sent a part of the file and does not say which")
    return int(match[1]), _number(match[2])


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None  # noqa: PLR2004 - below 2**63


def _header(response: httpcore2.Response, name: str) -> str:
    key = name.encode()
    return next((value.decode("latin-1") for found, value in response.headers if found.lower() == key), "")


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


@contextmanager
def _translated() -> Iterator[None]:
    """Translate the errors of connections. What servers say in them is not repeated."""
    try:
        yield
    except NameUnanswered as error:
        raise DownloadFailed("no name server answers for the host of the URL") from error
    except AddressRefused as error:
        raise DownloadRefused from error
    except (httpcore2.TimeoutException, TimeoutError) as error:
        raise DownloadFailed("the server sends nothing, or too slowly") from error
    except httpcore2.UnsupportedProtocol as error:
        raise DownloadRefused from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
        raise DownloadFailed(f"the connection failed ({type(error).__name__})") from error
