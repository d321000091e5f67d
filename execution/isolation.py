"""Detection of the form of isolation that works here: each is tried, the strongest first."""

import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import imageio_ffmpeg

from configuration import ExecutionConfig
from execution.guard import Limits
from execution.jail import Isolation, Jail
from execution.launch import landlock_version
from transcoding.errors import TranscodeError

AUTO = "auto"
_PROBE_LIMITS = Limits(memory_bytes=256 << 20, file_bytes=1 << 20, output_bytes=1 << 20, cpu_seconds=60, processes=128)
_PROBE = """
test -x "$0" || { echo "$0 cannot be executed there" >&2; exit 1; }
cat "$1" > copy || exit 1
"""
"""Script that does what ffmpeg needs: it finds its program and its input, and writes to its folder."""
_PROBE_SECONDS = 60
_REASON_CHARS = 300
_NO_LANDLOCK = (
    "the kernel has no Landlock (Linux 5.13 and newer; the container's profile must allow its system calls), and ffmpeg"
    " would read the files and environments of all processes of the worker's user"
)


class NotIsolated(Exception):
    """No form of isolation works here; the message says why, and what the operator can do."""


def jail_of(config: ExecutionConfig) -> Jail:
    """Return the jail of this process, in the form that the settings request. Raises NotIsolated."""
    return Jail(_found(config.isolation, ffmpeg_path(config)))


def ffmpeg_path(config: ExecutionConfig) -> str:
    """Return the path of ffmpeg."""
    return config.ffmpeg_path or str(imageio_ffmpeg.get_ffmpeg_exe())


def isolation_details() -> dict[str, object]:
    """Return what else the kernel of this machine adds to a form of isolation."""
    return {"landlock": landlock_version()}


@cache
def _found(requested: str, ffmpeg: str) -> Isolation:
    if requested == Isolation.NONE:
        return Isolation.NONE
    reasons = []
    for isolation in _candidates(requested):
        reason = refusal(Jail(isolation), ffmpeg)
        if not reason:
            return isolation
        reasons.append(f"{isolation}: {reason}")
    raise NotIsolated(
        "ffmpeg cannot be isolated on this machine, and would open strangers' files with the rights of the worker."
        f" {'; '.join(reasons)}. Allow user namespaces or run the worker as root; or, where the worker's container is"
        " a jail itself, set TRANSCODER_ISOLATION to container; none allows to run without isolation."
    )


def _candidates(requested: str) -> Iterator[Isolation]:
    if requested != AUTO:
        yield Isolation(requested)
        return
    yield Isolation.SANDBOX
    if os.geteuid() == 0:
        yield Isolation.UID


def refusal(jail: Jail, ffmpeg: str) -> str:
    """Try this form of isolation, as a run of ffmpeg uses it. Return why it does not work; empty: it works."""
    if jail.isolation is Isolation.CONTAINER and not landlock_version():
        return _NO_LANDLOCK
    with tempfile.TemporaryDirectory(prefix="vodmill-probe-") as folder:
        source = Path(folder, "source")
        source.write_bytes(b"")
        work = Path(folder, "work")
        work.mkdir(mode=0o700)
        try:
            with jail.cell(inputs=[source], folder=work) as cell:
                argv = ["/bin/sh", "-c", _PROBE, ffmpeg, cell.name(source)]
                child = cell.start(argv, program=ffmpeg, limits=_PROBE_LIMITS)
                said = child.output(seconds=_PROBE_SECONDS)
                code = child.wait()
        except (OSError, RuntimeError, TranscodeError) as error:
            return str(error)[:_REASON_CHARS]
    return "" if code == 0 else said.strip()[:_REASON_CHARS] or f"it ended with {code}"
