"""The shell script of docs/uploads.md works as written."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from storage.keys import source_key
from storage.protocol import ObjectStore
from tests.integration.uploads.test_direct_uploads import PART, a_file
from videos.playback import wiring
from videos.playback.delivery import Delivery

PAGE = Path(__file__).resolve().parents[3] / "docs/uploads.md"


@pytest.mark.parametrize("direct", [True, False], ids=["store", "api"])
def test_the_script_uploads_a_file(
    api: httpx2.Client,
    store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    direct: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    delivery = Delivery(store=store, redirects=direct, presign_seconds=3600)
    monkeypatch.setattr(wiring, "delivery", lambda: delivery)
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    file = tmp_path / "clip.mp4"
    file.write_bytes(a_file(PART + 9))
    environ = {"API": str(api.base_url).rstrip("/"), "KEY": api.headers["X-API-Key"], "FILE": str(file)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607 - the one of the machine
        env={**environ, "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    video_id = UUID(done.stdout.strip())
    assert store.get(source_key(video_id)) == file.read_bytes()
