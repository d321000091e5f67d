"""The supervisor of `make live`'s workers, as a process: what it starts again, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from execution.process import child_pids, is_running

DEADLINE_SECONDS = 60
PROGRAM = "import pathlib, os, time; pathlib.Path(os.environ['UP']).write_text(str(os.getpid())); time.sleep(600)"


def wait_for(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def up(tmp_path: Path) -> Path:
    return tmp_path / "up"


@pytest.fixture
def supervisor(up: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "embedded.supervisor", "-c", PROGRAM]
    with subprocess.Popen(argv, env={**os.environ, "UP": str(up)}, stderr=subprocess.DEVNULL) as process:
        wait_for(up.exists)
        yield process
        process.kill()


def test_a_program_that_is_killed_is_started_again_and_ends_with_its_supervisor(
    supervisor: subprocess.Popen[bytes], up: Path
) -> None:
    (first,) = child_pids(supervisor.pid)
    up.unlink()
    os.kill(first, signal.SIGKILL)
    wait_for(up.exists)
    (second,) = child_pids(supervisor.pid)
    assert second != first
    supervisor.terminate()
    assert supervisor.wait(DEADLINE_SECONDS) == 0
    assert not is_running(second)
