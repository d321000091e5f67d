"""The step runner: claim the best step, run it under its lease, record the outcome, repeat."""

import errno
import logging
import math
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import repeat

from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from execution.ffmpeg import Stopped
from execution.process import kill_children
from jobs.leasing.claim import Claim, step_claim
from jobs.leasing.leases import LeaseLost, StepPostponed, step_postpone, step_release
from jobs.leasing.nodes import owner_limit
from jobs.leasing.slots import DeviceOffer
from jobs.leasing.steps import StepWork, step_begin
from jobs.lifecycle.failures import step_fail
from jobs.rules.retry import Failure, failure_of
from jobs.rules.steps import BACKGROUND_QUEUE, CLAIMED_KINDS, CPU_QUEUE, GPU_QUEUE, STEPS, StepKind
from observability.logs import bound
from transcoding.errors import DeviceBusy, TranscodeError
from workers.counting import attempt_count
from workers.lease.connections import abort_connection
from workers.lease.control import StepControl, StopReason
from workers.lease.fenced_writes import retry_write
from workers.lease.keeper import DatabaseRenewal, LeaseKeeper
from workers.lease.terms import lease_terms
from workers.node.devices import device_offers, record_failure, record_success
from workers.tools import Tools

log = logging.getLogger(__name__)

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_BUSY_PAUSE_SECONDS = 2.0
"""Pause of a step whose device had no session left, although our books said so: somebody else encodes there."""

StepFunction = Callable[[StepWork, Tools, StepControl], None]

RUN: Mapping[StepKind, StepFunction] = {kind: import_module(f"workers.steps.{kind}").run for kind in CLAIMED_KINDS}
"""The function that runs each kind that workers claim: `run` of the module that is named like it."""


