"""Whether and when a step is tried again, decided from what went wrong. Pure: no clock, no dice, no rows."""

from dataclasses import dataclass

from configuration import RetryConfig
from transcoding.errors import InputChanged, InputRejected, TranscodeError

POISON = "poison"
"""Code of a step that kept losing its workers and got nowhere."""

INCURABLE = frozenset({InputRejected.code, InputChanged.code})
"""Codes of jobs whose source turned out to be bad or gone while they were encoded: asking again cannot help."""

_MAX_DOUBLINGS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an attempt ended early.

    `lost`: its worker vanished, which says nothing about the step by itself. `input_at_fault`: the source can never be
    transcoded, by this job or another.
    """

    code: str
    detail: str = ""
    retryable: bool = False
    lost: bool = False
    input_at_fault: bool = False


WORKER_LOST = Failure(code="worker_lost", detail="The worker stopped renewing its lease.", retryable=True, lost=True)


def source_at_fault(failure: Failure) -> bool:
    """Whether the source is bad or gone, so that nothing else could do it either."""
    return failure.input_at_fault or failure.code in INCURABLE


def keeps_output(failure: Failure) -> bool:
    """Whether what a failed job published is kept, so that a retry goes on with it.

    A poisoned job is not tried again by itself, but whoever has found out what killed its workers may want that.
    """
    return failure.retryable or failure.code == POISON


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try again after a pause; `failures` is what the step has been charged with by then."""

    delay_seconds: float
    failures: int


def decide_retry(
    failure: Failure, *, failures: int, barren_attempts: int, policy: RetryConfig, jitter: float
) -> Retry | None:
    """When to try again, or None for never.

    `failures` are those charged before. `barren_attempts` are the attempts in a row, this one included, that published
    nothing new: 0 means this one did. `jitter` in [0, 1) keeps steps that failed together from coming back together.
    """
    if not failure.retryable:
        return None
    if failure.lost:
        return _after_loss(failures, barren_attempts, policy, jitter)
    charged = failures + 1
    if charged >= policy.max_failures:
        return None
    return Retry(delay_seconds=pause_seconds(charged, policy, jitter), failures=charged)


def _after_loss(failures: int, barren_attempts: int, policy: RetryConfig, jitter: float) -> Retry | None:
    """A lost worker is nobody's fault, until a step keeps losing them and gets nowhere."""
    if barren_attempts >= policy.poison_attempts:
        return None
    repeated = max(0, barren_attempts - 1)
    return Retry(delay_seconds=pause_seconds(repeated, policy, jitter) if repeated else 0.0, failures=failures)


def pause_seconds(times: int, policy: RetryConfig, jitter: float) -> float:
    """Doubling pause before try number `times` (from 1), between half and all of it."""
    doublings = min(times - 1, _MAX_DOUBLINGS)
    longest = min(policy.retry_max_seconds, policy.retry_base_seconds * 2.0**doublings)
    return longest * (0.5 + jitter / 2)


def failure_of(error: TranscodeError) -> Failure:
    """What an error of the core means to a step."""
    return Failure(
        code=error.code,
        detail=str(error),
        retryable=error.retryable,
        input_at_fault=isinstance(error, InputRejected),
    )
