"""Connections to checked addresses, and the time that the other side has."""

import errno
import math
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from functools import cache
from ipaddress import IPv4Address
from typing import Any

import certifi
import httpcore2

from outbound.addresses import Address, Reach
from outbound.lookups import LOOK_SECONDS

_CONNECT_SECONDS = 5.0


class TimeLimit:
    """Time that the other side may take: until `ends_at` (monotonic) in all, and `idle_seconds` without sending.

    Received bytes earn it idle time again, at `min_bytes_per_second`. Our own time between two reads does not count.
    `on_wait` is called ten times a second while nothing comes, and may raise what ends the wait.
    """

    def __init__(
        self,
        ends_at: float,
        *,
        idle_seconds: float = math.inf,
        min_bytes_per_second: int = 1,
        on_wait: Callable[[], object] = lambda: None,
    ) -> None:
        self.ends_at = ends_at
        self.on_wait = on_wait
        self.max_idle = self._idle = idle_seconds
        self._min_bytes_per_second = min_bytes_per_second

    def left(self, expired: type[Exception] = TimeoutError) -> float:
        """Return the seconds until one of the limits is reached. Raises `expired` afterwards."""
        left = min(self.ends_at - time.monotonic(), self._idle)
        if left <= 0:
            raise expired
        return left

    def waited(self, seconds: float, received: int) -> None:
        """Record a read."""
        self._idle = min(self.max_idle, self._idle - seconds + received / self._min_bytes_per_second)


class _Stream(httpcore2.NetworkStream):
    """A connection that is over when its time is over, however slowly the other side talks."""

    def __init__(self, opened: socket.socket, limit: TimeLimit) -> None:
        self._socket = opened
        self._limit = limit

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore2's signature
        while True:
            left, started = self._limit.left(httpcore2.ReadTimeout), time.monotonic()
            try:
                self._socket.settimeout(min(left, LOOK_SECONDS))
                data = self._socket.recv(max_bytes)
            except TimeoutError:
                self._limit.waited(time.monotonic() - started, 0)
                self._limit.on_wait()
            except OSError as error:
                raise httpcore2.ReadError(str(error)) from error
            else:
                self._limit.waited(time.monotonic() - started, len(data))
                return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore2's signature
        view = memoryview(buffer)
        try:
            while view:
                self._socket.settimeout(self._limit.left(httpcore2.WriteTimeout))
                view = view[self._socket.send(view) :]
        except TimeoutError as error:
            raise httpcore2.WriteTimeout from error
        except OSError as error:
            raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        try:
            self._socket = secured = ssl_context.wrap_socket(
                self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            self._shake_hands(secured)
        except OSError as error:
            self.close()
            raise httpcore2.ConnectError(str(error)) from error
        except BaseException:
            self.close()
            raise
        return self

    def _shake_hands(self, secured: ssl.SSLSocket) -> None:
        while True:
            left, started = self._limit.left(httpcore2.ConnectTimeout), time.monotonic()
            secured.settimeout(min(left, LOOK_SECONDS))
            try:
                secured.do_handshake()
            except TimeoutError:  # it goes on where it was
                self._limit.waited(time.monotonic() - started, 0)
                self._limit.on_wait()
            else:
                return

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore2's signature
        """Return the TLS connection, whose protocol httpcore2 reads."""
        return self._socket if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket) else None


def connected(address: Address, port: int, limit: TimeLimit) -> socket.socket:
    """Connect, for as long as there is time. Raises ConnectError, ConnectTimeout; as `limit.on_wait`."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setblocking(False)  # noqa: FBT003 - socket's signature
        _connect(opened, (str(address), port), limit)
    except OSError as error:
        opened.close()
        raise httpcore2.ConnectError(str(error)) from error
    except BaseException:
        opened.close()
        raise
    return opened


def _connect(opened: socket.socket, to: tuple[str, int], limit: TimeLimit) -> None:
    ends_at = min(limit.ends_at, time.monotonic() + _CONNECT_SECONDS)
    status, poll = opened.connect_ex(to), select.poll()
    poll.register(opened, select.POLLOUT)
    while status == errno.EINPROGRESS:
        left = ends_at - time.monotonic()
        if left <= 0:
            raise httpcore2.ConnectTimeout
        if poll.poll(min(left, LOOK_SECONDS) * 1000):
            status = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        else:
            limit.on_wait()
    if status:
        raise OSError(status, os.strerror(status))


class CheckedNetwork(httpcore2.NetworkBackend):
    """Connects to the checked address of a name, not to the name. `inner`: to one that strangers cannot reach."""

    def __init__(self, reach: Reach, limit: TimeLimit, *, plain: bool) -> None:
        self.inner = False
        self._reach = reach
        self._limit = limit
        self._plain = plain

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore2's signature
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        limit = self._limit
        addresses = self._reach.addresses(host, port, plain=self._plain, ends_at=limit.ends_at, on_wait=limit.on_wait)
        self.inner = not self._reach.is_public(addresses[0])
        return _Stream(connected(addresses[0], port, limit), limit)


@cache
def tls_context() -> ssl.SSLContext:
    """Return the context that trusts the authorities of browsers. It is one for all connections."""
    return ssl.create_default_context(cafile=certifi.where())
