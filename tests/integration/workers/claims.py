"""Claims of the steps that a test is about."""

from jobs.leasing.claim import Claim, step_claim
from jobs.leasing.leases import step_release
from jobs.rules.steps import STEPS, StepKind
from workers.tools import Tools


def claim_of_kind(tools: Tools, kind: StepKind) -> Claim:
    """Claim the best ready step of a kind; others that come first are released."""
    passed = []
    while claim := step_claim(queue=STEPS[kind].queue, node="node-1", pid=1, lease_seconds=60):
        if claim.kind is kind:
            break
        passed.append(claim)
    for other in passed:
        step_release(claim=other)
    assert claim is not None, f"no {kind} step is ready"
    return claim
