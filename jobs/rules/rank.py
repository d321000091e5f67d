"""Scheduling order: priorities, fair shares of owners, and ageing, as arithmetic over times.

1. A step's lead is the seconds that its priority is worth, and `rank_at = ready time - lead`. Steps of a first plan
   count as ready since the request, so a job keeps its place while its video is inspected.
2. Ready steps of one owner with one lead and one GPU requirement wait in one lane, the lowest rank first.
3. A lane's turn is the rank of its first step, but no earlier than the time at which the lane last got a worker, less
   the lead. So a long backlog ages only while none of it is started.
4. Turns within one bucket count as equal: among them the owner with the fewest running steps goes first.

The statement in `jobs.leasing.claim` does this in SQL. `next_lane` is the same rule in Python, for its tests.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from configuration import RankConfig
from jobs.rules.steps import STEPS, StepKind

PRIORITY_NAMES = {"low": 20, "medium": 50, "high": 80}
LOWEST_PRIORITY = 0
HIGHEST_PRIORITY = 100


def rank_lead_seconds(*, priority: int, kind: StepKind, part: int, policy: RankConfig) -> int:
    """Return a step's lead: the seconds by which it ranks before the moment it became ready.

    `part` counts the parts of the video that steps of the kind are for, from 0.
    """
    lead = priority * policy.priority_seconds
    return lead + policy.head_start_seconds if STEPS[kind].has_head_start(part) else lead


def rank_bucket_seconds(policy: RankConfig) -> int:
    """Return the width of a bucket in seconds, which is the worth of one point of priority."""
    return max(1, policy.priority_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The ready steps of one owner with one lead and requirement. Times are in seconds."""

    owner: str
    lead_seconds: int
    ready_at: float
    """Time at which its first step became ready."""
    served_at: float | None = None
    """Time at which one of its steps was last claimed."""

    @property
    def turn_at(self) -> float:
        """Return the lane's time in the order; the lowest goes first."""
        waits_since = self.ready_at if self.served_at is None else max(self.ready_at, self.served_at)
        return waits_since - self.lead_seconds


def next_lane(lanes: Iterable[Lane], *, running: dict[str, int], bucket_seconds: int) -> Lane:
    """Return the lane that is served next. `running`: the number of running steps per owner."""
    waiting = list(lanes)
    first = min(lane.turn_at for lane in waiting)

    def order(lane: Lane) -> tuple[int, int, float]:
        return int((lane.turn_at - first) // bucket_seconds), running.get(lane.owner, 0), lane.turn_at

    return min(waiting, key=order)
