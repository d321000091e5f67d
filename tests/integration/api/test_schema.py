"""Requests of every kind that the schema allows, and many that it does not: no 5xx, and nothing undocumented (46)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from django.conf import settings
from django.db import connection, connections

from access.models import ApiKey
from access.wiring import party_turns
from api.threads import DjangoInThreads
from storage.protocol import ObjectStore
from tests.fuzzing import fuzz
from tests.integration.videos.conftest import serving
from tests.rows import a_job, a_key, an_owner, an_uploaded_video
from transcoder_site.routes import site


@pytest.fixture
def api(store: ObjectStore, transactional_db: None) -> Iterator[httpx2.Client]:
    """The site with one thread that keeps its connection to the database: a new one costs more than a request."""
    django = DjangoInThreads(party_turns(threads=1), threads=1)
    django._threads.submit(keep_connection).result()
    try:
        with serving(site(django, settings.TRANSCODER.site)) as client:
            yield client
    finally:
        django._threads.submit(connections.close_all).result()


def keep_connection() -> None:
    connection.settings_dict = {**connection.settings_dict, "CONN_MAX_AGE": None}


def fuzz_everything(api: httpx2.Client, folder: Path, *options: str, thorough: bool = False) -> None:
    job, spare = a_job(), an_uploaded_video()
    a_key(an_owner("default"))
    key = ApiKey.objects.latest("created_at")
    ids = {"video_id": job.video_id, "job_id": job.id, "key_id": key.id}
    fuzz(str(api.base_url).rstrip("/"), folder, *options, ids=ids, unwanted=spare.id, thorough=thorough)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of refused requests are no news."""
    caplog.set_level(logging.ERROR, "django.request")


def test_46_all_responses_are_documented(
    api: httpx2.Client, store: ObjectStore, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    key = api.headers["X-API-Key"]
    headers = ["--header", f"X-API-Key: {key}", "--header", f"Authorization: Bearer {key}"]
    streams = ["--exclude-path-regex", "/events$"]  # they do not end
    phases = ["--phases", "examples,coverage,fuzzing"]
    fuzz_everything(api, tmp_path, *headers, *streams, *phases, thorough=request.config.getoption("--thorough"))


def test_46_all_responses_without_a_key_are_documented(api: httpx2.Client, store: ObjectStore, tmp_path: Path) -> None:
    fuzz_everything(api, tmp_path, "--phases", "examples,fuzzing")
