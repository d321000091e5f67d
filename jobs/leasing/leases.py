"""Leases: every write of a worker is fenced by its claim. One that matches no row means that the lease is lost."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest, Now

from jobs.changes.wake import dispatcher_wake
from jobs.leasing.claim import Claim
from jobs.models import Step
from jobs.rules.steps import STEPS, StepKind
from jobs.rules.transitions import StepState


class LeaseLost(Exception):
    """The step was cancelled or claimed by another worker.

    The worker stops, deletes the objects that this attempt did not publish, and reports nothing.
    """

    def __init__(self, claim: Claim) -> None:
        super().__init__(f"{claim.kind} step {claim.step_id} is no longer held by attempt {claim.attempt}")


class StepPostponed(Exception):
    """The step has released itself, to be claimed again later. Nothing else is recorded."""


UNHELD: Mapping[str, Any] = {"lease_expires_at": None, "node": "", "worker_pid": None}
_NO_SLOTS: Mapping[str, Any] = {"encoder": "", "sessions": 0, "device": ""}


def unheld(kind: StepKind) -> Mapping[str, Any]:
    """Return the values of the holder's columns of a step that nobody runs any more.

    The requirement of a live step is that of its worker: the next one chooses again.
    """
    return {**UNHELD, **_NO_SLOTS} if STEPS[kind].live else UNHELD


def fenced(claim: Claim) -> QuerySet[Step]:
    """Select the claimed step's row while the claim holds; no row otherwise."""
    return Step.objects.filter(id=claim.step_id, attempt=claim.attempt, state=StepState.RUNNING)


def step_renew(*, claim: Claim, lease_seconds: float) -> bool:
    """Renew the lease: it ends `lease_seconds` from now. False: it is lost."""
    return bool(fenced(claim).update(lease_expires_at=Now() + timedelta(seconds=lease_seconds)))


def step_postpone(*, claim: Claim, seconds: float, code: str, detail: str) -> bool:
    """Release the step uncharged, to be claimed after `seconds`. False: the lease was lost already."""
    return bool(
        fenced(claim).update(
            state=StepState.DELAYED,
            not_before=Now() + timedelta(seconds=seconds),
            attempts_without_progress=Greatest(F("attempts_without_progress") - 1, 0),
            error_code=code,
            error_detail=detail,
            **unheld(claim.kind),
        )
    )


@transaction.atomic
def step_release(*, claim: Claim) -> bool:
    """Release the step uncharged, to be claimed at once. False: the lease was lost already."""
    released = fenced(claim).update(
        state=StepState.READY,
        attempts_without_progress=Greatest(F("attempts_without_progress") - 1, 0),
        **unheld(claim.kind),
    )
    if released:
        dispatcher_wake()
    return bool(released)
