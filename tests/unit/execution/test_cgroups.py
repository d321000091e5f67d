"""Delegated control groups, on a copy of the kernel's files: this needs a machine with such a group to be more."""

from pathlib import Path

import pytest

from execution.cgroups import Delegation, find_delegation
from execution.guard import Guard, Limits, Usage

LIMITS = Limits(memory_bytes=100 << 20, file_bytes=1, output_bytes=1, cpu_seconds=1, processes=50)


@pytest.fixture
def service(tmp_path: Path) -> Path:
    folder = tmp_path / "system.slice" / "worker.service"
    folder.mkdir(parents=True)
    (folder / "cgroup.controllers").write_text("cpu memory pids\n")
    (folder / "cgroup.subtree_control").write_text("")
    return folder


def of(tmp_path: Path, name: str) -> Path:
    own = tmp_path / "own"
    own.write_text(f"4:memory:/elsewhere\n0::{name}\n")
    return own


def test_a_process_in_a_delegated_group_moves_below_it(service: Path, tmp_path: Path) -> None:
    found = find_delegation(root=tmp_path, own=of(tmp_path, "/system.slice/worker.service"))
    assert found == Delegation(service)
    assert int((service / "worker" / "cgroup.procs").read_text()) > 0
    assert (service / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_a_child_of_the_process_that_has_moved_uses_the_same(service: Path, tmp_path: Path) -> None:
    (service / "worker").mkdir()
    found = find_delegation(root=tmp_path, own=of(tmp_path, "/system.slice/worker.service/worker"))
    assert found == Delegation(service)
    assert list((service / "worker").iterdir()) == []


def test_without_the_controllers_or_version_2_there_is_none(service: Path, tmp_path: Path) -> None:
    (service / "cgroup.controllers").write_text("cpu pids\n")
    assert find_delegation(root=tmp_path, own=of(tmp_path, "/system.slice/worker.service")) is None
    assert find_delegation(root=tmp_path, own=of(tmp_path, "/not/there")) is None
    (tmp_path / "own").write_text("4:memory:/only/version/1\n")
    assert find_delegation(root=tmp_path, own=tmp_path / "own") is None


def test_a_group_has_the_limits_of_its_run(service: Path) -> None:
    run = service / "run-1"
    run.mkdir()
    for file in ("memory.swap.max", "memory.oom.group", "pids.max"):
        (run / file).write_text("max")
    group = Delegation(service).group("run-1", memory_bytes=1000, processes=50)
    written = {
        file: (run / file).read_text() for file in ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max")
    }
    assert written == {"memory.max": "1000", "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "50"}
    assert not group.killed()
    assert not group.refused_processes()


@pytest.mark.parametrize(
    ("file", "text", "excess"),
    [
        ("memory.events", "low 0\nmax 9\noom_kill 1\n", "more than 100 MiB of memory"),
        ("pids.events", "max 1\n", "more than 50 processes and threads"),
    ],
)
def test_what_the_kernel_did_in_a_group_is_the_reason(service: Path, file: str, text: str, excess: str) -> None:
    group = Delegation(service).group("run-2", memory_bytes=1000, processes=50)
    guard = Guard(LIMITS, usage=Usage, kill=lambda: None, group=group)
    (service / "run-2" / file).write_text(text)
    guard.close()
    assert guard.exceeded == excess


def test_a_group_is_removed(service: Path) -> None:
    group = Delegation(service).group("run-3", memory_bytes=1000, processes=50)
    (service / "run-3" / "memory.max").unlink()  # the kernel's files vanish with their folder
    group.remove()
    assert (service / "run-3" / "cgroup.kill").exists()
