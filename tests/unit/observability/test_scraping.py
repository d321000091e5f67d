from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing

import pytest
import pytest_socket

from observability.scraping import ScrapingPort, token_fits

ANOTHER_ADDRESS = "127.0.0.2"


@pytest.fixture(autouse=True)
def _loopback(_no_sockets_in_pure_tests: None) -> None:
    pytest_socket.enable_socket()


def _ask(port: int, path: str, *, host: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(host, port, timeout=60)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
def guarded(faults: list[str]) -> Iterator[int]:
    port = ScrapingPort(0, token="t0ken", fault=lambda: "".join(faults))
    port.start()
    yield port.port
    port.close()


def test_the_token_is_asked_for(guarded: int) -> None:
    assert _ask(guarded, "/metrics")[0] == 401
    assert _ask(guarded, "/metrics", Authorization="Bearer wrong")[0] == 401
    status, text = _ask(guarded, "/metrics", host=ANOTHER_ADDRESS, Authorization="Bearer t0ken")
    assert status == 200
    assert "process_cpu_seconds_total" in text


def test_who_asks_for_health_needs_none(guarded: int, faults: list[str]) -> None:
    assert _ask(guarded, "/healthz") == (200, "ok\n")
    faults.append("takes no tickets any more")
    assert _ask(guarded, "/healthz") == (503, "takes no tickets any more\n")
    assert _ask(guarded, "/elsewhere")[0] == 404


def test_without_a_token_only_this_machine_may_ask() -> None:
    port = ScrapingPort(0, token="", fault=str)
    port.start()
    try:
        assert _ask(port.port, "/metrics")[0] == 200
        with pytest.raises(ConnectionRefusedError):
            _ask(port.port, "/metrics", host=ANOTHER_ADDRESS)
    finally:
        port.close()


@pytest.mark.parametrize("header", [None, "", "Bearer ", "bearer t", "Bearer t ", "Bearer ü"])
def test_what_is_not_the_token_does_not_fit(header: str | None) -> None:
    assert not token_fits(header, "t")
    assert not token_fits(header, ""), "no token lets nobody in"
