"""Retry policy of webhook deliveries. Pure: no clock, no random numbers, no rows."""

from dataclasses import dataclass
from http import HTTPStatus

PAUSES = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 28_800)
"""Seconds before the second attempt, the third, …: a little under a day in all."""

_MAX_JITTER = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of sending once. `status`: of the answer, if there was one; `error`: why there was none, or none good.

    `retry_after`: seconds that the receiver asked us to wait.
    """

    status: int | None = None
    error: str = ""
    response: str = ""
    milliseconds: int = 0
    retry_after: int | None = None

    @property
    def accepted(self) -> bool:
        """Return True once the receiver has accepted it. A redirect is no acceptance, and is not followed."""
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


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


def judge(answer: Answer, *, attempts: int, jitter: float) -> Verdict:
    """Decide after attempt number `attempts` (from 1). `jitter` in [0, 1) keeps failures from coming back together."""
    if answer.accepted:
        return Delivered()
    if answer.status == HTTPStatus.GONE:
        return GiveUp(gone=True)
    if attempts > len(PAUSES):
        return GiveUp(gone=False)
    pause = PAUSES[attempts - 1]
    return TryAgain(max(pause * (1 - _MAX_JITTER * jitter), float(min(answer.retry_after or 0, PAUSES[-1]))))
