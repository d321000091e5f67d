"""Downloads from servers of other people: ranged, streamed, bounded in time, and by checked addresses alone."""

import math
import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

import httpcore2

from outbound.addresses import AddressRefused, NameUnanswered, Reach
from outbound.connections import CheckedNetwork, TimeLimit, tls_context
from outbound.errors import (
    DownloadBroken,
    DownloadChanged,
    DownloadEncoded,
    DownloadError,
    DownloadFailed,
    DownloadGarbled,
    DownloadMissing,
    DownloadRefused,
    DownloadSilent,
    DownloadUnreachable,
)
from outbound.urls import joined_url, url_problem

MAX_REDIRECTS = 5
IDLE_SECONDS = 30.0
MIN_BYTES_PER_SECOND = 16 * 1024
"""Far less than any connection has that videos are fetched over."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Answers below 500 that another try may change."""
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file: from `start` on, `length` bytes or the rest."""

    start: int = 0
    length: int | None = None
    validator: str = ""
    """Identifies the file that it is a part of. Empty: of whatever is there."""

    def headers(self) -> dict[str, str]:
        """Return the headers of a request for it."""
        last = "" if self.length is None else str(self.start + self.length - 1)
        requested = {"Range": f"bytes={self.start}-{last}"} if self.start or last else {}
        return {**requested, "If-Range": self.validator} if requested and self.validator else requested


_WHOLE = Part()


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
    url: str
    """The URL that it comes from, behind all redirects."""
    limit: TimeLimit
    """The time that the server still has."""
    response: httpcore2.Response

    @property
    def resumable(self) -> bool:
        """Return True if the rest can be had later."""
        return self.ranged and bool(self.validator)

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes. Raises DownloadFailed where they end early, or come too slowly."""
        with _translated():
            yield from self.response.iter_stream()


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password for one server: they are sent nowhere else, wherever it redirects to."""

    origin: str
    """Scheme, host and port."""
    authorization: str = field(repr=False)

    @classmethod
    def split(cls, url: str) -> "tuple[str, Credentials | None]":
        """Return a URL without the credentials in it, and these. Raises ValueError for what is no URL."""
        parts = urlsplit(url)
        user, _, host = parts.netloc.rpartition("@")
        if not user:
            return url, None
        words = ":".join(unquote(word) for word in user.split(":", 1))
        bare = parts._replace(netloc=host).geturl()
        return bare, cls(_origin(bare), f"Basic {b64encode(words.encode()).decode()}")

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers of a request to a URL."""
        return {"Authorization": self.authorization} if _origin(url) == self.origin else {}


class Downloader:
    """Downloads over one connection each. No cookies: nothing of ours is sent but the request.

    `head_seconds`: time for the head of a response, redirects included.
    """

    def __init__(
        self,
        reach: Reach,
        *,
        user_agent: str,
        idle_seconds: float = IDLE_SECONDS,
        min_bytes_per_second: int = MIN_BYTES_PER_SECOND,
        head_seconds: float = math.inf,
    ) -> None:
        self._reach = reach
        self._user_agent = user_agent
        self._idle_seconds = idle_seconds
        self._min_bytes_per_second = min_bytes_per_second
        self._head_seconds = head_seconds
        self._tls = tls_context()

    def of(self, party: object) -> "Downloader":
        """Return the same for URLs that somebody names, say an owner (`Reach.of`)."""
        found = copy(self)
        found._reach = self._reach.of(party)  # noqa: SLF001 - its own class
        return found

    @contextmanager
    def open(
        self,
        url: str,
        *,
        ends_at: float,
        part: Part = _WHOLE,
        credentials: Credentials | None = None,
        on_wait: Callable[[], object] = lambda: None,
    ) -> Iterator[Download]:
        """Request a file, or a part of it. A server may send all of it nevertheless.

        `ends_at` (monotonic) is when all of it must be there. `on_wait` is called ten times a second while nothing
        comes, and may raise what ends the wait. Redirects are followed, each checked like the URL itself.

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
        limit.ends_at = min(ends_at, time.monotonic() + self._head_seconds)
        with ExitStack() as stack:
            with _translated():
                url, response = self._follow(stack, url, limit, part.headers(), credentials)
            limit.ends_at = ends_at
            yield _download(url, limit, response, part)

    def _follow(
        self,
        stack: ExitStack,
        url: str,
        limit: TimeLimit,
        headers: Mapping[str, str],
        credentials: Credentials | None,
    ) -> tuple[str, httpcore2.Response]:
        for _ in range(MAX_REDIRECTS + 1):
            if url_problem(url, schemes=self._reach.schemes):
                raise DownloadRefused
            with ExitStack() as hop:
                own = credentials.headers(url) if credentials else {}
                response = hop.enter_context(self._requested(url, limit, {**headers, **own}))
                if response.status not in _REDIRECTS:
                    stack.push(hop.pop_all())
                    return url, response
                url = joined_url(url, _header(response, "location"))
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


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _download(url: str, limit: TimeLimit, response: httpcore2.Response, part: Part) -> Download:
    """Check the head of a response. Raises DownloadError."""
    start, validator = part.start, part.validator
    _check_status(response.status, started=bool(start))
    if encoding := _header(response, "content-encoding").strip().lower().removeprefix("identity"):
        raise DownloadEncoded(f"the server sends the file compressed ({encoding[:20]}), which is not accepted")
    found = _validator(response)
    if validator and found and found != validator:
        raise DownloadChanged("the file changed while it was fetched")
    ranged = response.status == HTTPStatus.PARTIAL_CONTENT
    first, size = _content_range(response) if ranged else (0, _number(_header(response, "content-length")))
    if first not in (start, 0) or (ranged and first != start):
        raise DownloadFailed("the server sent another part of the file than was requested")
    return Download(
        start=first,
        size=size,
        validator=found or (validator if ranged else ""),
        ranged=ranged or _header(response, "accept-ranges").strip().lower() == "bytes",
        url=url,
        limit=limit,
        response=response,
    )


def _check_status(status: int, *, started: bool) -> None:
    """Raise the DownloadError of a status, but for those that come with a file. `started`: not at its beginning."""
    if status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return
    error: DownloadError
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and started:
        error = DownloadChanged("the file became shorter while it was fetched")
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER:
        error = DownloadFailed(f"the server answered {_status(status)}")
    else:
        error = DownloadMissing(f"the server answered {_status(status)}")
    error.http_status = status
    raise error


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
        raise DownloadUnreachable("no name server answers for the host of the URL") from error
    except AddressRefused as error:
        raise DownloadRefused from error
    except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
        raise DownloadUnreachable(f"the connection failed ({type(error).__name__})") from error
    except (httpcore2.TimeoutException, TimeoutError) as error:
        raise DownloadSilent("the server sends nothing, or too slowly") from error
    except httpcore2.UnsupportedProtocol as error:
        raise DownloadRefused from error
    except httpcore2.ProtocolError as error:
        raise DownloadGarbled(f"the connection failed ({type(error).__name__})") from error
    except (httpcore2.NetworkError, OSError) as error:
        raise DownloadBroken(f"the connection failed ({type(error).__name__})") from error
