from dataclasses import dataclass

from configuration import LimitConfig, RankConfig, RetryConfig
from transcoding.plan import PlanPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPolicy:
    """What an installation decides about all jobs: who goes first, when to try again, how videos are cut.

    For showing plans it also says after how many seconds of silence a node is taken for gone, and ffmpeg's threads and
    largest picture.
    """

    rank: RankConfig
    retry: RetryConfig
    plan: PlanPolicy
    silence_seconds: float = 20.0
    ffmpeg_threads: int = 0
    max_pixels: int = LimitConfig().max_pixels
