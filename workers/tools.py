"""The tools that steps work with, put together once per process."""

from dataclasses import dataclass
from pathlib import Path

from configuration import Config
from coordination.live_parts import LiveParts
from execution.ffmpeg import FfmpegRunner
from execution.ffprobe import Ffprobe
from jobs.rules.policy import JobPolicy
from outbound.fetching import Downloader
from storage.buckets import Buckets
from storage.protocol import ObjectStore
from videos.models import Video
from workers.lease.control import StepControl
from workers.node.flags import SharedFlag
from workers.source.cache import SourceCache
from workers.source.working_copy import SourceReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The store, the programs, the folders and the policies of one worker process.

    `scratch` is a folder for files in work; a step makes a folder of its own in it and removes that when it ends.
    """

    config: Config
    node: str
    store: ObjectStore
    sources: SourceCache
    ffmpeg: FfmpegRunner
    ffprobe: Ffprobe
    scratch: Path
    policy: JobPolicy
    downloader: Downloader
    buckets: Buckets
    draining: SharedFlag
    parts: LiveParts

    def source_reader(self, video: Video, control: StepControl) -> SourceReader:
        """Return one step's way to its source."""
        return SourceReader(video, cache=self.sources, store=self.store, scratch=self.scratch, control=control)
