from __future__ import annotations

import pytest

from configuration import RetryConfig
from jobs.rules.retry import WORKER_LOST, Failure, Retry, decide_retry, failure_of, keeps_output, pause_seconds
from storage.errors import StorageRefused
from transcoding.errors import EncoderFailed, InputRejected

POLICY = RetryConfig(max_failures=3, poison_attempts=5, retry_base_seconds=10, retry_max_seconds=60)
BROKEN = Failure(code="encoder_failed", retryable=True)
BAD_INPUT = Failure(code="input_rejected", input_at_fault=True)


@pytest.mark.parametrize(
    ("failure", "failures", "attempts_without_progress", "expected"),
    [
        # our own failures are charged; pauses are half of base x 2^(n-1) where jitter is 0
        (BROKEN, 0, 1, Retry(delay_seconds=5, failures=1)),  # 10 x 1 / 2
        (BROKEN, 1, 2, Retry(delay_seconds=10, failures=2)),  # 10 x 2 / 2
        (BROKEN, 2, 3, None),  # the third of three
        (BROKEN, 0, 0, Retry(delay_seconds=5, failures=1)),  # what it published before does not count
        # the input's fault is never retried
        (BAD_INPUT, 0, 1, None),
        (BAD_INPUT, 0, 0, None),
        # a lost worker is not charged, and goes on at once where something was published
        (WORKER_LOST, 0, 0, Retry(delay_seconds=0, failures=0)),
        (WORKER_LOST, 2, 0, Retry(delay_seconds=0, failures=2)),
        (WORKER_LOST, 0, 1, Retry(delay_seconds=0, failures=0)),  # one loss is not poison
        (WORKER_LOST, 0, 2, Retry(delay_seconds=5, failures=0)),  # 10 x 1 / 2
        (WORKER_LOST, 0, 4, Retry(delay_seconds=20, failures=0)),  # 10 x 4 / 2
        (WORKER_LOST, 0, 5, None),  # poison
    ],
)
def test_decide_retry(failure: Failure, failures: int, attempts_without_progress: int, expected: Retry | None) -> None:
    decided = decide_retry(
        failure, failures=failures, attempts_without_progress=attempts_without_progress, policy=POLICY, jitter=0.0
    )
    assert decided == expected


@pytest.mark.parametrize(
    ("times", "jitter", "seconds"),
    [
        (1, 0.0, 5),  # 10 x 1 x 0.5
        (1, 0.5, 7.5),  # 10 x 1 x 0.75
        (3, 0.0, 20),  # 10 x 4 x 0.5
        (4, 0.0, 30),  # 10 x 8 = 80, at most 60, x 0.5
        (100_000, 0.0, 30),
    ],
)
def test_pause(times: int, jitter: float, seconds: float) -> None:
    assert pause_seconds(times, POLICY, jitter) == seconds


def test_an_error_of_the_core_says_whose_fault_it_is() -> None:
    assert failure_of(InputRejected("no video track")) == Failure(
        code="input_rejected", detail="no video track", retryable=False, input_at_fault=True
    )
    assert failure_of(EncoderFailed("exit code 1")).retryable
    assert not failure_of(EncoderFailed("exit code 1")).input_at_fault


def test_what_an_operator_can_mend_costs_no_segments() -> None:
    refused = failure_of(StorageRefused("videos/a/source", "AccessDenied"))
    assert not refused.retryable
    assert keeps_output(refused)
    assert not keeps_output(BAD_INPUT)
