"""The folder for files in work, and for what a process tells probes on its own machine."""

import os
import stat
import tempfile
from pathlib import Path

from configuration import ExecutionConfig


def scratch_folder(config: ExecutionConfig) -> Path:
    """The configured folder, or ours in the system's temporary one, made if need be. Raises PermissionError."""
    if config.scratch_path:  # the operator's: volumes have owners of their own
        return Path(config.scratch_path)
    return own_folder(Path(tempfile.gettempdir(), "vodmill"))


def life_folder(config: ExecutionConfig) -> Path:
    """Where the processes of this machine say that they do their work."""
    return scratch_folder(config) / "alive"


def own_folder(path: Path) -> Path:
    """Make a folder that nobody else can look into. Raises PermissionError for one that is not ours alone.

    Its usual place is the system's temporary folder, where anybody can put a folder, or a link to one, there first.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{path} is a link or belongs to somebody else; TRANSCODER_SCRATCH_PATH can name another")
    path.chmod(0o700)
    return path
