from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from observability.liveness import LivenessFile, liveness_faults


@pytest.fixture
def liveness(tmp_path: Path) -> LivenessFile:
    return LivenessFile(tmp_path, "worker")


def test_an_active_process_is_alive(liveness: LivenessFile, tmp_path: Path) -> None:
    liveness.write()
    assert liveness_faults(tmp_path, "worker") == []


def test_a_recorded_fault_is_listed(liveness: LivenessFile, tmp_path: Path) -> None:
    liveness.write("takes no tickets any more")
    (fault,) = liveness_faults(tmp_path, "worker")
    assert fault.endswith("takes no tickets any more")


def test_an_old_file_is_a_fault(liveness: LivenessFile, tmp_path: Path) -> None:
    liveness.write()
    (fault,) = liveness_faults(tmp_path, "worker", silence_seconds=-1)
    assert "was last active" in fault


def test_a_missing_process_is_a_fault(liveness: LivenessFile, tmp_path: Path) -> None:
    liveness.write()
    assert liveness_faults(tmp_path, "dispatcher") == ["no dispatcher runs here"]
    liveness.remove()
    assert liveness_faults(tmp_path, "worker") == ["no worker runs here"]


def test_the_file_of_a_killed_process_is_deleted(tmp_path: Path) -> None:
    left = tmp_path / f"worker-{socket.gethostname()}-0.json"
    left.write_text(json.dumps({"pid": 2**22 + 1, "at": 0.0, "fault": ""}))  # above the largest pid
    assert liveness_faults(tmp_path, "worker") == ["no worker runs here"]
    assert not left.exists()


def test_files_of_other_hosts_are_ignored(liveness: LivenessFile, tmp_path: Path) -> None:
    liveness.write()
    (tmp_path / "worker-other-1.json").write_text(json.dumps({"pid": 1, "at": 0.0, "fault": "broken"}))
    assert liveness_faults(tmp_path, "worker") == []


def test_a_folder_that_cannot_be_created_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    LivenessFile(tmp_path / "taken", "dispatcher").write()
    assert liveness_faults(tmp_path, "dispatcher") == ["no dispatcher runs here"]
