"""Requests to addresses that clients chose: never into our own network, never for long, never large.

Names are looked up once, every address is checked, and the connection goes to the checked address, so a name that
changes its mind between the check and the connection gains nothing. Redirects are answers like any other.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpcore2

from events.webhooks.lookups import Lookups
from events.webhooks.retry import Answer

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

REFUSED = "the address cannot be reached"
"""Said alike of names that do not exist and of addresses that are ours: strangers must not learn which it is."""

_CONNECT_SECONDS = 5.0
_HTTP_PORT, _HTTPS_PORT = 80, 443
_RESPONSE_BYTES = 4096
"""As much of an answer as is read and kept; what comes after it is nobody's business."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "64:ff9b:1::/48", "3fff::/20", "fec0::/10",
    )
)  # fmt: skip
"""Shared, special, test and site-local networks that Python does not call private everywhere."""


class AddressRefused(Exception):
    """A request would have gone where it must not, or nowhere."""


class NameUnanswered(AddressRefused):
    """No name server answers for a host at present: nobody knows where the request would go."""


def is_public(address: Address) -> bool:
    """Return True for an address on the open internet, also where it is wrapped into another one."""
    inner = _unwrapped(address)
    if inner != address:
        return is_public(inner)
    special = (
        address.is_multicast or address.is_reserved or address.is_unspecified or any(address in net for net in _NEVER)
    )
    return address.is_global and not special


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def networks_read(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks such as 10.1.0.0/16. Raises ValueError."""
    return tuple(ipaddress.ip_network(text.strip()) for text in texts)


@dataclass(frozen=True, slots=True)
class Reach:
    """Networks that requests may go to: anywhere public by HTTPS, and into these networks also by plain HTTP."""

    networks: tuple[Network, ...] = ()
    lookups: Lookups = field(default_factory=Lookups, compare=False)
    is_public: Callable[[Address], bool] = is_public

    def addresses(self, host: str, port: int, *, plain: bool, ends_at: float) -> list[Address]:
        """Resolve a host name. Raises AddressRefused unless all of it may be reached; TimeoutError."""
        try:
            found = self.lookups.find(host, port, ends_at)
        except (socket.gaierror, UnicodeError) as error:
            unanswered = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
            raise (NameUnanswered if unanswered else AddressRefused)(REFUSED) from error
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
        if not addresses or not all(self._allows(address, plain=plain) for address in addresses):
            raise AddressRefused(REFUSED)
        return list(dict.fromkeys(addresses))

    def refuses(self, url: str, *, seconds: float) -> bool:
        """Return True for a URL whose host does not exist or must not be reached; False where nobody says in time."""
        parts = urlsplit(url)
        plain = parts.scheme == "http"
        port = parts.port or (_HTTP_PORT if plain else _HTTPS_PORT)
        try:
            self.addresses(parts.hostname or "", port, plain=plain, ends_at=time.monotonic() + seconds)
        except (NameUnanswered, TimeoutError):
            return False
        except AddressRefused:
            return True
        return False

    def _allows(self, address: Address, *, plain: bool) -> bool:
        named = any(address in network for network in self.networks if network.version == address.version)
        return named or (self.is_public(address) and not plain)


class _Stream(httpcore2.NetworkStream):
    """A connection that is over when its time is over, however slowly the other side talks."""

    def __init__(self, inner: httpcore2.NetworkStream, ends_at: float) -> None:
        self._inner = inner
        self._ends_at = ends_at

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore2's signature
        return self._inner.read(max_bytes, self._left(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore2's signature
        self._inner.write(buffer, self._left(httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        left = self._left(httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._ends_at)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore2's signature
        return self._inner.get_extra_info(info)

    def _left(self, expired: type[Exception]) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise expired
        return left


class _Network(httpcore2.NetworkBackend):
    """Connects to the checked address of a name, not to the name. `inner`: to one that strangers cannot reach."""

    def __init__(self, reach: Reach, *, plain: bool, ends_at: float) -> None:
        self.inner = False
        self._reach = reach
        self._plain = plain
        self._ends_at = ends_at
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        first = self._reach.addresses(host, port, plain=self._plain, ends_at=self._ends_at)[0]
        self.inner = not self._reach.is_public(first)
        timeout_seconds = min(_CONNECT_SECONDS, max(0.001, self._ends_at - time.monotonic()))
        stream = self._sockets.connect_tcp(str(first), port, timeout_seconds, local_address, socket_options)
        return _Stream(stream, self._ends_at)


class OutboundClient:
    """Posts to addresses that are not ours. One connection per request: nothing is shared between receivers."""

    def __init__(self, reach: Reach, *, seconds: float) -> None:
        self._reach = reach
        self._seconds = seconds
        self._tls = ssl.create_default_context(cafile=certifi.where())

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send, and say what came of it. Never raises for what the other side does."""
        started = time.monotonic()
        answer = self._answer(url, body, headers, started + self._seconds)
        return answer(round((time.monotonic() - started) * 1000))

    def _answer(self, url: str, body: bytes, headers: Mapping[str, str], ends_at: float) -> "_Timed":
        plain = urlsplit(url).scheme == "http"
        network = _Network(self._reach, plain=plain, ends_at=ends_at)
        fields = [("Host", urlsplit(url).netloc), ("Connection", "close"), *headers.items()]
        try:
            with (
                httpcore2.ConnectionPool(ssl_context=self._tls, network_backend=network) as pool,
                pool.stream("POST", url, headers=fields, content=body) as response,
            ):
                shown = "" if network.inner else _beginning(response)
                return _Timed(response.status, "", shown, _retry_after(response.headers))
        except AddressRefused as error:
            return _Timed(None, str(error), "", None)
        except (httpcore2.TimeoutException, TimeoutError):
            return _Timed(None, f"no answer within {self._seconds:g} s", "", None)
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol, OSError) as error:
            reason = "" if network.inner else f": {error}"  # it can quote what was answered
            return _Timed(None, f"{type(error).__name__}{reason}"[:200], "", None)


@dataclass(frozen=True, slots=True)
class _Timed:
    """An answer whose time is taken last."""

    status: int | None
    error: str
    response: str
    retry_after: int | None

    def __call__(self, milliseconds: int) -> Answer:
        return Answer(
            status=self.status,
            error=self.error,
            response=self.response,
            milliseconds=milliseconds,
            retry_after=self.retry_after,
        )


def _beginning(response: httpcore2.Response) -> str:
    """The first bytes of a body. That it never ends, or ends badly, changes nothing about the status."""
    read = b""
    try:
        for block in response.iter_stream():
            read += block
            if len(read) >= _RESPONSE_BYTES:
                break
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        pass
    return read[:_RESPONSE_BYTES].decode("utf-8", "replace").replace("\x00", "")


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    value = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    return int(value) if value.isdigit() and len(value) <= 6 else None  # noqa: PLR2004 - a number of seconds, not a date
