"""The connection to Redis, behind a circuit breaker: a dead or hanging Redis costs one short wait per second."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.lock import Lock
from redis.retry import Retry

log = logging.getLogger(__name__)

OPEN_SECONDS = 1.0
"""Time for which the circuit breaker stays open after a failure. Then one caller tries."""


class RedisUnavailable(Exception):
    """Redis does not answer, or the circuit breaker is open."""


class Script:
    """A Lua script. It is sent once and then called by its digest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


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
            return self._redis.evalsha(script.digest, len(keys), *keys, *args)
        except NoScriptError:  # the first call, or a server that was restarted
            return self._redis.eval(script.text, len(keys), *keys, *args)
