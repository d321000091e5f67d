"""Absolute URLs in documents: under the public URL, or under the host of the request; in cached documents, too."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from coordination.cache import ResponseCache
from tests.integration.coordination.conftest import caching
from tests.rows import a_job, a_key, a_video
from videos.services import generation_mark_playable

__all__ = ["caching"]

HOSTS = ("localhost:8000", "testserver")
PUBLIC = "https://video.example:8443"

pytestmark = pytest.mark.django_db(transaction=True)


def urls(document: Any) -> list[str]:  # noqa: ANN401 - JSON
    """Find all absolute URLs, of lists, inner documents and markup too."""
    if isinstance(document, dict | list):
        values = document.values() if isinstance(document, dict) else document
        return [url for value in values for url in urls(value)]
    return re.findall(r"https?://[^\s\"]+", document) if isinstance(document, str) else []


def paths() -> list[str]:
    job = a_job()
    assert job.generation is not None
    generation_mark_playable(generation=job.generation)
    for _ in range(2):
        a_video()
    video = f"/api/v1/videos/{job.video_id}"
    return ["/api/v1/videos?limit=1", "/api/v1/videos?offset=1&limit=1", "/api/v1", video, f"{video}/playback"]


def test_each_host_gets_its_own_urls_from_the_cache(caching: ResponseCache) -> None:
    key = a_key()
    for path in paths():
        for host in (*HOSTS, *HOSTS):
            client = Client(headers={"X-API-Key": key, "Host": host, "X-Forwarded-Host": "evil.example"})
            found = urls(client.get(path).json())
            assert found
            assert [url for url in found if not url.startswith(f"http://{host}/")] == [], path


def test_the_public_url_replaces_every_host(caching: ResponseCache, settings: Settings) -> None:
    site = replace(settings.TRANSCODER.site, public_url=f"{PUBLIC}/")
    settings.TRANSCODER = replace(settings.TRANSCODER, site=site)
    key = a_key()
    for path in paths():
        for host in HOSTS:
            found = urls(Client(headers={"X-API-Key": key, "Host": host}).get(path).json())
            assert found
            assert [url for url in found if not url.startswith(f"{PUBLIC}/")] == [], path


def test_the_next_page_is_that_of_its_own_host(caching: ResponseCache) -> None:
    key = a_key()
    videos = [str(a_video().id) for _ in range(3)]
    for host in HOSTS:
        client = Client(headers={"X-API-Key": key, "Host": host})
        url, seen = "/api/v1/videos?limit=1", []
        while url:
            page = client.get(url.removeprefix(f"http://{host}")).json()
            seen += [video["id"] for video in page["results"]]
            url = page["next"]
        assert seen == videos[::-1]
