from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing

import pytest
import pytest_socket

from configuration import MetricsConfig
from observability.scraping import MetricsServer, metrics_server, token_matches

ANOTHER_ADDRESS = "127.0.0.2"


@pytest.fixture(autouse=True)
def _loopback(_no_sockets_in_pure_tests: None) -> None:
    pytest_socket.enable_socket()


def _get(port: int, path: str, *, host: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(host, port, timeout=60)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
def guarded(faults: list[str]) -> Iterator[int]:
    port = MetricsServer(0, token="t0ken", fault=lambda: "".join(faults))
    port.start()
    yield port.port
    port.close()


def test_metrics_need_the_token(guarded: int) -> None:
    assert _get(guarded, "/metrics")[0] == 401
    assert _get(guarded, "/metrics", Authorization="Bearer wrong")[0] == 401
    status, text = _get(guarded, "/metrics", host=ANOTHER_ADDRESS, Authorization="Bearer t0ken")
    assert status == 200
    assert "process_cpu_seconds_total" in text


def test_health_needs_no_token(guarded: int, faults: list[str]) -> None:
    assert _get(guarded, "/healthz") == (200, "ok\n")
    faults.append("takes no tickets any more")
    assert _get(guarded, "/healthz") == (503, "takes no tickets any more\n")
    assert _get(guarded, "/elsewhere")[0] == 404


def test_without_a_token_only_this_machine_may_get() -> None:
    port = MetricsServer(0, token="", fault=str)
    port.start()
    try:
        assert _get(port.port, "/metrics")[0] == 200
        with pytest.raises(ConnectionRefusedError):
            _get(port.port, "/metrics", host=ANOTHER_ADDRESS)
    finally:
        port.close()


def test_a_taken_port_is_logged_and_not_fatal(guarded: int, caplog: pytest.LogCaptureFixture) -> None:
    config = MetricsConfig(metrics_port=guarded, metrics_token="t0ken")
    assert metrics_server(config, fault=str) is None
    (record,) = caplog.records
    assert vars(record)["event"] == "metrics_port_unavailable"
    assert "TRANSCODER_METRICS_PORT" in record.message
    assert _get(guarded, "/healthz")[0] == 200, "the first one goes on"


@pytest.mark.parametrize("header", [None, "", "Bearer ", "bearer t", "Bearer t ", "Bearer ü"])
def test_a_wrong_token_does_not_match(header: str | None) -> None:
    assert not token_matches(header, "t")
    assert not token_matches(header, ""), "an empty token matches nothing"
