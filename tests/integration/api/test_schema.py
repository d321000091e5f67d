"""Requests of every kind that the schema allows, and many that it does not: no 5xx, and nothing undocumented (46)."""

from __future__ import annotations

import logging
from pathlib import Path

import httpx2
import pytest

from access.models import ApiKey
from storage.protocol import ObjectStore
from tests.fuzzing import fuzz
from tests.rows import a_job, a_key, an_owner, an_uploaded_video


def fuzz_everything(api: httpx2.Client, folder: Path, *options: str) -> None:
    job, spare = a_job(), an_uploaded_video()
    a_key(an_owner("default"))
    key = ApiKey.objects.latest("created_at")
    ids = {"video_id": job.video_id, "job_id": job.id, "key_id": key.id}
    fuzz(str(api.base_url).rstrip("/"), folder, *options, ids=ids, unwanted=spare.id)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of refused requests are no news."""
    caplog.set_level(logging.ERROR, "django.request")


def test_46_all_responses_are_documented(api: httpx2.Client, store: ObjectStore, tmp_path: Path) -> None:
    key = api.headers["X-API-Key"]
    headers = ["--header", f"X-API-Key: {key}", "--header", f"Authorization: Bearer {key}"]
    streams = ["--exclude-path-regex", "/events$"]  # they do not end
    fuzz_everything(api, tmp_path, *headers, *streams, "--phases", "examples,coverage,fuzzing")


def test_46_all_responses_without_a_key_are_documented(api: httpx2.Client, store: ObjectStore, tmp_path: Path) -> None:
    fuzz_everything(api, tmp_path, "--phases", "examples,fuzzing")
