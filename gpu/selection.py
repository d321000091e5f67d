"""Which device works next. Pure: values in, a choice out, and none is a choice too.

What a device does not say is read like this: unknown free memory passes the gate, and counts as just enough; unknown
utilisation counts as a half; an encoder that does not say how busy it is is not saturated; unknown sessions are those
that we have there ourselves.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gpu.devices import Reading

ANY_DEVICE = -1
MIN_FREE_MB = 500
SATURATED_PERCENT = 95
"""An encoder this busy gets slower with every further session, not more done."""
_UNKNOWN_UTILIZATION = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A device that could work: its reading, our sessions there, and those that it may still have.

    `encoders` are those that it has proven and that are not set aside; `healthy`: it can be asked at present.
    """

    uuid: str
    index: int
    reading: Reading
    encoders: frozenset[str]
    used_slots: int = 0
    free_slots: int = 0
    healthy: bool = True


def choose(
    candidates: Iterable[Candidate], *, pinned: int = ANY_DEVICE, min_free_mb: int = MIN_FREE_MB
) -> Candidate | None:
    """The device to use; `pinned` allows one index only. None: no device may take work now."""
    return next(iter(ranked(candidates, pinned=pinned, min_free_mb=min_free_mb)), None)


def ranked(
    candidates: Iterable[Candidate], *, pinned: int = ANY_DEVICE, min_free_mb: int = MIN_FREE_MB
) -> list[Candidate]:
    """All devices that may take work, best first: most free memory times idleness, then fewest sessions, then index."""
    fit = [each for each in candidates if pinned in {ANY_DEVICE, each.index} and may_work(each, min_free_mb)]
    return sorted(fit, key=lambda each: (-score(each.reading, min_free_mb), sessions(each), each.index, each.uuid))


def may_work(candidate: Candidate, min_free_mb: int = MIN_FREE_MB) -> bool:
    """The gates: it answers, something works there, a slot and memory are free, its encoder is not saturated."""
    reading = candidate.reading
    return (
        candidate.healthy
        and bool(candidate.encoders)
        and candidate.free_slots > 0
        and _free_mb(reading, min_free_mb) >= min_free_mb
        and (reading.encoder_percent or 0) < SATURATED_PERCENT
    )


def score(reading: Reading, min_free_mb: int = MIN_FREE_MB) -> int:
    """Free megabytes times idle percent. A device at 100 % scores 0, and still may be the best there is."""
    utilization = reading.utilization_percent
    busy = _UNKNOWN_UTILIZATION if utilization is None else utilization
    return _free_mb(reading, min_free_mb) * (100 - busy)


def sessions(candidate: Candidate) -> int:
    """Sessions there: the driver's count is some seconds old, ours is not but knows only our own."""
    return max(candidate.reading.sessions or 0, candidate.used_slots)


def _free_mb(reading: Reading, unknown: int) -> int:
    if reading.memory_free_mb is not None:
        return reading.memory_free_mb
    if reading.memory_total_mb is not None and reading.memory_used_mb is not None:
        return reading.memory_total_mb - reading.memory_used_mb
    return unknown
