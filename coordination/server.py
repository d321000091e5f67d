"""The only module that speaks Redis. One that is dead or frozen costs one short wait, then nothing for a while."""

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

REST_SECONDS = 1.0
"""How long a server that did not answer is left alone; then one caller tries."""


class Away(Exception):
    """Redis does not answer, or did not a moment ago."""


class Script:
    """A Lua script, sent once and named by its digest from then on.

    `first` is run, with the same keys and arguments, before a server is told the script. A server that was started
    again or took over from another one knows no script, so that happens before anything can be read from what it kept.
    """

    def __init__(self, text: str, *, first: str = "") -> None:
        self.text = text
        self.first = first
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Messenger:
    """A connection held ready to leave one script at a time with a server, without waiting for it.

    A process that hangs has a kernel that keeps what its open connections bring, in order: whatever is left there is
    run before what anybody sends afterwards. Not for several threads at once.
    """

    def __init__(self, pool: ConnectionPool, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._clock = clock
        self._connection: Connection | None = None
        self._next_try = 0.0

    def get_ready(self) -> None:
        """Connect where that has not been done, or was undone. Raises Away, at once where it took long a moment ago."""
        if self._is_ready():
            return
        self._drop()
        if self._clock() < self._next_try:
            raise Away
        try:
            self._connection = self._pool.get_connection()
        except (RedisError, OSError) as error:
            if isinstance(error, RedisTimeoutError):  # to be refused costs nothing
                self._next_try = self._clock() + REST_SECONDS
            raise Away from error

    def leave(self, script: Script, keys: Sequence[str], args: Sequence[str | int | bytes]) -> None:
        """Send it. Raises Away."""
        self.get_ready()
        command = ("EVAL", script.text, len(keys), *keys, *args)
        self._use(lambda connection: connection.send_command(*command))  # type: ignore[no-untyped-call]

    def heard(self) -> bool:
        """Whether what was left has been run, as far as is known by now. Raises Away when it got lost or refused."""
        if not self._use(_says_something):
            return False
        self._use(lambda connection: connection.read_response())
        return True

    def _is_ready(self) -> bool:
        """Whether there is a connection of this very process, and the server has not ended it."""
        try:
            return (
                self._connection is not None and self._connection.pid == os.getpid() and not self._use(_says_something)
            )
        except Away:
            return False

    def _use(self, step: Callable[[Connection], Any]) -> Any:  # noqa: ANN401 - whatever the step answers
        if self._connection is None:
            raise Away
        try:
            return step(self._connection)
        except (RedisError, OSError) as error:
            self._drop()
            raise Away from error

    def _drop(self) -> None:
        if self._connection:
            self._connection.disconnect()  # type: ignore[no-untyped-call]
            self._pool.release(self._connection)
        self._connection = None


def _says_something(connection: Connection) -> bool:
    """Whether there is an answer to read, or an end."""
    return bool(connection.can_read())


class Server:
    """A Redis behind a circuit that opens at the first failure. Any number of threads may use it."""

    def __init__(self, url: str, *, timeout_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._rests_until = 0.0
        self._broken = False

    def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:  # noqa: ANN401 - any
        """Run a script as one atomic step. Raises Away."""
        return self.ask(lambda: self._evaluate(script, keys, args))

    def ping(self) -> None:
        """Raise Away when nobody answers."""
        self.ask(self._redis.ping)

    def lock(self, name: str, *, expiry_seconds: float) -> Lock:
        """Return redis-py's lock of this name, not taken yet; its methods are to be called by `ask`."""
        return Lock(self._redis, name, timeout=expiry_seconds, blocking=False, thread_local=False)

    def messenger(self) -> Messenger:
        """Who leaves scripts, whatever the circuit says."""
        return Messenger(self._redis.connection_pool, self._clock)

    @property
    def resting(self) -> bool:
        """Whether it is left alone at the moment."""
        return self._clock() < self._rests_until

    def ask(self, question: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is asked
        """Ask something of the client that `lock` or another method of this class gave. Raises Away."""
        self._enter()
        try:
            answer = question()
        except (RedisError, OSError) as error:
            self._note(broken=True, reason=repr(error))
            raise Away from error
        if self._broken:
            self._note(broken=False)
        return answer

    def _enter(self) -> None:
        """Let everybody through while it works, and one at a time while it does not."""
        if not self._broken:
            return
        with self._lock:
            if self.resting:
                raise Away
            self._rests_until = self._clock() + REST_SECONDS

    def _note(self, *, broken: bool, reason: str = "") -> None:
        with self._lock:
            if broken and not self._broken:
                log.warning("redis away: %s", reason, extra={"event": "redis_away"})
            elif self._broken and not broken:
                log.info("redis back", extra={"event": "redis_back"})
            self._broken = broken
            self._rests_until = self._clock() + REST_SECONDS if broken else 0.0

    def _evaluate(self, script: Script, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:  # noqa: ANN401
        try:
            return self._redis.evalsha(script.digest, len(keys), *keys, *args)
        except NoScriptError:  # the first time, or a server that was started anew
            if script.first:
                self._redis.eval(script.first, len(keys), *keys, *args)
            return self._redis.eval(script.text, len(keys), *keys, *args)
