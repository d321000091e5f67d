"""The connection to Redis, behind a circuit breaker: a dead or hanging Redis costs one short wait per second."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool
from redis.exceptions import NoScriptError, RedisError
from redis.lock import Lock
from redis.retry import Retry

log = logging.getLogger(__name__)

OPEN_SECONDS = 1.0
"""Time for which the circuit breaker stays open after a failure. Then one caller tries."""
IDLE_SECONDS = 1.0
"""Time after which a connection is checked before it is used again: Redis may have closed it.

At most OPEN_SECONDS: a Redis that is back after a failure is not found by an older connection.
"""


class RedisUnavailable(Exception):
    """Redis does not answer, or the circuit breaker is open."""


class Script:
    """A Lua script. It is sent once and then called by its digest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class _Connections:
    """Open connections to Redis, each for one command at a time. Any number of threads may use them.

    redis-py's pool asks the kernel before each command whether the connection is still open, by three system calls, and
    its client prepares retries and metrics that are not used here. Both together take as long as the command itself.
    """

    def __init__(self, pool: ConnectionPool, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._clock = clock
        self._idle: list[tuple[float, Connection]] = []
        """The connections that no thread uses, with the time of their last use. The last one is used next."""

    def execute(self, *command: str | int | bytes) -> Any:  # noqa: ANN401 - the command's own result
        """Send a command and return its reply."""
        connection = self._take()
        try:
            connection.send_command(*command)  # type: ignore[no-untyped-call]
            reply = connection.read_response()
        except BaseException:
            connection.disconnect()  # type: ignore[no-untyped-call] # a reply may still come
            self._pool.release(connection)
            raise
        self._idle.append((self._clock(), connection))
        return reply

    def _take(self) -> Connection:
        """Return a connection that was used a moment ago, or one of the pool, which checks or opens it."""
        try:
            used_at, connection = self._idle.pop()
        except IndexError:
            return self._pool.get_connection()
        if self._clock() - used_at < IDLE_SECONDS:
            return connection
        self._pool.release(connection)
        return self._pool.get_connection()


class Server:
    """A Redis behind a circuit breaker that opens at the first failure. Any number of threads may use it."""

    def __init__(self, url: str, *, timeout_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._connections = _Connections(self._redis.connection_pool, clock)
        self._clock = clock
        self._lock = threading.Lock()
        self._open_until = 0.0
        self._failing = False

    def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:  # noqa: ANN401 - the script's own result
        """Run a script atomically. Raises RedisUnavailable."""
        return self.call(lambda: self._evaluate(script, keys, args))

    def ping(self) -> None:
        """Raise RedisUnavailable if Redis does not answer."""
        self.call(self._redis.ping)

    def lock(self, name: str, *, expiry_seconds: float) -> Lock:
        """Return redis-py's lock of this name, not acquired yet. Call its methods through `call`."""
        return Lock(self._redis, name, timeout=expiry_seconds, blocking=False, thread_local=False)

    def call(self, command: Callable[[], Any]) -> Any:  # noqa: ANN401 - the command's own result
        """Call Redis through the circuit breaker, for example a method of a `lock`. Raises RedisUnavailable."""
        self._enter()
        try:
            reply = command()
        except (RedisError, OSError) as error:
            self._record(failing=True, reason=repr(error))
            raise RedisUnavailable from error
        if self._failing:
            self._record(failing=False)
        return reply

    def _enter(self) -> None:
        """Let all callers through while Redis works, and one per OPEN_SECONDS while it does not."""
        if not self._failing:
            return
        with self._lock:
            if self._clock() < self._open_until:
                raise RedisUnavailable
            self._open_until = self._clock() + OPEN_SECONDS

    def _record(self, *, failing: bool, reason: str = "") -> None:
        with self._lock:
            if failing and not self._failing:
                log.warning("redis unavailable: %s", reason, extra={"event": "redis_unavailable"})
            elif self._failing and not failing:
                log.info("redis available", extra={"event": "redis_available"})
            self._failing = failing
            self._open_until = self._clock() + OPEN_SECONDS if failing else 0.0

    def _evaluate(self, script: Script, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:  # noqa: ANN401
        try:
            return self._connections.execute("EVALSHA", script.digest, len(keys), *keys, *args)
        except NoScriptError:  # the first call, or a server that was restarted
            return self._connections.execute("EVAL", script.text, len(keys), *keys, *args)
