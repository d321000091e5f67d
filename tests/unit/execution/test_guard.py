import os
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
