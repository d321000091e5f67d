from dataclasses import dataclass, field

from configuration import GpuConfig, LimitConfig, OwnerConfig, RankConfig, RetryConfig, UploadConfig
from transcoding.planning.request import PlanPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPolicy:
    """The installation's settings for all jobs: rank, retry, planning and GPUs."""

    rank: RankConfig
    retry: RetryConfig
    plan: PlanPolicy
    silence_seconds: float = 20.0
    """A node that was silent for so long counts as gone, with its devices."""
    ffmpeg_threads: int = 0
    """Threads of ffmpeg in the commands of plan documents; 0: ffmpeg decides."""
    gpu: GpuConfig = field(default_factory=GpuConfig)
    thumbnails: bool = False
    """Jobs whose request does not say so have images made of their videos, too."""
    max_owner_jobs: int = OwnerConfig().max_owner_jobs
    """Jobs of one owner that are not over."""
    max_pixels: int = LimitConfig().max_pixels
    """Largest frame of a source, in pixels, in the commands of plan documents."""
    max_texts: int = LimitConfig().max_texts
    """Texts of one video."""
    max_source_bytes: int = UploadConfig().max_upload_bytes
    """Largest source, in bytes."""
    max_owner_work_seconds: int = LimitConfig().max_owner_work_seconds
    """Work of all unfinished jobs of one owner, in seconds of one worker slot."""
