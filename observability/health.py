"""Checks of what a process depends on, made so that asking costs next to nothing and never hangs."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

log = logging.getLogger(__name__)

FRESH_SECONDS = 2.0
"""For so long an answer is given again, whoever asks: probes are open to everybody."""


class Health(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    """Something optional is away: the process works all the same, more slowly or without a part."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to look at: `look` raises whatever it likes when it is not well."""

    name: str
    look: Callable[[], object]
    vital: bool


class Watch:
    """A check in a thread of its own, one run at a time."""

    def __init__(self, check: Check, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.check = check
        self._clock = clock
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._begun_at = clock() - FRESH_SECONDS
        self._well = False
        self._busy = False

    def begin(self) -> None:
        """Look, unless that is under way or was done a moment ago."""
        with self._lock:
            if self._busy or self._clock() - self._begun_at < FRESH_SECONDS:
                return
            self._busy, self._begun_at = True, self._clock()
            self._done.clear()
        threading.Thread(target=self._run, name=f"check-{self.check.name}", daemon=True).start()

    def verdict(self, wait_seconds: float) -> Health:
        """How it is; what does not answer in time is not well."""
        well = self._done.wait(wait_seconds) and self._well
        return Health.OK if well else Health.FAILED if self.check.vital else Health.DEGRADED

    def _run(self) -> None:
        try:
            self.check.look()
        except Exception as error:  # noqa: BLE001 - every kind of failure is the answer
            log.warning("%s is not well: %s", self.check.name, error, extra={"event": "check_failed"})
            self._well = False
        else:
            self._well = True
        finally:
            with self._lock:
                self._busy = False
            self._done.set()


def verdicts(watches: Sequence[Watch], *, wait_seconds: float) -> Mapping[str, Health]:
    """Ask all of them at once; the whole takes as long as the wait at most."""
    for watch in watches:
        watch.begin()
    until = time.monotonic() + wait_seconds
    return {watch.check.name: watch.verdict(max(0.0, until - time.monotonic())) for watch in watches}


def overall(verdicts: Mapping[str, Health]) -> Health:
    """The worst of them."""
    return max(verdicts.values(), key=list(Health).index, default=Health.OK)


def database_answers() -> None:
    """Raise when PostgreSQL does not answer."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


class MigrationsApplied:
    """Raise as long as the tables are older than the code; what was applied once stays so."""

    def __init__(self) -> None:
        self._applied = False

    def __call__(self) -> None:
        if self._applied:
            return
        try:
            executor = MigrationExecutor(connection)
            if missing := executor.migration_plan(executor.loader.graph.leaf_nodes()):
                raise RuntimeError(f"{len(missing)} migrations are not applied")
        finally:
            connection.close()
        self._applied = True
