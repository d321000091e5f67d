"""Metrics of the attempts that a worker made."""

from jobs.leasing.claim import Claim
from jobs.leasing.steps import StepWork
from jobs.rules.steps import CPU_QUEUE, GPU_QUEUE, LIVE_QUEUE, MEASURED_KINDS, STEPS, TRANSFER_QUEUE, kinds_where
from observability import metrics
from transcoding.encoders import ENCODERS
from workers.steps.publishing import encoding_of

OUTCOMES = ("done", "failed", "lost", "stopped")
_OF_QUEUE = {
    CPU_QUEUE: kinds_where(lambda spec: spec.claimed and spec.queue not in (TRANSFER_QUEUE, LIVE_QUEUE)),
    GPU_QUEUE: MEASURED_KINDS,
    TRANSFER_QUEUE: kinds_where(lambda spec: spec.queue == TRANSFER_QUEUE),
    LIVE_QUEUE: kinds_where(lambda spec: spec.queue == LIVE_QUEUE),
}

for _queue, _kinds in _OF_QUEUE.items():
    metrics.STEPS_RUN.expect(queue=[_queue], kind=_kinds, outcome=OUTCOMES)
    metrics.STEP_SECONDS.expect(queue=[_queue], kind=_kinds)
metrics.ENCODES.expect(encoder=[encoder.ffmpeg_name for encoder in ENCODERS.values()], outcome=OUTCOMES)


def attempt_count(*, queue: str, claim: Claim, work: StepWork | None, outcome: str, seconds: float) -> None:
    """Count one attempt that has ended; `work` is None where it ended before it was known.

    `queue`: the first of the node. What another queue has for itself is counted there.
    """
    if STEPS[claim.kind].queue == TRANSFER_QUEUE:
        queue = TRANSFER_QUEUE
    metrics.STEPS_RUN.add(queue=queue, kind=claim.kind.value, outcome=outcome)
    metrics.STEP_SECONDS.observe(seconds, queue=queue, kind=claim.kind.value)
    if STEPS[claim.kind].measured and work:
        metrics.ENCODES.add(encoder=encoding_of(work).encoder_name, outcome=outcome)
