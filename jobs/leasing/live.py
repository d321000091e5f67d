"""The step of a broadcast, where no worker holds it and its source has ended: whoever finds that ends it."""

import os
import socket
from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Now

from jobs.leasing.claim import Claim, claim_of
from jobs.models import Job, Step
from jobs.rules.steps import LIVE_KINDS
from jobs.rules.transitions import StepState

_LEASE_SECONDS = 30.0


def live_step_take(*, job: Job) -> Claim | None:
    """Take the live step of a locked job that nobody runs, to end it in this transaction. None: it is held, or over."""
    idle = Step.objects.filter(job=job, kind__in=LIVE_KINDS, state__in=(StepState.READY, StepState.DELAYED))
    taken = idle.update(
        state=StepState.RUNNING,
        attempt=F("attempt") + 1,
        lease_expires_at=Now() + timedelta(seconds=_LEASE_SECONDS),
        not_before=None,
        node=socket.gethostname(),
        worker_pid=os.getpid(),
        claimed_at=Now(),
    )
    return claim_of(Step.objects.get(job=job, kind__in=LIVE_KINDS)) if taken else None