class StepRunner:
    """Works through the steps of a queue, one at a time, as one worker process."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._turns = deque(tools.config.worker.queues)

    def work(self, queue: str) -> int:
        """Claim and run steps until nothing fits or the node is draining. Returns how many were run."""
        count = 0
        while not self._tools.draining.is_set() and (claim := self._claim(queue)):
            self.carry_out(claim)
            count += 1
        return count

    def _claim(self, queue: str) -> Claim | None:
        """Claim from all queues of the node that has the queue.

        A process that serves two takes turns, so that a backlog of one never keeps the other waiting.
        """
        close_old_connections()
        config, node = self._tools.config, self._tools.node
        queues = list(self._turns) if queue in self._turns else [queue]
        for claimed, offer in self._offers(queues):
            claim = step_claim(
                queue=claimed,
                node=node,
                pid=os.getpid(),
                lease_seconds=lease_terms(claimed, config).lease_seconds,
                offer=offer,
                max_running=owner_limit(queue=claimed, silence_seconds=config.lease.node_silence_seconds),
            )
            if claim:
                if claimed == self._turns[0]:
                    self._turns.rotate(-1)
                return claim
        return None

    def _offers(self, queues: Sequence[str]) -> Iterator[tuple[str, DeviceOffer | None]]:
        """Yield where to look for a step, in order: queues, with each device that may be had there."""
        for queue in queues:
            if queue == GPU_QUEUE:
                yield from zip(repeat(queue), device_offers(node=self._tools.node, config=self._tools.config))
            yield queue, None
        if CPU_QUEUE in queues:
            yield BACKGROUND_QUEUE, None

    def carry_out(self, claim: Claim) -> None:
        """Run one claimed step to whatever end. Nothing that a step raises ends the worker."""
        with bound(step=str(claim.step_id), attempt=claim.attempt, kind=claim.kind, job=str(claim.job_id or "")):
            log.info("step begins", extra={"event": "step_begins"})
            grace_seconds = self._tools.config.worker.drain_grace_seconds
            started = time.monotonic()
            max_seconds = self._tools.config.limits.max_step_seconds if STEPS[claim.kind].resumes else math.inf
            control = StepControl(self._tools.draining, grace_seconds=grace_seconds, max_seconds=max_seconds)
            work, outcome = self._run(claim, control)
            attempt_count(
                queue=self._tools.config.worker.queues[0],
                claim=claim,
                work=work,
                outcome=outcome,
                seconds=time.monotonic() - started,
            )

    def _run(self, claim: Claim, control: StepControl) -> tuple[StepWork | None, str]:
        """Run a step and record its outcome. Returns what it was about, as far as that was read, and the outcome."""
        terms = lease_terms(STEPS[claim.kind].queue, self._tools.config)
        work, outcome = None, "failed"
        try:
            # 1. The keeper must be able to end this thread's own waiting: the connection is taken here, since in the
            #    keeper's threads `connections` would be their own.
            enforce = partial(_enforce, connections["default"])
            renewal = DatabaseRenewal(claim, terms)
            # 2. The lease is kept from before the first read until after the last write of the step, and no longer: an
            #    outcome is recorded without it, by the fence alone.
            with LeaseKeeper(renewal=renewal, control=control, terms=terms, enforce=enforce):
                work = retry_write(lambda: step_begin(claim=claim), control)
                RUN[claim.kind](work, self._tools, control)
        except LeaseLost:
            # 3. Somebody else has the step, or it was cancelled: there is no outcome to record.
            log.warning("step lost", extra={"event": "step_lost"})
            outcome = "lost"
        except StepPostponed:
            log.info("step postponed", extra={"event": "step_postponed"})
            outcome = "postponed"
        except Stopped:
            outcome = "stopped"
            self._end_stopped(claim, control)
        except TranscodeError as error:
            # 4. Before the errors of the database: errors of the core say whose fault it is.
            self._end_failed(claim, failure_of(error), control, output_tail=error.output_tail)
        except (DatabaseError, InterfaceError):
            # 5. The lease expires by itself. To record that through an unavailable database could only hang.
            log.exception("database failed", extra={"event": "step_database_failed"})
        except Exception as error:
            # 6. A bug of one step must not end the process: it serves the steps of other jobs, too.
            log.exception("step broke", extra={"event": "step_broke"})
            self._end_failed(claim, _unforeseen(error), control)
        else:
            # 7. The step has recorded that it is done by itself, in the transaction that publishes what it made.
            log.info("step done", extra={"event": "step_done"})
            outcome = "done"
            self._record(lambda: record_success(claim, node=self._tools.node))
        return work, outcome

    def _end_stopped(self, claim: Claim, control: StepControl) -> None:
        """Release the step of a draining node, or one that has had its time.

        One whose lease is lost or not confirmed has nothing to release.
        """
        log.warning("step stopped", extra={"event": "step_stopped", "reason": control.reason})
        if control.reason in (StopReason.DRAINING, StopReason.OVERTIME):
            self._record(lambda: step_release(claim=claim))

    def _end_failed(self, claim: Claim, failure: Failure, control: StepControl, *, output_tail: str = "") -> None:
        """Record a failure, unless the step had to stop: what is killed at work fails in all sorts of ways."""
        if control.is_set():
            self._end_stopped(claim, control)
            return
        said = {"code": failure.code, "detail": failure.detail, "details": failure.details}
        log.warning("step failed", extra={"event": "step_failed", **said})
        tools = self._tools
        if failure.code == DeviceBusy.code:
            seconds = _BUSY_PAUSE_SECONDS * (1 + random.random())  # noqa: S311 - keeps those apart who were refused
            self._record(lambda: step_postpone(claim=claim, seconds=seconds, code=failure.code, detail=failure.detail))
            return
        self._record(lambda: record_failure(claim, failure, node=tools.node, config=tools.config))
        result = {"log": output_tail} if output_tail else None
        self._record(lambda: step_fail(claim=claim, failure=failure, policy=tools.policy, result=result))

    def _record(self, write: Callable[[], object]) -> None:
        """Write an outcome once. If the write does not arrive, the lease expires and the step is reclaimed."""
        try:
            write()
        except LeaseLost:
            log.warning("step lost", extra={"event": "step_lost"})
        except (DatabaseError, InterfaceError):
            log.exception("database failed", extra={"event": "step_database_failed"})


def _enforce(database: BaseDatabaseWrapper, reason: StopReason) -> None:
    """End what a step must not use any more, while its thread may be waiting minutes for a store or a database."""
    kill_children()
    if reason is StopReason.UNCONFIRMED:
        abort_connection(database)


def _unforeseen(error: Exception) -> Failure:
    """Return the failure for an error that no step raises on purpose: the disk is full, or there is a bug."""
    full = isinstance(error, OSError) and error.errno in _DISK_FULL
    code = "scratch_full" if full else "internal_error"
    return Failure(code=code, detail=f"{type(error).__name__}: {error}", retryable=True)
