"""What steps work with, put together once per process."""

from dataclasses import dataclass
from pathlib import Path

from configuration import Config
from execution.ffmpeg import FfmpegRunner
from execution.ffprobe import Ffprobe
from jobs.rules.policy import JobPolicy
from storage.protocol import ObjectStore
from workers.flags import SharedFlag
from workers.sources import SourceCache


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
    draining: SharedFlag
