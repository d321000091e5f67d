"""Faults of the network: a TCP proxy that hangs, resets and cuts, and one that knows enough HTTP to be a bad store."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from embedded.ports import LOOPBACK

Watch = Callable[[bytes], bool]
"""Sees what a client sends, after it was passed on. True: cut that client off before it hears the answer."""

_BLOCK = 1 << 16
_LAST_WORDS_SECONDS = 1.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class TcpProxy:
    """Passes connections on to a port of this machine, until it is set to misbehave."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream = (LOOPBACK, upstream_port)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._flowing = threading.Event()
        self._flowing.set()
        self._refusing = False
        self._watch: Watch | None = None
        self._clients: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def hang(self) -> None:
        """Be a black hole: connections stay open and are silent."""
        self._flowing.clear()

    def refuse(self) -> None:
        """Reset every connection, new ones too."""
        self._refusing = True
        self.reset()

    def reset(self) -> None:
        """Reset the connections of this moment."""
        for client in list(self._clients):
            _reset(client)

    def watch(self, watch: Watch) -> None:
        """Look at everything that clients send from now on."""
        self._watch = watch

    def heal(self) -> None:
        """Be a good network again. Connections that hung are reset: nobody knows what they missed."""
        self._watch, self._refusing = None, False
        if not self._flowing.is_set():
            self.reset()
            self._flowing.set()

    def close(self) -> None:
        self._listener.close()
        self.reset()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._clients.add(client)
        try:
            self._flowing.wait()
            if self._refusing:
                return
            with socket.create_connection(self._upstream) as server:
                back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
                back.start()
                cut = self._pass_on(client, server, watched=True)
                if not cut:
                    return
                _reset(client)
                with suppress(OSError):  # what was sent is done before the end is noticed
                    server.shutdown(socket.SHUT_WR)
                back.join(_LAST_WORDS_SECONDS)
        except OSError:  # the server is unavailable: so is this address
            return
        finally:
            self._clients.discard(client)
            _reset(client)

    def _pass_on(self, source: socket.socket, sink: socket.socket, *, watched: bool = False) -> bool:
        """Copy until the end. True: the one who watches wants the client cut off."""
        try:
            while data := source.recv(_BLOCK):
                self._flowing.wait()
                sink.sendall(data)
                if watched and self._watch and self._watch(data):
                    return True
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # reset from either side
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        return False


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


class StoreFault:
    """A fault of the store for one request: none by default."""

    status: ClassVar[int | None] = None

    def __init__(
        self,
        *,
        status: int | None = None,
        code: str = "InternalError",
        reset: bool = False,
        corrupt: bool = False,
        corrupt_answer: int = 0,
        document: str = "",
        bytes_per_second: float = 0,
    ) -> None:
        """`corrupt` changes the first byte of a request, `corrupt_answer` that of an answer, by these bits."""
        self.answer = status
        self.reset = reset
        self.corrupt = corrupt
        self.corrupt_answer = corrupt_answer
        self.document = document or f"<Error><Code>{code}</Code><Message>no</Message></Error>"
        self.bytes_per_second = bytes_per_second


Judge = Callable[[str, str, Message], StoreFault | None]
"""Decides from method, path and headers what happens to a request."""


class StoreProxy:
    """An S3 server in front of the real one, which fails the requests that a judge picks. Bodies are kept in memory."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.judge: Judge | None = None
        proxy = self

        class Handler(_StoreHandler):
            store = proxy

        self._server = _QuietServer((LOOPBACK, 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def heal(self) -> None:
        self.judge = None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that break are what this is for."""


class _StoreHandler(BaseHTTPRequestHandler):
    """Passes one request after another on, headers untouched: they are signed."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    store: ClassVar[StoreProxy]

    def _serve(self) -> None:
        fault = self.store.judge(self.command, self.path, self.headers) if self.store.judge else None
        body = self._body(fault.bytes_per_second if fault else 0)
        if fault and fault.reset:
            self._hang_up()
        elif fault and fault.answer:
            self._answer(fault.answer, {}, fault.document.encode())
        else:
            if fault and fault.corrupt:
                body = bytes([body[0] ^ 1]) + body[1:]
            self._pass_on(body, fault or StoreFault())

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815 - names of the standard library

    def _body(self, bytes_per_second: float) -> bytes:
        left = int(self.headers.get("Content-Length") or 0)
        blocks = []
        while left > 0:
            size = min(left, max(1024, int(bytes_per_second / 10))) if bytes_per_second else left
            if not (block := self.rfile.read(size)):
                raise ConnectionError
            blocks.append(block)
            left -= len(block)
            if bytes_per_second:
                time.sleep(len(block) / bytes_per_second)
        return b"".join(blocks)

    def _pass_on(self, body: bytes, fault: StoreFault) -> None:
        upstream = http.client.HTTPConnection(LOOPBACK, self.store.upstream_port, timeout=120)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "connection"):
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            data = answer.read()
            if fault.corrupt_answer and data:
                data = bytes([data[0] ^ fault.corrupt_answer]) + data[1:]
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
            self._answer(answer.status, {**headers, "Content-Length": length or "0"}, data, fault.bytes_per_second)
        except (OSError, http.client.HTTPException):
            self._hang_up()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: dict[str, str], data: bytes, bytes_per_second: float = 0) -> None:
        self.send_response_only(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        step = max(1024, int(bytes_per_second / 10)) if bytes_per_second else max(1, len(data))
        for start in range(0, len(data), step):
            self.wfile.write(data[start : start + step])
            if bytes_per_second:
                time.sleep(step / bytes_per_second)

    def _hang_up(self) -> None:
        self.close_connection = True
        _reset(self.connection)


_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}
