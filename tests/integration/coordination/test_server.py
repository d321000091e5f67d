from uuid import uuid4

import pytest

from coordination.server import IDLE_SECONDS, OPEN_SECONDS, RedisUnavailable, Script, Server
from embedded.servers import Redis
from tests.integration.coordination.conftest import PATIENT_SECONDS, raw

ONE = Script("return 1")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def name() -> str:
    return uuid4().hex


@pytest.fixture
def server(redis: Redis, clock: Clock, name: str) -> Server:
    """Connect to Redis, and run a script over its first connection."""
    server = Server(f"{redis.cache_url}?client_name={name}", timeout_seconds=PATIENT_SECONDS, clock=clock)
    server.run(ONE, [], [])
    return server


def close(redis: Redis, name: str) -> None:
    """Close the connections of this name on the side of Redis."""
    with raw(redis) as client:
        for each in client.client_list():
            if each["name"] == name:
                client.client_kill_filter(_id=each["id"])


def test_a_connection_closed_while_it_was_idle_is_replaced(
    redis: Redis, server: Server, clock: Clock, name: str
) -> None:
    close(redis, name)
    clock.now += IDLE_SECONDS
    assert server.run(ONE, [], []) == 1


def test_a_connection_closed_a_moment_after_its_use_fails_once(
    redis: Redis, server: Server, clock: Clock, name: str
) -> None:
    close(redis, name)
    with pytest.raises(RedisUnavailable):
        server.run(ONE, [], [])
    clock.now += OPEN_SECONDS
    assert server.run(ONE, [], []) == 1


def test_a_connection_is_used_again(redis: Redis, server: Server, name: str) -> None:
    server.run(ONE, [], [])
    with raw(redis) as client:
        assert sum(each["name"] == name for each in client.client_list()) == 1
