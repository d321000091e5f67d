"""Retry policy of webhook deliveries. Pure: no clock, no random numbers, no rows."""

from dataclasses import dataclass
from http import HTTPStatus

from outbound.answers import Answer

PAUSES = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 28_800)
"""Seconds before the second attempt, the third, …: a little under a day in all."""

DAY_SECONDS = 24 * 3600.0
"""A delivery is tried for so long, whatever pauses its receiver requests."""

_MAX_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Not yet, but in so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Never. `gone`: the receiver said that nothing shall ever be sent there again."""

    gone: bool


Verdict = Delivered | TryAgain | GiveUp


def judge(answer: Answer, *, attempts: int, tried_seconds: float, jitter: float) -> Verdict:
    """Decide after attempt number `attempts` (from 1), so many seconds after the first one.

    `jitter` in [0, 1) keeps failures from coming back together. A pause that the receiver requests replaces ours
    where it is longer, up to our longest one, but ends with the day: then follows the last attempt.
    """
    if answer.accepted:
        return Delivered()
    if answer.status == HTTPStatus.GONE:
        return GiveUp(gone=True)
    if attempts > len(PAUSES) or tried_seconds >= DAY_SECONDS:
        return GiveUp(gone=False)
    pause = max(PAUSES[attempts - 1] * (1 - _MAX_JITTER * jitter), float(min(answer.retry_after or 0, PAUSES[-1])))
    return TryAgain(min(pause, DAY_SECONDS - tried_seconds))
