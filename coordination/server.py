"""The only module that speaks Redis. One that is dead or frozen costs one short wait, then nothing for a while."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

log = logging.getLogger(__name__)

REST_SECONDS = 1.0
"""How long a server that did not answer is left alone; then one caller tries."""


class Away(Exception):
    """Redis does not answer, or did not a moment ago."""


class Script:
    """A Lua script, sent once and named by its digest from then on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


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
        return self._ask(lambda: self._evaluate(script, keys, args))

    def ping(self) -> None:
        """Raise Away when nobody answers."""
        self._ask(self._redis.ping)

    @property
    def resting(self) -> bool:
        """Whether it is left alone at the moment."""
        return self._clock() < self._rests_until

    def _ask(self, question: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is asked
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
            return self._redis.eval(script.text, len(keys), *keys, *args)
