from __future__ import annotations

import time

import pytest
import pytest_socket

from coordination.server import Away, Server


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_dead_server_is_asked_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest_socket.enable_socket()
    clock = Clock()
    server = Server("redis://127.0.0.1:9/0", timeout_seconds=0.1, clock=clock)
    with pytest.raises(Away):
        server.ping()
    asked: list[int] = []
    monkeypatch.setattr(server._redis, "ping", lambda: asked.append(1))
    for _ in range(100):
        with pytest.raises(Away):
            server.ping()
    assert not asked, "it is left alone"
    clock.now += 1.1
    server.ping()
    server.ping()
    assert len(asked) == 2, "and used again as soon as it answers"


def test_being_refused_costs_next_to_nothing() -> None:
    pytest_socket.enable_socket()
    server = Server("redis://127.0.0.1:9/0", timeout_seconds=0.1)
    with pytest.raises(Away):
        server.ping()
    began = time.process_time()
    for _ in range(1000):
        with pytest.raises(Away):
            server.ping()
    assert time.process_time() - began < 1, "far below a millisecond each"
