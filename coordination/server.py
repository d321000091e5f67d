"""The connection to Redis, behind a circuit breaker: a dead or hanging Redis costs one short wait per second."""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.lock import Lock
from redis.retry import Retry

log = logging.getLogger(__name__)

OPEN_SECONDS = 1.0
"""Time for which the circuit breaker stays open after a failure. Then one caller tries."""


class RedisUnavailable(Exception):
    """Redis does not answer, or the circuit breaker is open."""


class Script:
    """A Lua script. It is sent once and then called by its digest.

    `before_load` runs, with the same keys and arguments, before the script is loaded into a server. A server that was
    restarted, or a replica that was promoted, has no script. So `before_load` runs before any of its old data is read.
    """

    def __init__(self, text: str, *, before_load: str = "") -> None:
        self.text = text
        self.before_load = before_load
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class OneWayConnection:
    """A connection that is held open to send one script at a time without waiting for the reply.

    The kernel of a hanging Redis stores what its open connections send, in order. So a script that was sent here runs
    before any command that is sent later. Not for several threads at once.
    """

    def __init__(self, pool: ConnectionPool, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._clock = clock
        self._connection: Connection | None = None
        self._next_try = 0.0

    def connect(self) -> None:
        """Connect if necessary. Raises RedisUnavailable, without a try if the last one timed out a moment ago."""
        if self._is_open():
            return
        self._drop()
        if self._clock() < self._next_try:
            raise RedisUnavailable
        try:
            self._connection = self._pool.get_connection()
        except (RedisError, OSError) as error:
            if isinstance(error, RedisTimeoutError):  # a refused connection costs nothing
                self._next_try = self._clock() + OPEN_SECONDS
            raise RedisUnavailable from error

    def send(self, script: Script, keys: Sequence[str], args: Sequence[str | int | bytes]) -> None:
        """Send a script. Raises RedisUnavailable."""
        self.connect()
        command = ("EVAL", script.text, len(keys), *keys, *args)
        self._use(lambda connection: connection.send_command(*command))  # type: ignore[no-untyped-call]

    def acknowledged(self) -> bool:
        """Read the reply to the last script, if there is one yet. Raises RedisUnavailable if the script got lost."""
        if not self._use(_has_reply):
            return False
        self._use(lambda connection: connection.read_response())
        return True

    def _is_open(self) -> bool:
        """Check for a connection that this process opened and the server has not closed."""
        try:
            return self._connection is not None and self._connection.pid == os.getpid() and not self._use(_has_reply)
        except RedisUnavailable:
            return False

    def _use(self, step: Callable[[Connection], Any]) -> Any:  # noqa: ANN401 - the step's own result
        if self._connection is None:
            raise RedisUnavailable
        try:
            return step(self._connection)
        except (RedisError, OSError) as error:
            self._drop()
            raise RedisUnavailable from error

    def _drop(self) -> None:
        if self._connection:
            self._connection.disconnect()  # type: ignore[no-untyped-call]
            self._pool.release(self._connection)
        self._connection = None


def _has_reply(connection: Connection) -> bool:
    """Check for a reply to read, or the end of the connection."""
    return bool(connection.can_read())


class Server:
    """A Redis behind a circuit breaker that opens at the first failure. Any number of threads may use it."""

    def __init__(self, url: str, *, timeout_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._open_until = 0.0
        self._failing = False
        self._replied = float("-inf")
        """Time at which the latest command that Redis has replied to was sent."""

    def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:  # noqa: ANN401 - the script's own result
        """Run a script atomically. Raises RedisUnavailable."""
        return self.call(lambda: self._evaluate(script, keys, args))

    def ping(self) -> None:
        """Raise RedisUnavailable if Redis does not answer."""
        self.call(self._redis.ping)

    def lock(self, name: str, *, expiry_seconds: float) -> Lock:
        """Return redis-py's lock of this name, not acquired yet. Call its methods through `call`."""
        return Lock(self._redis, name, timeout=expiry_seconds, blocking=False, thread_local=False)

    def one_way_connection(self) -> OneWayConnection:
        """Return a connection for scripts whose reply is not waited for. The circuit breaker does not apply to it."""
        return OneWayConnection(self._redis.connection_pool, self._clock)

    @property
    def circuit_open(self) -> bool:
        """True while no caller may use Redis."""
        return self._clock() < self._open_until

    def replied_within(self, seconds: float) -> bool:
        """Return True if Redis has replied to a command that this process sent within the last seconds."""
        return self._clock() - self._replied < seconds

    def call(self, command: Callable[[], Any]) -> Any:  # noqa: ANN401 - the command's own result
        """Call Redis through the circuit breaker, for example a method of a `lock`. Raises RedisUnavailable."""
        self._enter()
        sent = self._clock()
        try:
            reply = command()
        except (RedisError, OSError) as error:
            self._record(failing=True, reason=repr(error))
            raise RedisUnavailable from error
        self._replied = max(self._replied, sent)
        if self._failing:
            self._record(failing=False)
        return reply

    def _enter(self) -> None:
        """Let all callers through while Redis works, and one per OPEN_SECONDS while it does not."""
        if not self._failing:
            return
        with self._lock:
            if self.circuit_open:
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
            return self._redis.evalsha(script.digest, len(keys), *keys, *args)
        except NoScriptError:  # the first call, or a server that was restarted
            if script.before_load:
                self._redis.eval(script.before_load, len(keys), *keys, *args)
            return self._redis.eval(script.text, len(keys), *keys, *args)
