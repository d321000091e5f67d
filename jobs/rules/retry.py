"""Retry policy: decides from a failure whether and when a step runs again. No clock, random numbers or rows."""

from dataclasses import dataclass

from configuration import RetryConfig
from storage.errors import StorageRefused
from transcoding.errors import InputChanged, InputRejected, RequestUnfit, ResourceExceeded, TranscodeError

POISON = "poison"
"""Error code of a step that lost its worker `poison_attempts` times in a row without publishing anything."""

INCURABLE = frozenset({InputRejected.code, InputChanged.code, ResourceExceeded.code})
"""Error codes of jobs whose source turned out to be bad or gone while they were encoded: no retry can help."""

_MAX_DOUBLINGS = 30
"""Keeps the pause a finite float; the longest pause of a policy is reached long before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The reason for which an attempt ended early."""

    code: str
    detail: str = ""
    details: str = ""
    """The words of the program that failed."""
    retryable: bool = False
    lost: bool = False
    """Its worker vanished, which may or may not be the step's doing."""
    input_at_fault: bool = False
    """No job can ever transcode this source."""


WORKER_LOST = Failure(code="worker_lost", detail="The worker stopped renewing its lease.", retryable=True, lost=True)


def source_at_fault(failure: Failure) -> bool:
    """Return True if the source is bad or gone, so that no other encoder could succeed."""
    return failure.input_at_fault or failure.code in INCURABLE


def keeps_output(failure: Failure) -> bool:
    """Return True if the segments of a job that failed like this stay in the store for a retry.

    An operator may retry a poisoned job after removing what killed its workers, and one that the store refused after
    correcting keys, rights or a clock.
    """
    return failure.retryable or failure.code in (POISON, StorageRefused.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A decision to try again."""

    delay_seconds: float
    failures: int
    """Failures charged to the step so far, this one included if it counts."""


def decide_retry(
    failure: Failure, *, failures: int, attempts_without_progress: int, policy: RetryConfig, jitter: float
) -> Retry | None:
    """Return when to try again, or None to give up.

    `failures`: those charged before. `attempts_without_progress`: attempts in a row, this one included, that published
    nothing new; 0 if this one did. `jitter`, in [0, 1), keeps steps that failed together from retrying together.
    """
    if not failure.retryable:
        return None
    if failure.lost:
        return _after_loss(failures, attempts_without_progress, policy, jitter)
    charged = failures + 1
    if charged >= policy.max_failures:
        return None
    return Retry(delay_seconds=pause_seconds(charged, policy, jitter), failures=charged)


def _after_loss(failures: int, attempts_without_progress: int, policy: RetryConfig, jitter: float) -> Retry | None:
    """Retry uncharged after a lost worker: at once first, then after pauses, until the attempts make it poison."""
    if attempts_without_progress >= policy.poison_attempts:
        return None
    repeated = max(0, attempts_without_progress - 1)
    return Retry(delay_seconds=pause_seconds(repeated, policy, jitter) if repeated else 0.0, failures=failures)


def pause_seconds(times: int, policy: RetryConfig, jitter: float) -> float:
    """Return the pause in seconds before retry number `times`, counted from 1.

    It doubles each time up to `retry_max_seconds`; the jitter takes off up to half of it.
    """
    doublings = min(times - 1, _MAX_DOUBLINGS)
    longest = min(policy.retry_max_seconds, policy.retry_base_seconds * 2.0**doublings)
    return longest * (0.5 + jitter / 2)


def failure_of(error: TranscodeError) -> Failure:
    """Convert an error of the transcoding core to the failure of a step."""
    return Failure(
        code=error.code,
        detail=str(error),
        details=error.details,
        retryable=error.retryable,
        input_at_fault=isinstance(error, InputRejected) and not isinstance(error, RequestUnfit),
    )
