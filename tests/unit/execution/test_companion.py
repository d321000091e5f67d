from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from execution.process import Companion

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({0!r}, 'w'); time.sleep(600)"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pid_of(companion: Companion) -> int:
    assert companion._process is not None
    return companion._process.pid


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def companion() -> Iterator[Companion]:
    companion = Companion(["sleep", "600"])
    yield companion
    companion.close(grace_seconds=0)


def test_it_is_started_once_and_again_when_it_was_killed(companion: Companion) -> None:
    assert companion.look()
    assert not companion.look()
    os.kill(pid_of(companion), signal.SIGKILL)
    wait_for(companion.look)
    assert not companion.look()


def test_it_ends_when_told(companion: Companion) -> None:
    companion.look()
    companion.close(grace_seconds=30)
    assert gone(pid_of(companion))


def test_one_that_does_not_obey_is_killed(tmp_path: Path) -> None:
    companion = Companion([sys.executable, "-c", STUBBORN.format(str(tmp_path / "up"))])
    companion.look()
    wait_for((tmp_path / "up").exists)
    companion.close(grace_seconds=0.05)
    assert gone(pid_of(companion))


def test_one_that_never_ran_needs_no_end(companion: Companion) -> None:
    companion.close(grace_seconds=0)


def test_it_dies_with_the_thread_that_looks_after_it(companion: Companion) -> None:
    leave = threading.Event()

    def keep() -> None:
        companion.look()
        leave.wait(30)

    keeper = threading.Thread(target=keep)
    keeper.start()
    wait_for(lambda: companion._process is not None and b"sleep" in cmdline(companion))
    assert not gone(pid_of(companion))
    leave.set()
    keeper.join()
    wait_for(lambda: gone(pid_of(companion)))


def cmdline(companion: Companion) -> bytes:
    """What runs by now: the death signal is set before its program begins."""
    return Path(f"/proc/{pid_of(companion)}/cmdline").read_bytes().split(b"\0")[0]
