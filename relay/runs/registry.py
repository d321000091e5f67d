"""The runs of this process: found by what is requested, limited, and ended. All happens in the event loop."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import ParamSpec, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from relay.engines.engine import Attempt, Attempts, EngineRequest, EngineRun, Fallback
from relay.errors import RelayFull, StartTimeout, TooManySessions
from relay.metrics import SessionCounts
from relay.runs.conversion import Conversion, Listeners
from relay.runs.run import DRAINING, VIEWERS_GONE, LiveRequest, Run
from relay.runs.viewers import Outcome, Viewer
from relay.sources.source import Source

Params = ParamSpec("Params")

log = logging.getLogger(__name__)

Network = IPv4Network | IPv6Network

MAX_OWNER_VIEWERS = 200
"""Viewers of an owner in one process, of all its runs."""

Opens = Callable[[threading.Event], Source]
"""Opens a source in a thread, and gives up soon after the event is set. Raises RelayError."""


class Records(Protocol):
    """Store of what happens to runs. All but `started` return at once, and are in order."""

    async def started(self, run: Run) -> None:
        """Record a run before it starts. Raises what the database raises."""
        ...

    def first_byte(self, session_id: UUID, encoder: str, fallback: Fallback | None) -> None: ...

    def ended(self, session_id: UUID, outcome: Outcome, counts: SessionCounts) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """Limits of one process."""

    max_runs: int
    max_runs_per_owner: int
    max_runs_per_host: int
    """Those of an owner; of all owners, if the host is in one of `receivers`."""
    receivers: Collection[Network] = ()
    """Networks of receivers, which have a few tuners for everybody."""
    start_seconds: float
    linger_seconds: float


class Registry:
    """All runs of this process."""

    def __init__(
        self,
        *,
        ways: Callable[[EngineRequest, UUID], Attempts],
        records: Records,
        limits: RunLimits,
    ) -> None:
        self._ways = ways
        self._records = records
        self._limits = limits
        self._runs: set[Run] = set()
        self._shared: dict[LiveRequest, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.ordered_to_drain = False
        """Set while operators want no new runs here."""
        self._ending = False

    @property
    def draining(self) -> bool:
        """Tell whether new runs are refused."""
        return self._ending or self.ordered_to_drain

    @property
    def runs(self) -> Collection[Run]:
        """Those of which something is left."""
        return frozenset(self._runs)

    def counts(self) -> Mapping[UUID, SessionCounts]:
        """Return the counts of all runs, by their ids."""
        return {run.id: run.counts() for run in self._runs}

    def join(self, request: LiveRequest, *, key_id: UUID | None, opens: Opens) -> tuple[Run, Viewer]:
        """Add a viewer to the run of what it wants, or to a new one. Raises RelayError where there is no room."""
        if sum(run.viewers for run in self._runs_of(request.owner_id)) >= MAX_OWNER_VIEWERS:
            raise TooManySessions(f"You have {MAX_OWNER_VIEWERS} viewers already, which is the most at a time.")
        run = self._shared.get(request)
        if run is None:
            run = self._create(request, key_id=key_id, opens=opens)
            if request.source_url:
                self._shared[request] = run
        return run, run.add()

    def end(self, ids: Collection[UUID], outcome: Outcome) -> None:
        """End the runs with these ids."""
        for run in tuple(self._runs):
            if run.id in ids:
                self._stop(run, outcome)

    def drain(self) -> None:
        """Take no new runs any more."""
        self._ending = True

    async def close(self) -> None:
        """End all runs, and wait until nothing of them is left."""
        self._ending = True
        runs = tuple(self._runs)
        for run in runs:
            self._stop(run, Outcome(DRAINING))
        await asyncio.gather(*(run.over.wait() for run in runs))

    def _create(self, request: LiveRequest, *, key_id: UUID | None, opens: Opens) -> Run:
        host = (urlsplit(request.source_url).hostname or "").rstrip(".").lower()
        self._check_room(request.owner_id, host)
        run = Run(request, key_id=key_id, host=host, on_idle=self._idle)
        self._runs.add(run)
        self._spawn(self._live(run, opens))
        return run

    def _check_room(self, owner_id: UUID, host: str) -> None:
        limits = self._limits
        if self.draining:
            raise RelayFull("This relay takes no new streams: it drains.")
        if len(self._runs) >= limits.max_runs:
            raise RelayFull(f"This relay converts {limits.max_runs} streams already, which is the most at a time.")
        own = self._runs_of(owner_id)
        if len(own) >= limits.max_runs_per_owner:
            raise TooManySessions(f"You have {len(own)} streams open already, which is the most at a time.")
        counted = self._runs if _is_in(host, limits.receivers) else own
        if host and sum(run.host == host for run in counted) >= limits.max_runs_per_host:
            raise TooManySessions(
                f"{limits.max_runs_per_host} streams come from that host already, which is the most at a time."
            )

    def _runs_of(self, owner_id: UUID) -> Collection[Run]:
        return [run for run in self._runs if run.request.owner_id == owner_id]

    async def _live(self, run: Run, opens: Opens) -> None:
        """Record a run, start it, bound its start, and record its end."""
        recorded = False
        try:
            await self._records.started(run)
            recorded = True
            if run.outcome is None:
                await self._convert(run, opens)
        except Exception as error:
            log.exception("live run did not start", extra={"event": "live_run_not_started"})
            run.ended(error)
        finally:
            run.ended(None)
            self._forget(run)
            self._runs.discard(run)
        if recorded and run.outcome:
            self._records.ended(run.id, run.outcome, run.counts())
            _log_end(run, run.outcome)

    async def _convert(self, run: Run, opens: Opens) -> None:
        loop = asyncio.get_running_loop()

        def call(function: Callable[Params, object], *args: Params.args, **kwargs: Params.kwargs) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
                loop.call_soon_threadsafe(lambda: function(*args, **kwargs))

        listeners = Listeners(
            on_first=lambda attempt, engine: call(self._serves, run, attempt, engine),
            on_pieces=lambda pieces: call(run.deliver, pieces),
            on_end=lambda error: call(run.ended, error),
        )
        owner_id = run.request.owner_id
        run.conversion = Conversion(
            opens=opens,
            ways=lambda container: self._ways(run.request.engine_request(container), owner_id),
            start_seconds=self._limits.start_seconds,
            listeners=listeners,
        )
        run.conversion.start()
        late = loop.call_later(self._limits.start_seconds, self._late, run)
        await run.over.wait()
        late.cancel()

    def _serves(self, run: Run, attempt: Attempt, engine: EngineRun) -> None:
        run.serves(attempt, engine)
        self._records.first_byte(run.id, run.encoder, run.fallback)
        reason = f"{run.fallback.code}: {run.fallback.text}" if run.fallback else ""
        log.info(
            "live run served", extra={"event": "live_run_served", "session_id": str(run.id), "encoder": run.encoder,
                                      "fallback": reason, "source_host": run.host},
        )  # fmt: skip

    def _late(self, run: Run) -> None:
        if not run.is_live:
            seconds = self._limits.start_seconds
            error = StartTimeout(f"nothing that could be played came out of the source within {seconds:g} s")
            self._stop(run, Outcome(error.code, error))

    def _idle(self, run: Run) -> None:
        """End a run without viewers, at once or when it has lingered."""
        if run.request.source_url and self._limits.linger_seconds:
            asyncio.get_running_loop().call_later(self._limits.linger_seconds, self._stop_idle, run)
        else:
            self._stop_idle(run)

    def _stop_idle(self, run: Run) -> None:
        if not run.viewers:
            self._stop(run, Outcome(VIEWERS_GONE))

    def _stop(self, run: Run, outcome: Outcome) -> None:
        self._forget(run)
        run.stop(outcome)

    def _forget(self, run: Run) -> None:
        """Have new viewers of the same get another run."""
        if self._shared.get(run.request) is run:
            del self._shared[run.request]

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _is_in(host: str, networks: Collection[Network]) -> bool:
    """Tell whether a host is given as an address in one of these networks."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)


def _log_end(run: Run, outcome: Outcome) -> None:
    error = str(outcome.error) if outcome.error else ""
    log.info(
        "live run ended", extra={"event": "live_run_ended", "session_id": str(run.id), "code": outcome.code,
                                 "error": error, "source_host": run.host},
    )  # fmt: skip
