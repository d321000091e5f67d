"""Who goes first, as arithmetic over the moments at which steps became ready and at which their lanes were served.

A step's lead is what its priority is worth in seconds, and `rank_at = ready time - lead`. Ready steps of one owner with
one lead, and with the same need of a GPU, wait in one lane, the lowest rank first. A lane's turn is its first step's
rank, but no earlier than the moment at which the lane last got a worker, less the lead: a long backlog ages only while
nothing of it is begun. The statement in `jobs.leasing.claim` does this in SQL; `next_lane` is the same rule for people
and for its tests.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from configuration import RankConfig
from jobs.rules.steps import STEPS, StepKind

PRIORITY_NAMES = {"low": 20, "medium": 50, "high": 80}
LOWEST_PRIORITY = 0
HIGHEST_PRIORITY = 100


def rank_lead_seconds(*, priority: int, kind: StepKind, part: int, policy: RankConfig) -> int:
    """Return by how many seconds a step ranks before the moment it became ready.

    `part` counts the parts of the video that steps of the kind are for, from 0.
    """
    lead = priority * policy.priority_seconds
    return lead + policy.head_start_seconds if STEPS[kind].has_head_start(part) else lead


def rank_bucket_seconds(policy: RankConfig) -> int:
    """Turns this close to the first one count as equal, so that the owner with fewer running steps goes first."""
    return max(1, policy.priority_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The ready steps of one owner with one lead: when the first became ready, when one was last begun; seconds."""

    owner: str
    lead_seconds: int
    ready_at: float
    served_at: float | None = None

    @property
    def turn_at(self) -> float:
        """The lane's place in the order; the lower, the sooner."""
        waits_since = self.ready_at if self.served_at is None else max(self.ready_at, self.served_at)
        return waits_since - self.lead_seconds


def next_lane(lanes: Iterable[Lane], *, running: dict[str, int], bucket_seconds: int) -> Lane:
    """The lane that is served next, given how many steps of each owner run."""
    waiting = list(lanes)
    first = min(lane.turn_at for lane in waiting)

    def order(lane: Lane) -> tuple[int, int, float]:
        return int((lane.turn_at - first) // bucket_seconds), running.get(lane.owner, 0), lane.turn_at

    return min(waiting, key=order)
