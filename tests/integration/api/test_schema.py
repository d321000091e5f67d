"""Requests of every kind that the schema allows, and many that it does not: no 5xx, and nothing undocumented (46)."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from access.models import ApiKey
from storage.protocol import ObjectStore
from tests.rows import a_job, a_key, an_owner, an_uploaded_video

CONFIG = """
[generation]
max-examples = 5

[checks.positive_data_acceptance]
enabled = false  # no schema can say which cursors there are, and which keys were used before

[phases.coverage]
unexpected-methods = ["PUT"]

[parameters]
"path.video_id" = "{video_id}"
"path.job_id" = "{job_id}"
"path.key_id" = "{key_id}"

[[operations]]
include-name = "DELETE /api/v1/videos/{{video_id}}"
parameters = {{ "path.video_id" = "{unwanted_video_id}" }}

[[operations]]
include-path-regex = "/videos/.*/(jobs|outputs)$"
phases.coverage.enabled = false  # the parameters of the list of jobs again
"""
"""What addresses are about is there, so that requests get beyond "not found"."""


def schemathesis(api: httpx2.Client, folder: Path, *options: str) -> None:
    job, spare = a_job(), an_uploaded_video()
    a_key(an_owner("default"))
    key = ApiKey.objects.latest("created_at")
    (folder / "schemathesis.toml").write_text(
        CONFIG.format(video_id=job.video_id, job_id=job.id, key_id=key.id, unwanted_video_id=spare.id)
    )
    argv = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{api.base_url}/api/schema?format=json"]
    fixed = ["--seed", "1", "--generation-database", "none", "--no-color"]
    done = subprocess.run([*argv, *fixed, *options], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of refused requests are no news."""
    caplog.set_level(logging.ERROR, "django.request")


def test_46_nothing_undocumented_happens(api: httpx2.Client, store: ObjectStore, tmp_path: Path) -> None:
    key = api.headers["X-API-Key"]
    headers = ["--header", f"X-API-Key: {key}", "--header", f"Authorization: Bearer {key}"]
    streams = ["--exclude-path-regex", "/events$"]  # they do not end
    schemathesis(api, tmp_path, *headers, *streams, "--phases", "examples,coverage,fuzzing")


def test_46_nothing_happens_without_a_key(api: httpx2.Client, store: ObjectStore, tmp_path: Path) -> None:
    schemathesis(api, tmp_path, "--phases", "examples,fuzzing")
