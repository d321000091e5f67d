"""Probes of load balancers and orchestrators: without a key, over plain HTTP, with an IP address as the host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from pytest_django.fixtures import Settings

from execution.daemons import poll_until
from operations import health, wiring
from storage.wiring import store_from
from tests.rows import a_key

HOST = "10.1.2.3:8000"


@pytest.fixture(autouse=True)
def _no_cached_results() -> Iterator[None]:
    """Results are cached for a moment."""
    health.dependency_checks.cache_clear()
    yield
    health.dependency_checks.cache_clear()


@pytest.fixture
def client(settings: Settings) -> Client:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["video.example"]
    return Client(headers={"host": HOST})


@pytest.mark.django_db(transaction=True)
def test_it_is_ready_when_database_and_store_respond(client: Client, s3_server: object, redis: object) -> None:
    wiring.store().prepare()
    response = client.get("/readyz")
    assert (response.status_code, json.loads(response.content)["status"]) == (200, "ok")
    response = client.get("/health")
    assert (response.status_code, json.loads(response.content)) == (200, {"status": "healthy"})


@pytest.mark.django_db(transaction=True)
def test_it_is_not_ready_before_all_migrations_are_applied(client: Client) -> None:
    applied = MigrationRecorder.Migration.objects.filter(app="jobs").latest("id")
    applied.delete()
    try:
        response = client.get("/readyz")
        found = json.loads(response.content)
        assert (response.status_code, found["checks"]["migrations"]) == (503, "failed")
        assert found["checks"]["database"] == "ok"
        response = client.get("/health")
        assert (response.status_code, json.loads(response.content)) == (503, {"status": "unhealthy"})
    finally:
        applied.save(force_insert=True)


@pytest.mark.django_db(transaction=True)
def test_it_stays_ready_without_a_store(client: Client, settings: Settings) -> None:
    """Jobs are accepted and shown without a store, so its check must not make the process unready."""
    wiring.store.cache_clear()
    storage = settings.TRANSCODER.storage
    settings.TRANSCODER = replace(settings.TRANSCODER, storage=replace(storage, s3_endpoint_url="http://127.0.0.1:9"))
    try:
        response = client.get("/readyz")
        assert (response.status_code, json.loads(response.content)["checks"]["store"]) == (200, "degraded")
        assert client.get("/health").status_code == 200
    finally:
        wiring.store.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_operators_read_why_the_store_refuses(
    settings: Settings, s3_server: object, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = store_from(replace(settings.TRANSCODER.storage, s3_secret_key="of somebody else"))
    monkeypatch.setattr(health, "store", lambda: refused)
    client = Client(headers={"Authorization": f"Bearer {a_key()}"})
    shown: dict[str, Any] = {}

    def explained() -> bool:
        """On a busy machine the check may take longer than the request waits."""
        shown.update(client.get("/api/v1/system/health").json())
        return any("SignatureDoesNotMatch" in alert["detail"] for alert in shown["alerts"])

    assert poll_until(explained, 120)
    (alert,) = (alert for alert in shown["alerts"] if alert["code"] == "store")
    assert "check TRANSCODER_S3_SECRET_KEY" in alert["detail"]
    assert "of somebody else" not in alert["detail"]
    assert (shown["status"], shown["checks"]["store"]) == ("degraded", "degraded")
    assert "store is unhealthy: " in caplog.text
    assert "SignatureDoesNotMatch" in caplog.text


def test_an_unreachable_database_is_unhealthy(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise OperationalError

    monkeypatch.setattr(health, "check_database", refused)
    assert client.get("/health").status_code == 503


def test_other_requests_reach_the_site(client: Client) -> None:
    assert client.get("/healthz/").status_code != 200
