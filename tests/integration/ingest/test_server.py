"""The ingest server with real publishers, and with what is none."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from embedded.home import Home
from embedded.ingest import Ingest
from embedded.ports import LOOPBACK
from tests.ingest_process import SECRET, Hooks, a_certificate, a_publisher, an_ingest, fake_hooks
from tests.relay_process import wait_until
from tests.servers import ServersOfThisRun


@pytest.fixture(scope="module")
def running(servers: ServersOfThisRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ingest, Hooks]]:
    certificate = a_certificate(tmp_path_factory.mktemp("certificate"))
    with fake_hooks() as hooks, an_ingest(servers, hooks.url, certificate=certificate) as ingest:
        yield ingest, hooks


@pytest.fixture
def ingest(running: tuple[Ingest, Hooks]) -> Ingest:
    return running[0]


@pytest.fixture
def hooks(running: tuple[Ingest, Hooks]) -> Iterator[Hooks]:
    hooks = running[1]
    hooks.calls.clear()
    yield hooks
    hooks.answer = lambda _call: 204


def test_hooks_learn_of_a_publisher_from_its_first_to_its_last_moment(ingest: Ingest, hooks: Hooks) -> None:
    with a_publisher(f"{ingest.url}/gate?key=k-1"):
        wait_until(lambda: hooks.of("update_publish"))
    wait_until(lambda: hooks.of("publish_done"))

    (call,), (done,) = hooks.of("publish"), hooks.of("publish_done")
    assert (call.form["name"], call.form["key"], call.form["app"]) == ("gate", "k-1", "live")
    assert call.form["clientid"] == done.form["clientid"] == hooks.of("update_publish")[0].form["clientid"]
    assert {(call.path, call.secret, call.address) for call in hooks.calls} == {
        ("/hooks/nginx", SECRET, ingest.address)
    }


def test_a_refused_publisher_is_disconnected(ingest: Ingest, hooks: Hooks) -> None:
    hooks.answer = lambda _call: 403
    with a_publisher(f"{ingest.url}/gate?key=wrong") as publisher:
        assert publisher.wait(60) != 0


def test_hooks_that_are_unavailable_drop_nobody_and_admit_nobody(ingest: Ingest, hooks: Hooks) -> None:
    with a_publisher(f"{ingest.url}/gate?key=k") as publisher:
        wait_until(lambda: hooks.of("update_publish"))
        hooks.answer = lambda _call: 503
        known = len(hooks.calls)
        wait_until(lambda: len(hooks.calls) > known + 3)
        assert publisher.poll() is None
        with a_publisher(f"{ingest.url}/other?key=k") as late:
            assert late.wait(60) != 0
        hooks.answer = lambda _call: 403
        assert publisher.wait(60) != 0


def test_a_second_publisher_of_a_name_does_not_end_the_first(ingest: Ingest, hooks: Hooks) -> None:
    with a_publisher(f"{ingest.url}/gate?key=k") as first:
        wait_until(lambda: hooks.of("publish"))
        with a_publisher(f"{ingest.url}/gate?key=k") as second:
            second.wait(60)
        wait_until(lambda: hooks.of("publish_done"))
        assert first.poll() is None
        assert hooks.of("publish_done")[0].form["clientid"] != hooks.of("publish")[0].form["clientid"]


def test_publishers_are_known_by_their_address_behind_tls_too(ingest: Ingest, hooks: Hooks) -> None:
    with a_publisher(f"{ingest.tls_url}/gate?key=k"):
        wait_until(lambda: hooks.of("publish"))
    (call,) = hooks.of("publish")
    assert call.form["addr"] == LOOPBACK
    with socket.create_connection((LOOPBACK, ingest.tls_port), 60, ("127.0.0.2", 0)) as opened:
        context = ssl._create_unverified_context()  # noqa: S323 - the certificate is its own authority
        with context.wrap_socket(opened) as secured:
            secured.sendall(_HANDSHAKE)
            assert secured.recv(1) == b"\3"


_HANDSHAKE = b"\3" + bytes(8) + os.urandom(1528)
HOSTILE = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00" + os.urandom(500),
    os.urandom(4000),
    _HANDSHAKE[:700],
    _HANDSHAKE + bytes(1536) + b"\xff" * 5000,
    _HANDSHAKE + bytes(1536) + b"\3" + b"\0\0\0\xff\xff\xff\x14" + bytes(60000),
)


def test_garbage_and_half_handshakes_harm_nobody(ingest: Ingest, hooks: Hooks) -> None:
    with ExitStack() as held, a_publisher(f"{ingest.url}/gate?key=k") as publisher:
        wait_until(lambda: hooks.of("update_publish"))
        for data in HOSTILE * 5:
            opened = held.enter_context(socket.create_connection((LOOPBACK, ingest.port), 60))
            opened.sendall(data)
        known = len(hooks.of("update_publish"))
        wait_until(lambda: len(hooks.of("update_publish")) > known + 1)
        assert publisher.poll() is None
        with a_publisher(f"{ingest.url}/other?key=k"):
            wait_until(lambda: len(hooks.of("publish")) == 2)
    assert ingest.running()


def test_a_handshake_that_stands_still_is_closed(ingest: Ingest) -> None:
    with socket.create_connection((LOOPBACK, ingest.port), 60) as opened:
        opened.sendall(_HANDSHAKE[:700])
        assert opened.recv(10) == b""


def test_other_processes_of_the_machine_cannot_speak_as_the_server(ingest: Ingest, hooks: Hooks) -> None:
    port = ingest.home.port("ingest-calls")
    for path in ("/", "/hooks/nginx", "/event", "/none/event"):
        client = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
        with closing(client):
            client.request("POST", path, body="call=publish_done&name=gate")
            assert client.getresponse().status == 404
    assert hooks.calls == []


def test_keys_stay_out_of_the_log(ingest: Ingest, hooks: Hooks) -> None:
    hooks.answer = lambda call: 403 if call.form["call"] == "publish" else 204
    with a_publisher(f"{ingest.url}/gate?key=very-private") as publisher:
        publisher.wait(60)
    assert "very-private" not in ingest.log.read_text(encoding="utf-8")


def test_the_configuration_is_private(ingest: Ingest) -> None:
    assert Path(ingest.folder, "nginx.conf").stat().st_mode & 0o077 == 0


def test_nginx_accepts_the_configuration_without_tls(servers: ServersOfThisRun, tmp_path: Path) -> None:
    plain = Ingest(Home(tmp_path / "home"), hooks_url="http://127.0.0.1:1", secret="s")
    plain.prepare()
    done = subprocess.run([*plain.argv(), "-t"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
