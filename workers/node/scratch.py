from pathlib import Path

from configuration import Config
from execution.scratch import scratch_folder


def scratch_of(config: Config, pid: int) -> Path:
    """Return the folder for the temporary files of one worker process, of no use to anybody once that has ended."""
    return scratch_folder(config.execution) / "steps" / str(pid)
