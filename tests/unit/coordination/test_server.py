from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordination.server import RedisUnavailable, Server


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Redis(socketserver.ThreadingUnixStreamServer):
    """Counts who connects; hangs up at once, or says PONG to everything once it works."""

    daemon_threads = True
    works = False
    connected = 0


class Talk(socketserver.StreamRequestHandler):
    server: Redis

    def handle(self) -> None:
        self.server.connected += 1
        for line in self.rfile if self.server.works else ():
            if line.startswith(b"*"):
                self.wfile.write(b"+PONG\r\n")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with Redis(str(tmp_path / "redis"), Talk) as redis:
        thread = threading.Thread(target=redis.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield redis
        redis.shutdown()
        thread.join()


def test_a_dead_server_is_tried_once_a_second(redis: Redis) -> None:
    clock = Clock()
    server = Server(f"unix://{redis.server_address}?protocol=2", timeout_seconds=60, clock=clock)
    for _ in range(100):
        with pytest.raises(RedisUnavailable):
            server.ping()
    assert redis.connected == 1, "the circuit breaker is open"
    redis.works = True
    with pytest.raises(RedisUnavailable):
        server.ping()
    clock.now += 1.1
    server.ping()
    server.ping()
    assert redis.connected == 2, "and used again as soon as it answers"


def test_an_open_circuit_breaker_costs_next_to_nothing(tmp_path: Path) -> None:
    server = Server(f"unix://{tmp_path / 'nobody'}", timeout_seconds=60)
    started = time.process_time()
    for _ in range(1000):
        with pytest.raises(RedisUnavailable):
            server.ping()
    assert time.process_time() - started < 1, "far below a millisecond each"
