"""The step runner: claim the best step, carry it out under its lease, settle how it ended, and again."""

import errno
import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from itertools import chain

from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from execution.ffmpeg import Stopped
from execution.process import kill_children
from jobs.leasing.claim import Claim, step_claim
from jobs.leasing.leases import LeaseLost, step_postpone, step_release
from jobs.leasing.steps import StepWork, step_begin
from jobs.lifecycle.failures import step_fail
from jobs.rules.retry import Failure, failure_of
from jobs.rules.steps import GPU_QUEUE, StepKind
from observability.logs import bound
from transcoding.errors import DeviceBusy, TranscodeError
from workers.counting import attempt_count
from workers.lease.connections import sever
from workers.lease.control import StepControl, StopReason
from workers.lease.fenced_writes import settle
from workers.lease.keeper import DatabaseRenewal, LeaseKeeper
from workers.node.devices import device_offers, note_failure, note_success
from workers.tools import Tools

log = logging.getLogger(__name__)

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_BUSY_PAUSE_SECONDS = 2.0
"""Pause of a step whose device had no session left, although our books said so: somebody else encodes there."""

StepFunction = Callable[[StepWork, Tools, StepControl], None]

RUN: Mapping[StepKind, StepFunction] = {kind: import_module(f"workers.steps.{kind}").run for kind in StepKind}
"""What carries out each kind: `run` of the module that is named like it."""


class StepRunner:
    """Works through the steps of a queue, one at a time, as one worker process."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def work(self, queue: str) -> int:
        """Claim and run steps until nothing fits or the node is draining. Returns how many were run."""
        count = 0
        while not self._tools.draining.is_set() and (claim := self._claim(queue)):
            self.carry_out(claim)
            count += 1
        return count

    def _claim(self, queue: str) -> Claim | None:
        close_old_connections()
        config, node = self._tools.config, self._tools.node
        offers = device_offers(node=node, config=config) if queue == GPU_QUEUE else iter(())
        for offer in chain(offers, [None]):
            claim = step_claim(
                queue=queue,
                node=node,
                pid=os.getpid(),
                lease_seconds=config.lease.lease_seconds,
                rank=config.rank,
                offer=offer,
            )
            if claim:
                return claim
        return None

    def carry_out(self, claim: Claim) -> None:
        """Run one claimed step to whatever end. Nothing that a step raises ends the worker."""
        with bound(step=str(claim.step_id), attempt=claim.attempt, kind=claim.kind, job=str(claim.job_id or "")):
            log.info("step begins", extra={"event": "step_begins"})
            grace_seconds = self._tools.config.worker.drain_grace_seconds
            began = time.monotonic()
            work, outcome = self._run(claim, StepControl(self._tools.draining, grace_seconds=grace_seconds))
            attempt_count(
                queue=self._tools.config.worker.worker_queue,
                claim=claim,
                work=work,
                outcome=outcome,
                seconds=time.monotonic() - began,
            )

    def _run(self, claim: Claim, control: StepControl) -> tuple[StepWork | None, str]:
        """Run it and settle how it ended; what it was about, as far as that was read, and the end in a word."""
        config = self._tools.config.lease
        work, outcome = None, "failed"
        try:
            enforce = partial(_enforce, connections["default"])
            renewal = DatabaseRenewal(claim, config)
            with LeaseKeeper(renewal=renewal, control=control, config=config, enforce=enforce):
                work = settle(lambda: step_begin(claim=claim), control)
                RUN[claim.kind](work, self._tools, control)
        except LeaseLost:
            log.warning("step lost", extra={"event": "step_lost"})
            outcome = "lost"
        except Stopped:
            outcome = "stopped"
            self._settle_stop(claim, control)
        except TranscodeError as error:
            self._settle_failure(claim, failure_of(error), control, output_tail=error.output_tail)
        except (DatabaseError, InterfaceError):
            # The lease runs out by itself; saying so through a database that is away could only hang.
            log.exception("database failed", extra={"event": "step_database_failed"})
        except Exception as error:
            log.exception("step broke", extra={"event": "step_broke"})
            self._settle_failure(claim, _unforeseen(error), control)
        else:
            log.info("step done", extra={"event": "step_done"})
            outcome = "done"
            self._tell(lambda: note_success(claim, node=self._tools.node))
        return work, outcome

    def _settle_stop(self, claim: Claim, control: StepControl) -> None:
        """A draining node hands its step back; one that lost its lease, or cannot prove it, has nothing to hand."""
        log.warning("step stopped", extra={"event": "step_stopped", "reason": control.reason})
        if control.reason is StopReason.DRAINING:
            self._tell(lambda: step_release(claim=claim))

    def _settle_failure(self, claim: Claim, failure: Failure, control: StepControl, *, output_tail: str = "") -> None:
        """Say what went wrong, unless the step was to stop: what is killed under way fails in all sorts of ways."""
        if control.is_set():
            self._settle_stop(claim, control)
            return
        log.warning("step failed", extra={"event": "step_failed", "code": failure.code, "detail": failure.detail})
        tools = self._tools
        if failure.code == DeviceBusy.code:
            seconds = _BUSY_PAUSE_SECONDS * (1 + random.random())  # noqa: S311 - keeps those apart who were refused
            self._tell(lambda: step_postpone(claim=claim, seconds=seconds, code=failure.code, detail=failure.detail))
            return
        self._tell(lambda: note_failure(claim, failure, node=tools.node, config=tools.config))
        result = {"log": output_tail} if output_tail else None
        self._tell(lambda: step_fail(claim=claim, failure=failure, policy=tools.policy, result=result))

    def _tell(self, write: Callable[[], object]) -> None:
        """Say once how a step ended. Where that does not arrive, the lease runs out and says it."""
        try:
            write()
        except LeaseLost:
            log.warning("step lost", extra={"event": "step_lost"})
        except (DatabaseError, InterfaceError):
            log.exception("database failed", extra={"event": "step_database_failed"})


def _enforce(database: BaseDatabaseWrapper, reason: StopReason) -> None:
    """End what a step may not have any more, while its thread may be waiting for a store or a database for minutes."""
    kill_children()
    if reason is StopReason.UNPROVABLE:
        sever(database)


def _unforeseen(error: Exception) -> Failure:
    """What an error that no step raises on purpose means: the disk is full, or there is a bug."""
    full = isinstance(error, OSError) and error.errno in _DISK_FULL
    code = "scratch_full" if full else "internal_error"
    return Failure(code=code, detail=f"{type(error).__name__}: {error}", retryable=True)
