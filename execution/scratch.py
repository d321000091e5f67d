"""The scratch folder: temporary files, and the liveness files that local probes read."""

import os
import stat
import tempfile
from pathlib import Path

from configuration import ExecutionConfig


def scratch_folder(config: ExecutionConfig) -> Path:
    """Return the configured folder, or create a private one in the system's temporary folder.

    Raises PermissionError when that name is taken by somebody else.
    """
    if config.scratch_path:  # not checked: volumes have owners of their own
        return Path(config.scratch_path)
    return private_folder(Path(tempfile.gettempdir(), "vodmill"))


def liveness_folder(config: ExecutionConfig) -> Path:
    """Return the folder of the liveness files of this machine's processes."""
    return scratch_folder(config) / "alive"


def steps_folder(config: ExecutionConfig) -> Path:
    """Return the folder in which each worker process has its temporary files, in a folder named by its pid."""
    return scratch_folder(config) / "steps"


def private_folder(path: Path) -> Path:
    """Create a folder with mode 0700. Raises PermissionError when it is a link or belongs to another user.

    In the system's temporary folder anybody can create a folder, or a link to one, of that name first.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(
            f"{path} is a link or belongs to somebody else; set TRANSCODER_SCRATCH_PATH to another folder"
        )
    path.chmod(0o700)
    return path
