"""The terms of a lease: how long it lasts without a renewal, and how often it is renewed."""

from dataclasses import dataclass

from configuration import Config
from jobs.rules.steps import LIVE_QUEUE

_LIVE_RENEWALS = 4
"""Renewals within the lease of a live step: with one that fails and its retries, the third is still in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """Seconds of one lease."""

    lease_seconds: float
    renew_seconds: float
    """Interval of the renewals."""
    stop_fraction: float
    """Fraction of the lease without a renewal after which the worker stops its step."""


def lease_terms(queue: str, config: Config) -> LeaseTerms:
    """Return the terms for steps of a queue. A live stream shows nothing new until another worker has it."""
    lease = config.lease
    if queue != LIVE_QUEUE:
        return LeaseTerms(
            lease_seconds=lease.lease_seconds,
            renew_seconds=lease.lease_renew_seconds,
            stop_fraction=lease.lease_stop_fraction,
        )
    seconds = config.livestreams.live_lease_seconds
    return LeaseTerms(
        lease_seconds=seconds, renew_seconds=seconds / _LIVE_RENEWALS, stop_fraction=lease.lease_stop_fraction
    )
