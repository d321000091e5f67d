"""Streams by RTMP: played from our own ingest servers, and published to servers of other people."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from urllib.parse import urlencode, urlsplit

import httpcore2

from outbound.addresses import AddressRefused, Reach
from outbound.connections import TimeLimit, connected, tls_context
from outbound.errors import REFUSED, PeerBroken, PeerRefused, PeerSilent, PeerUnreachable
from outbound.lookups import LOOK_SECONDS
from transcoding.flv.tags import FlvTag
from transcoding.rtmp.client import Accepted, Event, PublishEnded, PublishStarted, RtmpClient, Target
from transcoding.rtmp.errors import RtmpRefused, RtmpViolation
from transcoding.rtmp.handshake import SIZE

_PORTS = {"rtmp": 1935, "rtmps": 443}
_READ_BYTES = 128 * 1024
_CLOSED = "the server closed the connection"

Incoming = FlvTag | PublishStarted | PublishEnded


def play(  # noqa: PLR0913 - the parts of an address
    address: str, app: str, name: str, *, args: Mapping[str, str], connect_seconds: float, silence_seconds: float
) -> PlayReader:
    """Play a stream of an ingest server of ours, and return once that has accepted. Raises OutboundError.

    `address`: host, and a port where it is not 1935. `args` are for its hooks. `silence_seconds`: without a byte, not
    even a ping, the connection is taken for broken.
    """
    ends_at = time.monotonic() + connect_seconds
    query = f"?{urlencode(args)}" if args else ""
    target = Target(url=f"rtmp://{address}/{app}", app=app, name=f"{name}{query}")
    try:
        parts = urlsplit(target.url)
        opened = socket.create_connection((parts.hostname or "", parts.port or _PORTS["rtmp"]), connect_seconds)
    except (OSError, ValueError) as error:
        raise PeerUnreachable(f"the ingest server cannot be reached: {error}") from error
    connection = RtmpConnection(opened, target)
    return PlayReader(connection, connection.accepted(ends_at), silence_seconds)


def publish(url: str, *, reach: Reach, connect_seconds: float, stall_seconds: float) -> PublishWriter:
    """Publish to a URL such as rtmps://host/app/key, and return once its server has accepted. Raises OutboundError.

    `stall_seconds`: without a byte that it takes, the connection is taken for broken.
    """
    ends_at = time.monotonic() + connect_seconds
    parts = urlsplit(url)
    app, _, name = parts.path.strip("/").rpartition("/")
    base = f"{parts.scheme}://{parts.netloc}/{app}"
    target = Target(url=base, app=app, name=f"{name}?{parts.query}" if parts.query else name, publishing=True)
    plain = parts.scheme == "rtmp"
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    limit = TimeLimit(ends_at)
    try:
        opened = connected(reach.addresses(host, port, plain=plain, ends_at=ends_at)[0], port, limit)
    except AddressRefused as error:
        raise PeerUnreachable(REFUSED) from error
    except (httpcore2.NetworkError, httpcore2.TimeoutException, TimeoutError) as error:
        raise PeerUnreachable("no connection") from error
    if not plain:
        opened = _secured(opened, host, ends_at)
    connection = RtmpConnection(opened, target)
    connection.accepted(ends_at)
    return PublishWriter(connection, stall_seconds)


class PlayReader:
    """All that comes of a stream, for one thread to iterate over.

    The connection stays when the publisher leaves. It ends with the iteration.
    """

    def __init__(self, connection: RtmpConnection, early: list[Incoming], silence_seconds: float) -> None:
        self.waiting = threading.Event()
        """Set: the server has accepted, and passes on what is published from now on."""
        self.waiting.set()
        self._connection = connection
        self._early = early
        self._silence_seconds = silence_seconds

    def __iter__(self) -> Iterator[Incoming]:
        """Yield until `close` is called. Raises OutboundError."""
        connection = self._connection
        if not connection.use():
            return
        try:
            yield from self._early
            while (events := connection.read(self._silence_seconds)) is not None:
                for event in events:
                    if not isinstance(event, Accepted):
                        yield event
        finally:
            connection.release()

    def close(self) -> None:
        """End the connection and the iteration, from any thread."""
        self._connection.close()


class PublishWriter:
    """A stream that a server has accepted. For one thread, but for `close`."""

    def __init__(self, connection: RtmpConnection, stall_seconds: float) -> None:
        self._connection = connection
        self._stall_seconds = stall_seconds

    def send(self, tag: FlvTag) -> None:
        """Send a tag, for as long as the server takes it. Raises OutboundError."""
        self._connection.write(tag, self._stall_seconds)

    def end(self) -> None:
        """Take leave, and close."""
        self._connection.leave()

    def close(self) -> None:
        """End the connection, from any thread."""
        self._connection.close()


class RtmpConnection:
    """A socket, and the conversation on it. `close` may be called from any thread, all else from one."""

    def __init__(self, opened: socket.socket, target: Target) -> None:
        self._socket = opened
        self._client = RtmpClient(target, seed=os.urandom(SIZE))
        self._lock = threading.Lock()
        self._in_use = self._closed = False
        with suppress(OSError):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def accepted(self, ends_at: float) -> list[Incoming]:
        """Talk until the server accepts; return what came with that. Raises OutboundError, and is closed then."""
        early: list[Incoming] = []
        self.use()
        try:
            self._flush(ends_at - time.monotonic())
            while True:
                events = self._events(ends_at - time.monotonic())
                early += [event for event in events if not isinstance(event, Accepted)]
                if len(early) < len(events):
                    break
        except PeerBroken as error:
            self.close()
            raise PeerRefused(str(error)) if str(error) == _CLOSED else error from error
        except BaseException:
            self.close()
            raise
        finally:
            self.release(keep=True)
        return early

    def use(self) -> bool:
        """Begin to use the socket: `close` leaves it open until `release`. Returns False when it is closed."""
        with self._lock:
            self._in_use = not self._closed
            return self._in_use

    def release(self, *, keep: bool = False) -> None:
        """End the use, and close unless it is kept."""
        with self._lock:
            self._in_use = False
            self._closed |= not keep
            if self._closed:
                self._socket.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if not self._in_use:
                self._socket.close()
                return
            with suppress(OSError):  # wakes the thread that reads
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def read(self, seconds: float) -> list[Event] | None:
        """Wait for bytes; return what they say, or None after `close`. Raises OutboundError."""
        try:
            return self._events(seconds)
        except (PeerBroken, PeerSilent):
            if self._closed:
                return None
            raise

    def write(self, tag: FlvTag, seconds: float) -> None:
        """Send a tag, and take what has come. Raises OutboundError."""
        self._client.send(tag)
        self._flush(seconds)
        while (data := self._received(0)) is not None:
            self._talk(data)
        self._flush(seconds)

    def leave(self) -> None:
        with suppress(PeerBroken, PeerSilent):
            self._client.end()
            self._flush(1)
        self.close()

    def _events(self, seconds: float) -> list[Event]:
        data = self._received(seconds)
        if data is None:
            raise PeerSilent("the server sends nothing")
        events = self._talk(data)
        self._flush(seconds)
        return events

    def _talk(self, data: bytes) -> list[Event]:
        if not data:
            raise PeerBroken(_CLOSED)
        try:
            return list(self._client.receive(data))
        except RtmpViolation as error:
            raise PeerBroken(str(error)) from error
        except RtmpRefused as error:
            raise PeerRefused(str(error)) from error

    def _received(self, seconds: float) -> bytes | None:
        """Read what is there; wait for it. Returns None when nothing came. Raises PeerBroken."""
        try:
            self._socket.settimeout(max(0, seconds))
            return self._socket.recv(_READ_BYTES)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return None
        except (OSError, ValueError) as error:
            raise PeerBroken("the connection broke") from error

    def _flush(self, seconds: float) -> None:
        """Send what is due. Raises PeerSilent when nothing of it was taken for so long, PeerBroken."""
        view = memoryview(self._client.outgoing())
        taken_at = time.monotonic()
        while view:
            if self._closed:
                raise PeerBroken(_CLOSED)
            try:
                self._socket.settimeout(LOOK_SECONDS)
                view = view[self._socket.send(view) :]
                taken_at = time.monotonic()
            except (TimeoutError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                if time.monotonic() - taken_at > seconds:
                    raise PeerSilent("the server takes nothing") from None
            except (OSError, ValueError) as error:
                raise PeerBroken("the connection broke") from error


def _secured(opened: socket.socket, host: str, ends_at: float) -> ssl.SSLSocket:
    try:
        opened.settimeout(max(LOOK_SECONDS, ends_at - time.monotonic()))
        return tls_context().wrap_socket(opened, server_hostname=host)
    except (OSError, ValueError) as error:
        opened.close()
        raise PeerUnreachable("no secure connection") from error
