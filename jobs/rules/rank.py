"""Scheduling order: shares of owners first, then priorities and ageing within an owner, as arithmetic over times.

1. Class. All steps are of one class today. Classes for live streams and batches would come before everything else.
2. Owner. The owner with the fewest running steps in the queue goes first. Among equals it is the one who was served
   longest ago. No priority counts here: it orders the jobs of one owner only.
3. Lane, within the owner. A step's lead is the seconds that its priority is worth, and `rank_at = ready time - lead`.
   Steps of a first plan count as ready since the request, so a job keeps its place while its video is inspected. Ready
   steps with one lead and one GPU requirement wait in one lane, the lowest rank first. A lane's turn is the rank of its
   first step, but no earlier than the time at which the lane last got a worker, less the lead. So a long backlog ages
   only while none of it is started. The lowest turn goes first.

The statement in `jobs.leasing.claim` does this in SQL. `next_lane` is the same rule in Python, for its tests.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from configuration import RankConfig
from jobs.rules.steps import STEPS, StepKind

PRIORITY_NAMES = {"low": 20, "medium": 50, "high": 80}
LOWEST_PRIORITY = 0
HIGHEST_PRIORITY = 100
OVERTAKEN_SECONDS = 60
"""Waiting time after which a step that needs many GPU sessions holds back steps behind it that need fewer."""


def rank_lead_seconds(*, priority: int, kind: StepKind, part: int, policy: RankConfig) -> int:
    """Return a step's lead: the seconds by which it ranks before the moment it became ready.

    `part` counts the parts of the video that steps of the kind are for, from 0.
    """
    lead = priority * policy.priority_seconds
    return lead + policy.head_start_seconds if STEPS[kind].has_head_start(part) else lead


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
    def waits_since(self) -> float:
        return self.ready_at if self.served_at is None else max(self.ready_at, self.served_at)

    @property
    def turn_at(self) -> float:
        """Return the lane's time in the order of its owner; the lowest goes first."""
        return self.waits_since - self.lead_seconds


def next_lane(lanes: Iterable[Lane], *, running: Mapping[str, int], served: Mapping[str, float]) -> Lane:
    """Return the lane that is served next.

    `running`: the number of running steps per owner. `served`: the time at which an owner last got a worker; owners who
    never did are missing.
    """
    waiting = list(lanes)

    def order(lane: Lane) -> tuple[int, float, float, str, float]:
        owner_waits_since = min(other.waits_since for other in waiting if other.owner == lane.owner)
        return running.get(lane.owner, 0), served.get(lane.owner, -inf), owner_waits_since, lane.owner, lane.turn_at

    return min(waiting, key=order)
