"""Who goes first, as arithmetic: `rank_at = ready time - lead`, lowest first, so waiting steps age by themselves."""

from configuration import RankConfig
from jobs.transitions import StepKind

PRIORITY_NAMES = {"low": 20, "medium": 50, "high": 80}
LOWEST_PRIORITY = 0
HIGHEST_PRIORITY = 100


def rank_lead_seconds(*, priority: int, kind: StepKind, ordinal: int, policy: RankConfig) -> int:
    """By how many seconds a step ranks before the moment it became ready."""
    lead = priority * policy.priority_seconds
    return lead + policy.head_start_seconds if _makes_playable(kind, ordinal) else lead


def rank_bucket_seconds(policy: RankConfig) -> int:
    """Ranks this close count as equal, so that the owner with fewer running steps goes first."""
    return max(1, policy.priority_seconds)


def _makes_playable(kind: StepKind, ordinal: int) -> bool:
    """Whether somebody waits for this step to see the first picture, or for the last one to be told."""
    return kind is not StepKind.CHUNK or ordinal == 0
