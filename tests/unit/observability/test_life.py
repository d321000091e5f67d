from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from observability.life import LifeSign, life_faults


@pytest.fixture
def sign(tmp_path: Path) -> LifeSign:
    return LifeSign(tmp_path, "worker")


def test_a_process_that_says_so_is_alive(sign: LifeSign, tmp_path: Path) -> None:
    sign.give()
    assert life_faults(tmp_path, "worker") == []


def test_what_a_process_finds_wrong_with_itself_is_told(sign: LifeSign, tmp_path: Path) -> None:
    sign.give("takes no tickets any more")
    (fault,) = life_faults(tmp_path, "worker")
    assert fault.endswith("takes no tickets any more")


def test_silence_is_a_fault(sign: LifeSign, tmp_path: Path) -> None:
    sign.give()
    (fault,) = life_faults(tmp_path, "worker", silence_seconds=-1)
    assert "has said nothing" in fault


def test_a_process_that_is_not_there_is_a_fault(sign: LifeSign, tmp_path: Path) -> None:
    sign.give()
    assert life_faults(tmp_path, "dispatcher") == ["no dispatcher runs here"]
    sign.withdraw()
    assert life_faults(tmp_path, "worker") == ["no worker runs here"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / f"worker-{socket.gethostname()}-0.json"
    left.write_text(json.dumps({"pid": 2**22 + 1, "at": 0.0, "fault": ""}))  # above the largest pid
    assert life_faults(tmp_path, "worker") == ["no worker runs here"]
    assert not left.exists()


def test_other_hosts_that_share_the_folder_are_not_looked_at(sign: LifeSign, tmp_path: Path) -> None:
    sign.give()
    (tmp_path / "worker-other-1.json").write_text(json.dumps({"pid": 1, "at": 0.0, "fault": "broken"}))
    assert life_faults(tmp_path, "worker") == []


def test_a_place_that_takes_no_files_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    LifeSign(tmp_path / "taken", "dispatcher").give()
    assert life_faults(tmp_path, "dispatcher") == ["no dispatcher runs here"]
