from dataclasses import dataclass

from configuration import RankConfig, RetryConfig
from transcoding.plan import PlanPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPolicy:
    """What an installation decides about all jobs: who goes first, when to try again, how videos are cut."""

    rank: RankConfig
    retry: RetryConfig
    plan: PlanPolicy
