"""The edge of the server: clients that send slowly, in part, too much, several requests at once, or leave."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_network

import httpx2
import pytest
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from access.wiring import party_turns
from api import connections
from api.asgi import BodyLimit, Receive, Scope, Send
from api.threads import THREADS, DjangoInThreads
from storage.protocol import ObjectStore
from tests.integration.videos.conftest import a_site, serving
from tests.integration.videos.test_upload import wait_for
from transcoder_site.probes import answer_alive
from transcoder_site.routes import MAX_BODY_BYTES

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"GET /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
SECONDS = 120


@contextmanager
def connected(server: httpx2.Client) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.base_url.port or 0), timeout=SECONDS) as client:
        yield client


@pytest.fixture
def server(transactional_db: None) -> Iterator[httpx2.Client]:
    with serving(a_site()) as client:
        yield client


def to_the_end(client: socket.socket) -> bytes:
    """Read until the server closes."""
    received = b""
    while data := client.recv(1 << 16):
        received += data
    return received


@pytest.mark.parametrize("sent", [b"", b"\r\n", HALF], ids=["nothing", "an empty line", "half a head"])
def test_a_head_that_does_not_come_has_a_deadline(
    server: httpx2.Client, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    with connected(server) as client:
        client.sendall(sent)
        assert to_the_end(client).startswith(b"HTTP/1.1 408 ")


def test_the_next_head_of_a_connection_has_a_deadline_too(
    server: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 2)
    with connected(server) as client:
        client.sendall(GET + HALF)
        answers = to_the_end(client)
    assert answers.startswith(b"HTTP/1.1 200 ")
    assert answers.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 408 " in answers


def test_a_head_that_is_too_large_is_refused(server: httpx2.Client) -> None:
    with connected(server) as client:
        client.sendall(HALF + b"X-Much: " + b"x" * connections.HEAD_BYTES)
        assert to_the_end(client).startswith(b"HTTP/1.1 431 ")


def test_a_body_that_comes_after_its_response_has_a_deadline(
    server: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    with connected(server) as client:
        client.sendall(GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n"))
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        client.sendall(b"x")
        to_the_end(client)


CHUNKED = HALF.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"


def test_trailers_are_no_headers(server: httpx2.Client) -> None:
    key = f"X-API-Key: {server.headers['x-api-key']}\r\n".encode()
    with connected(server) as client:
        client.sendall(CHUNKED + key + b"Connection: close\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 401 ")


def test_trailers_without_end_are_cut_off(server: httpx2.Client) -> None:
    with connected(server) as client:
        client.sendall(CHUNKED + b"X-Much: ")
        with suppress(ConnectionError):
            for _ in range(1 + connections.HEAD_BYTES // 1024):
                client.sendall(b"x" * 1024)
                time.sleep(0.001)
        with suppress(ConnectionError):
            to_the_end(client)


def test_a_client_that_sends_requests_without_end_is_cut_off(server: httpx2.Client) -> None:
    with connected(server) as client:
        client.sendall(GET.replace(b"/healthz", b"/readyz") * (connections.PIPELINED + 20))
        with suppress(ConnectionError):
            assert to_the_end(client).count(b"HTTP/1.1 ") <= connections.PIPELINED + 1


def test_what_is_no_request_ends_the_connection_after_the_response_before_it(server: httpx2.Client) -> None:
    with connected(server) as client:
        client.sendall(GET.replace(b"/healthz", b"/readyz") + b"nonsense\r\n\r\n")
        answers = to_the_end(client)
    assert answers.startswith(b"HTTP/1.1 200 ")
    assert answers.count(b"HTTP/1.1 ") == 1


def test_a_request_learns_that_its_client_left_although_another_one_waits_behind_it(transactional_db: None) -> None:
    started, left = threading.Event(), threading.Event()

    async def waits(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            started.set()
        left.set()

    with serving(waits) as server:
        with connected(server) as client:
            client.sendall(GET + GET)
            assert started.wait(SECONDS)
        assert left.wait(SECONDS)


def test_no_more_connections_than_allowed_are_open(server: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "connection_limit", lambda: 2)
    monkeypatch.setattr(connections, "ADDRESS_SHARE", 1)
    with connected(server) as first, connected(server) as second:
        first.sendall(GET)
        second.sendall(GET)
        assert first.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert second.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        with connected(server) as third:
            assert to_the_end(third).startswith(b"HTTP/1.1 503 ")
        first.close()

        def accepted() -> bool:
            with connected(server) as another:
                another.sendall(GET)
                return another.recv(1 << 16).startswith(b"HTTP/1.1 200 ")

        wait_for(accepted)


@contextmanager
def connected_from(server: httpx2.Client, address: str) -> Iterator[socket.socket]:
    port = server.base_url.port or 0
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS, source_address=(address, 0)) as client:
        yield client


def test_one_address_cannot_have_all_connections(server: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of eight for each address; the client of the fixture is a third one."""
    monkeypatch.setattr(connections, "connection_limit", lambda: 8)
    with ExitStack() as clients:
        for _ in range(2):
            greedy = clients.enter_context(connected_from(server, "127.0.0.2"))
            greedy.sendall(GET)
            assert greedy.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        with connected_from(server, "127.0.0.2") as another:
            answer = to_the_end(another)
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"Retry-After: " in answer
        with connected_from(server, "127.0.0.3") as neighbour:
            neighbour.sendall(GET)
            assert neighbour.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        greedy.close()

        def accepted() -> bool:
            with connected_from(server, "127.0.0.2") as again:
                again.sendall(GET)
                return again.recv(1 << 16).startswith(b"HTTP/1.1 200 ")

        wait_for(accepted)


