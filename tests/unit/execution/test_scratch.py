import os
import subprocess
import sys
from pathlib import Path

import pytest

from configuration import ExecutionConfig
from execution.file_locks import LockKind, file_lock
from execution.scratch import private_folder, remove_folder, steps_folder, steps_hold, temporary_folder


def test_the_scratch_folder_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "vodmill"
    assert private_folder(folder).stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert private_folder(folder).stat().st_mode & 0o777 == 0o700


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(PermissionError, match="a link"):
        private_folder(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    with pytest.raises(PermissionError, match="somebody else"):
        private_folder(tmp_path / "theirs")


def a_child(config: ExecutionConfig, name: str) -> Path:
    """The folder of a process of this host, with a file in it."""
    folder = steps_folder(config) / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "source-1").write_text("a stranger's video")
    return folder


def test_a_new_worker_clears_what_dead_ones_left_and_nothing_of_the_living(tmp_path: Path) -> None:
    config = ExecutionConfig(scratch_path=str(tmp_path))
    dead, alive = a_child(config, str(2**22 + 1)), a_child(config, str(os.getpid()))
    gone, here = tmp_path / "steps" / "gone-host", tmp_path / "steps" / "other-host"
    for host in (gone, here):
        (host / "17").mkdir(parents=True)
    (tmp_path / "steps" / "gone-host.lock").touch()
    old = tmp_path / "steps" / str(2**22 + 2)  # of a version that did not sort them by host
    old.mkdir()
    held = file_lock(here.with_name("other-host.lock"), LockKind.SHARED)
    with steps_hold(config):
        assert alive.exists()
        assert here.exists()
        assert not any(folder.exists() for folder in (dead, gone, old))
        assert {path.name for path in (tmp_path / "steps").glob("*.lock")} == {
            f"{alive.parent.name}.lock",
            "other-host.lock",
        }
    assert held is not None
    held.close()
    for folder in (tmp_path / "steps", steps_folder(config)):
        assert folder.stat().st_mode & 0o777 == 0o700


def nest(folder: Path) -> None:
    """Make folders in it that are nested deeper than Python can follow, and than a path can name."""
    deep = "use strict; for (1..3000) { mkdir 'd' or die; chdir 'd' or die }"
    subprocess.run(["/usr/bin/perl", "-e", deep], cwd=folder, check=True)


def test_folders_nested_without_end_do_not_keep_a_worker_from_starting(tmp_path: Path) -> None:
    config = ExecutionConfig(scratch_path=str(tmp_path))
    dead, gone = a_child(config, str(2**22 + 1)), tmp_path / "steps" / "gone-host"
    gone.mkdir()
    for folder in (dead, gone):
        nest(folder)
    with steps_hold(config):
        assert not dead.exists()
        assert not gone.exists()


def test_what_cannot_be_removed_is_logged_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    remove_folder(Path("/proc/self/fdinfo"))
    (record,) = caplog.records
    assert record.__dict__["event"] == "folder_left"
    assert record.__dict__["path"] == "/proc/self/fdinfo"


def test_a_temporary_folder_is_gone_however_it_is_left(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), temporary_folder(tmp_path, "step-") as folder:
        nest(folder)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_workers_of_one_host_hold_it_together(tmp_path: Path) -> None:
    config = ExecutionConfig(scratch_path=str(tmp_path))
    with steps_hold(config), steps_hold(config):
        pass


LOCKS = """
import sys; from pathlib import Path; from execution.file_locks import LockKind, file_lock
held = file_lock(Path(sys.argv[1]), LockKind.EXCLUSIVE)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", LOCKS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert file_lock(path, LockKind.SHARED) is None
        process.kill()
        process.wait()
    lock = file_lock(path, LockKind.EXCLUSIVE)
    assert lock is not None
    lock.close()


def test_the_lock_of_a_deleted_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = file_lock(path, LockKind.EXCLUSIVE)
    assert first is not None
    path.unlink()
    second = file_lock(path, LockKind.EXCLUSIVE)
    assert second is not None, "it is another file"
    assert file_lock(path, LockKind.SHARED) is None
    first.close()
    second.close()
