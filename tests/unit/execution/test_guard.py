import os
import subprocess
import threading
from pathlib import Path

import pytest

from execution.guard import Guard, Limits, Usage, folder_bytes, usage_of_group, usage_of_tree

LIMITS = Limits(memory_bytes=1000, file_bytes=1, output_bytes=100, cpu_seconds=1, processes=10)


@pytest.mark.parametrize(
    ("usage", "exceeded"),
    [
        (Usage(memory_bytes=1000, tasks=9), False),
        (Usage(memory_bytes=1001, tasks=1), True),
        (Usage(memory_bytes=1, tasks=10), True),
    ],
)
def test_an_excess_is_noticed(usage: Usage, *, exceeded: bool) -> None:
    killed: list[str] = []
    guard = Guard(LIMITS, usage=lambda: usage, kill=lambda: killed.append("now"))
    guard._look()
    assert bool(guard.exceeded) == bool(killed) == exceeded


def test_a_run_that_cannot_be_measured_is_ended(tmp_path: Path) -> None:
    """Folders nested deeper than Python can follow: the run would have no limit any more."""
    deep = "use strict; for (1..2000) { mkdir 'd' or die; chdir 'd' or die }"
    subprocess.run(["/usr/bin/perl", "-e", deep], cwd=tmp_path, check=True)
    killed = threading.Event()
    guard = Guard(LIMITS, usage=Usage, kill=killed.set, folder=tmp_path)
    guard.start()
    try:
        assert killed.wait(60)
        assert guard.exceeded == "resources that cannot be measured"
    finally:
        guard.close()
        subprocess.run(["/bin/rm", "-rf", tmp_path / "d"], check=True)


def test_an_ended_run_that_cannot_be_measured_has_exceeded_its_limits() -> None:
    def fail() -> Usage:
        raise OSError("too many open files")

    guard = Guard(LIMITS, usage=fail, kill=lambda: None)
    guard._look()
    guard.close()
    assert guard.exceeded == "resources that cannot be measured"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_not_taken_for_empty(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir(mode=0o300)
    with pytest.raises(PermissionError):
        folder_bytes(tmp_path)


def test_what_an_ended_run_has_left_counts(tmp_path: Path) -> None:
    guard = Guard(LIMITS, usage=Usage, kill=lambda: None, folder=tmp_path)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "out").write_bytes(bytes(101))
    guard.close()
    assert guard.exceeded.endswith("of output")


def test_a_folder_is_as_large_as_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(10))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(bytes(20))
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert folder_bytes(tmp_path) == 30
    assert folder_bytes(tmp_path / "not there") == 0


def test_this_process_uses_something_and_one_that_is_gone_does_not() -> None:
    for usage in (usage_of_tree(os.getpid()), usage_of_group(os.getpgid(0))):
        assert usage.memory_bytes > 1 << 20
        assert usage.tasks >= 1
    assert usage_of_tree(2**22 + 1) == Usage()