def test_a_named_proxy_may_have_more_connections_than_an_address(
    server: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "connection_limit", lambda: 8)
    monkeypatch.setattr(connections.BoundedHttp, "named_proxies", (ip_network("127.0.0.2/31"),))
    with ExitStack() as clients:
        for _ in range(4):
            client = clients.enter_context(connected_from(server, "127.0.0.2"))
            client.sendall(GET)
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_many_half_sent_requests_stop_nobody(server: httpx2.Client) -> None:
    with ExitStack() as clients:
        for _ in range(1030):
            clients.enter_context(connected(server)).sendall(HALF)
        assert server.get("/healthz").text == "ok\n"
        assert server.get("/api/v1/jobs").status_code == 200


def test_a_body_that_does_not_come_has_a_deadline(transactional_db: None) -> None:
    site = BodyLimit(DjangoInThreads(party_turns(threads=THREADS), body_seconds=0.5), max_bytes=MAX_BODY_BYTES)
    with serving(site) as server, connected(server) as client:
        client.sendall(b"POST /api/v1/webhooks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        answer = to_the_end(client)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"request_timeout"' in answer


def test_requests_that_come_at_once_are_answered_in_order(server: httpx2.Client) -> None:
    paths = (b"/healthz", b"/api/v1/nothing", b"/readyz", b"/healthz")
    requests = [GET.replace(b"/healthz", path) for path in paths]
    requests[-1] = requests[-1].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with connected(server) as client:
        client.sendall(b"".join(requests))
        answers = to_the_end(client)
    assert [answer[:3] for answer in answers.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200", b"200"]


def test_a_busy_pool_of_threads_does_not_stop_the_liveness_probe(transactional_db: None, store: ObjectStore) -> None:
    site = answer_alive(BodyLimit(DjangoInThreads(party_turns(threads=1), threads=1), max_bytes=MAX_BODY_BYTES))
    with serving(site) as server, connected(server) as waiting:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE access_apikey IN ACCESS EXCLUSIVE MODE")
            waiting.sendall(HALF + f"X-API-Key: {server.headers['x-api-key']}\r\n\r\n".encode())
            wait_for(lambda: _waits_for_a_lock(cursor))  # the only thread
            assert server.get("/healthz").text == "ok\n"
            with pytest.raises(httpx2.TimeoutException):
                server.get("/readyz", timeout=0.5)
        assert waiting.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert server.get("/readyz").status_code == 200


def _waits_for_a_lock(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
    return bool(cursor.fetchone()[0])


def test_a_client_that_leaves_before_its_answer_harms_nobody(server: httpx2.Client) -> None:
    for sent in (HALF, HALF + b"\r\n", HALF.replace(b"GET", b"POST") + b"Content-Length: 10\r\n\r\n{"):
        with connected(server) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
        with connected(server) as client:
            client.sendall(sent)
    assert server.get("/api/v1/jobs").status_code == 200
