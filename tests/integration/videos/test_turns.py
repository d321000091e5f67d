"""A served site under the flood of one owner: others get their turns, and refusals cost little."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from uuid import uuid4

import httpx2
import pytest
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from tests.integration.videos.conftest import a_site, serving
from tests.rows import a_key, an_owner

JOBS = "/api/v1/jobs"


@pytest.fixture
def few_turns(settings: Settings) -> None:
    owner = replace(settings.TRANSCODER.owner, max_owner_requests=2)
    settings.TRANSCODER = replace(settings.TRANSCODER, owner=owner)


@pytest.fixture
def server(few_turns: None, transactional_db: None) -> Iterator[httpx2.Client]:
    with serving(a_site()) as client:
        yield client


def _client(server: httpx2.Client, key: str) -> httpx2.Client:
    limits = httpx2.Limits(max_connections=None)
    return httpx2.Client(
        base_url=server.base_url, headers={"X-API-Key": key}, trust_env=False, timeout=120, limits=limits
    )


def test_an_owner_whose_requests_all_wait_stops_nobody(server: httpx2.Client) -> None:
    """More of its requests hang than there are threads, since their rows are locked."""
    ann, bob = an_owner("ann"), an_owner("bob")
    keys = [a_key(ann) for _ in range(4)]
    with ExitStack() as clients, ThreadPoolExecutor(100) as pool:
        floods = [clients.enter_context(_client(server, key)) for key in keys]
        neighbour = clients.enter_context(_client(server, a_key(bob)))
        for client in (*floods, neighbour):
            assert client.get(JOBS).status_code == 200  # its key is known from now on
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT FROM access_owner WHERE id = %s FOR UPDATE", [ann.id])
            answers = [
                pool.submit(floods[number % 4].post, "/api/v1/keys", json={"name": "k", "scopes": ["jobs:read"]})
                for number in range(100)
            ]
            for _ in range(5):
                assert neighbour.get(JOBS).status_code == 200
            assert not any(answer.done() for answer in answers)
        statuses = [answer.result().status_code for answer in answers]
    assert set(statuses) == {201, 409}
    assert statuses.count(201) == 96, "all keys that it may have"


def test_a_refused_owner_is_answered_without_any_work(server: httpx2.Client, settings: Settings) -> None:
    rates = replace(settings.TRANSCODER.rate, rate_read_per_minute=30)
    settings.TRANSCODER = replace(settings.TRANSCODER, rate=rates)
    key = a_key(an_owner(uuid4().hex))
    with _client(server, key) as client, _client(server, a_key(an_owner("other"))) as neighbour:
        answers = [client.get(JOBS) for _ in range(34)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= 2
        assert refused[0].json()["code"] == refused[-1].json()["code"] == "throttled"
        repeated = client.get(f"/api/v1/jobs/{uuid4()}")
        assert repeated.status_code == 429, "it was not even looked up"
        assert repeated.headers["ratelimit-limit"] == refused[0].headers["ratelimit-limit"]
        assert 1 <= int(repeated.headers["retry-after"]) <= 20
        assert client.post(f"/api/v1/jobs/{uuid4()}/cancel").status_code == 404, "writing has a rate of its own"
        assert neighbour.get(JOBS).status_code == 200
