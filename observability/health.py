"""Health checks of the services that a process depends on. A check is cheap and never hangs."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

log = logging.getLogger(__name__)

RESULT_TTL_SECONDS = 2.0
"""Lifetime of a result. Probes need no key, so a crowd of them must not reach the database."""


class Health(StrEnum):
    """State of one service or of all of them, from best to worst."""

    OK = "ok"
    DEGRADED = "degraded"
    """An optional service is unavailable. The process works, more slowly or without a part."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check of one service. `probe` raises any exception if the service is unhealthy."""

    name: str
    probe: Callable[[], object]
    required: bool
    """A failed check of a required service is FAILED, of any other DEGRADED."""


class BackgroundCheck:
    """A check that runs in a thread of its own, one run at a time, and keeps its result."""

    def __init__(self, check: Check, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.check = check
        self._clock = clock
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._started_at = clock() - RESULT_TTL_SECONDS
        self._passed = False
        self._running = False
        self._cause = ""

    @property
    def cause(self) -> str:
        """Reason of the last run's failure, for operators; empty if it passed."""
        return self._cause

    def start(self) -> None:
        """Start the check, unless it runs already or its result is still valid."""
        with self._lock:
            if self._running or self._clock() - self._started_at < RESULT_TTL_SECONDS:
                return
            self._running, self._started_at = True, self._clock()
            self._done.clear()
        threading.Thread(target=self._run, name=f"check-{self.check.name}", daemon=True).start()

    def result(self, timeout_seconds: float) -> Health:
        """Return the result. A check that is not done within the timeout has failed."""
        passed = self._done.wait(timeout_seconds) and self._passed
        return Health.OK if passed else Health.FAILED if self.check.required else Health.DEGRADED

    def _run(self) -> None:
        try:
            self.check.probe()
        except Exception as error:  # noqa: BLE001 - any exception means that the check failed
            self._passed, self._cause = False, str(error) or type(error).__name__
            log.warning("%s is unhealthy: %s", self.check.name, self._cause, extra={"event": "check_failed"})
        else:
            self._passed, self._cause = True, ""
        finally:
            with self._lock:
                self._running = False
            self._done.set()


def run_checks(checks: Sequence[BackgroundCheck], *, timeout_seconds: float) -> Mapping[str, Health]:
    """Run all checks in parallel and return their results by name, within the timeout."""
    for check in checks:
        check.start()
    deadline = time.monotonic() + timeout_seconds
    return {each.check.name: each.result(max(0.0, deadline - time.monotonic())) for each in checks}


def worst_of(results: Mapping[str, Health]) -> Health:
    """Return the worst result; OK without any."""
    return max(results.values(), key=list(Health).index, default=Health.OK)


def check_database() -> None:
    """Raise if PostgreSQL does not answer."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


class MigrationsApplied:
    """Raise as long as migrations are missing. Migrations that were applied once stay applied."""

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
