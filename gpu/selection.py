"""Choice of the device for the next step. Pure.

Unknown values: free memory counts as exactly `min_free_mb`, utilisation as 50 %, encoder load as not saturated, and
sessions as our own.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gpu.devices import Reading

ANY_DEVICE = -1
MIN_FREE_MB = 500
SATURATED_PERCENT = 95
"""Encoder load from which on a further session only slows the others down."""
_UNKNOWN_UTILIZATION = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A device that the choice is made from."""

    uuid: str
    index: int
    reading: Reading
    encoders: frozenset[str]
    """Encoders that passed their trial and are not set aside."""
    used_slots: int = 0
    """Our own sessions."""
    free_slots: int = 0
    """Further sessions within the limits."""
    healthy: bool = True
    """The driver can query it."""


def choose(
    candidates: Iterable[Candidate], *, pinned: int = ANY_DEVICE, min_free_mb: int = MIN_FREE_MB
) -> Candidate | None:
    """Return the best eligible device, or None. `pinned` allows one index only."""
    return next(iter(ranked(candidates, pinned=pinned, min_free_mb=min_free_mb)), None)


def ranked(
    candidates: Iterable[Candidate], *, pinned: int = ANY_DEVICE, min_free_mb: int = MIN_FREE_MB
) -> list[Candidate]:
    """Sort the eligible devices, best first: by score, then fewer sessions, then lower index."""
    fit = [each for each in candidates if pinned in {ANY_DEVICE, each.index} and is_eligible(each, min_free_mb)]
    return sorted(fit, key=lambda each: (-score(each.reading, min_free_mb), sessions(each), each.index, each.uuid))


def is_eligible(candidate: Candidate, min_free_mb: int = MIN_FREE_MB) -> bool:
    """Return True if the device is healthy and has a usable encoder, a free slot, memory, and spare encoder load."""
    reading = candidate.reading
    return (
        candidate.healthy
        and bool(candidate.encoders)
        and candidate.free_slots > 0
        and _free_mb(reading, min_free_mb) >= min_free_mb
        and (reading.encoder_percent or 0) < SATURATED_PERCENT
    )


def score(reading: Reading, min_free_mb: int = MIN_FREE_MB) -> int:
    """Return free MiB times idle percent. A device at 100 % utilisation scores 0 and stays eligible."""
    utilization = reading.utilization_percent
    busy = _UNKNOWN_UTILIZATION if utilization is None else utilization
    return _free_mb(reading, min_free_mb) * (100 - busy)


def sessions(candidate: Candidate) -> int:
    """Return the larger of two counts: the driver's is some seconds old, ours lacks other programs' sessions."""
    return max(candidate.reading.sessions or 0, candidate.used_slots)


def _free_mb(reading: Reading, unknown: int) -> int:
    if reading.memory_free_mb is not None:
        return reading.memory_free_mb
    if reading.memory_total_mb is not None and reading.memory_used_mb is not None:
        return reading.memory_total_mb - reading.memory_used_mb
    return unknown
