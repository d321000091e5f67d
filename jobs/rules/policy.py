from dataclasses import dataclass, field

from configuration import GpuConfig, LimitConfig, RankConfig, RetryConfig
from transcoding.planning.plan import PlanPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPolicy:
    """What an installation decides about all jobs: who goes first, when to try again, how and where videos are encoded.

    It also says after how many seconds of silence a node, with its devices, is taken for gone; and for showing plans,
    ffmpeg's threads and largest picture.
    """

    rank: RankConfig
    retry: RetryConfig
    plan: PlanPolicy
    silence_seconds: float = 20.0
    ffmpeg_threads: int = 0
    gpu: GpuConfig = field(default_factory=GpuConfig)
    max_pixels: int = LimitConfig().max_pixels
