"""Arguments that make passes to the program, whatever a file is called, and targets before the set-up."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[3] / "Makefile"
NAMES = [
    "a b.mp4",
    "`touch bad`.mp4",
    "$(shell touch bad).mp4",
    "$(touch bad).mp4",
    "a'b\"c.mp4",
    '"; touch bad; ".mp4',
]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.mark.parametrize("name", NAMES)
def test_file_names_are_not_evaluated(name: str, tmp_path: Path) -> None:
    project, folder = tmp_path / "project", tmp_path / "fold er"
    folder.mkdir()
    (folder / name).touch()
    _program(project / "scripts" / "setup", "")
    _program(project / ".venv" / "bin" / "python", 'printf "%s\\n" "$@"')
    shutil.copy(MAKEFILE, project)
    command = ["make", "-s", "-C", str(project), "run", f"VIDEO={name}"]
    env = {"PATH": "/usr/bin:/bin", "PWD": str(folder)}
    done = subprocess.run(command, check=True, cwd=folder, env=env, capture_output=True)
    assert done.stdout.decode().splitlines() == ["-m", "embedded", "run", "--video", str(folder / name)]
    assert not list(tmp_path.rglob("bad"))


def test_a_missing_file_is_passed_on_by_its_path(tmp_path: Path) -> None:
    _program(tmp_path / "scripts" / "setup", "")
    _program(tmp_path / ".venv" / "bin" / "python", 'printf "%s\\n" "$@"')
    shutil.copy(MAKEFILE, tmp_path)
    command = ["make", "-s", "run", "VIDEO=http://127.0.0.1/film.mp4"]
    env = {"PATH": "/usr/bin:/bin", "PWD": str(tmp_path)}
    done = subprocess.run(command, check=True, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == str(tmp_path / "http:/127.0.0.1/film.mp4")


@pytest.mark.parametrize(("target", "code"), [("admin", 2), ("manage", 2), ("status", 2), ("stop", 0)])
def test_targets_before_the_set_up_do_not_set_up(target: str, code: int, tmp_path: Path) -> None:
    shutil.copy(MAKEFILE, tmp_path)
    command = ["make", "-s", target]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code
    assert done.stdout.startswith("nothing ")
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
