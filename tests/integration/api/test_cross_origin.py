"""Pages of other origins: those that are named may use the API with a key, no others may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest
from django.conf import settings

from storage.protocol import ObjectStore
from tests.integration.videos.conftest import django_app, serving
from transcoder_site.routes import site
from videos.uploads.idempotency import PATH as UPLOAD

NAMED, OTHER = "https://app.example", "https://evil.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key,content-type"}


@pytest.fixture
def open_api(store: ObjectStore, transactional_db: None) -> Iterator[httpx2.Client]:
    config = replace(settings.TRANSCODER.site, cors_origins=(NAMED,))
    with serving(site(django_app(), config)) as client:
        yield client


@pytest.mark.parametrize("path", ["/api/v1/jobs", UPLOAD, "/api/v1/events", "/api/v1/videos/x/transcode"])
def test_a_preflight_request_needs_no_key(open_api: httpx2.Client, path: str) -> None:
    response = httpx2.options(f"{open_api.base_url}{path}", headers={"Origin": NAMED, **PREFLIGHT}, trust_env=False)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == NAMED
    assert "POST" in response.headers["access-control-allow-methods"]
    assert {"authorization", "idempotency-key", "x-api-key"} <= {
        name.strip().lower() for name in response.headers["access-control-allow-headers"].split(",")
    }
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/nothing", "/api/v1/events?x=1", "/api/v1/jobs?limit=0"])
def test_a_page_of_a_named_origin_reads_responses(open_api: httpx2.Client, path: str) -> None:
    response = open_api.get(path, headers={"Origin": NAMED})
    assert response.headers["access-control-allow-origin"] == NAMED
    assert "Origin" in response.headers["vary"]
    assert {"Location", "ETag", "X-Request-ID"} <= set(response.headers["access-control-expose-headers"].split(", "))


@pytest.mark.parametrize("origin", [OTHER, f"{NAMED}.evil.example", NAMED.upper(), "null", f"{NAMED}:8443", ""])
def test_others_get_nothing_that_a_browser_would_let_through(open_api: httpx2.Client, origin: str) -> None:
    for response in (
        open_api.get("/api/v1/jobs", headers={"Origin": origin}),
        open_api.options("/api/v1/jobs", headers={"Origin": origin, **PREFLIGHT}),
    ):
        assert not [name for name in response.headers if name.startswith("access-control")]
        assert "Origin" in response.headers["vary"]  # a cache may not show them what it keeps of a named one


def test_by_default_there_are_none(api: httpx2.Client) -> None:
    response = api.options("/api/v1/jobs", headers={"Origin": NAMED, **PREFLIGHT})
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_pages_and_the_admin_are_never_shared(open_api: httpx2.Client) -> None:
    for path in ("/api/login", "/admin/login/", "/api/schema"):
        response = open_api.get(path, headers={"Origin": NAMED})
        assert not [name for name in response.headers if name.startswith("access-control")]
