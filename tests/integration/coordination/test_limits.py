"""Rate limits on a real Redis: exact under a crowd, lower and never off without Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from coordination.rates import Rate, RateLimiter
from coordination.server import Server
from embedded.servers import Redis
from tests.rows import a_job, a_key, a_video, an_owner

Freeze = Callable[[], AbstractContextManager[None]]


def test_45_a_thousand_parallel_requests_get_exactly_what_sequential_ones_would(redis: Redis) -> None:
    limiters = [RateLimiter(Server(redis.cache_url, timeout_seconds=60)) for _ in range(4)]
    who, rate = uuid4().hex, Rate(300)
    started = time.monotonic()
    with ThreadPoolExecutor(64) as pool:
        decisions = list(pool.map(lambda number: limiters[number % 4].take(who, rate), range(1000)))
    allowed = [decision for decision in decisions if decision.allowed]
    drained = (time.monotonic() - started) * rate.per_minute / 60
    assert 300 <= len(allowed) <= 300 + drained + 1, "what drained meanwhile is allowed again"
    assert min(decision.remaining for decision in allowed) == 0


def test_without_redis_a_tenth_is_allowed_and_nobody_waits(redis: Redis, frozen: Freeze) -> None:
    def clock() -> float:
        return 0.0

    limiter = RateLimiter(Server(redis.cache_url, timeout_seconds=0.5, clock=clock), clock=clock)
    who, rate = uuid4().hex, Rate(300)
    with frozen():
        started = time.monotonic()
        decisions = [limiter.take(who, rate) for _ in range(100)]
        assert time.monotonic() - started < 100 * 0.5 / 2, "only the first one waits for Redis"
    assert sum(decision.allowed for decision in decisions) == 30
    assert decisions[0].limit == 30


@pytest.fixture
def limited(caching: object, settings: Settings) -> None:
    rates = replace(
        settings.TRANSCODER.rate, rate_read_per_minute=5, rate_write_per_minute=3, rate_address_per_minute=4
    )
    settings.TRANSCODER = replace(settings.TRANSCODER, rate=rates)


@pytest.mark.django_db
def test_a_response_has_the_limit_and_the_time_to_retry(client: Client, limited: None) -> None:
    answers = [client.get("/api/v1/jobs") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    assert answers[0].headers["RateLimit-Limit"] == "5"
    refused = answers[5]
    assert 1 <= int(refused.headers["Retry-After"]) <= 12
    assert refused.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(refused.content)
    assert (problem["code"], problem["retryable"]) == ("throttled", True)


@pytest.mark.django_db
def test_reads_and_writes_have_buckets_of_their_own(client: Client, limited: None) -> None:
    for _ in range(6):
        client.get("/api/v1/jobs")
    missing = f"/api/v1/jobs/{uuid4()}/cancel"
    assert [client.post(missing).status_code for _ in range(4)] == [404, 404, 404, 429]
    other = Client(headers={"Authorization": f"Bearer {a_key()}"})
    assert other.post(missing).status_code == 429, "another key of the same owner"
    other = Client(headers={"Authorization": f"Bearer {a_key(an_owner('other'))}"})
    assert other.get("/api/v1/jobs").status_code == 200, "another owner has its own"


@pytest.mark.django_db
def test_an_address_without_a_working_key_has_a_limit(limited: None) -> None:
    address = {"REMOTE_ADDR": f"2001:db8:{uuid4().hex[:4]}::1"}
    wrong = Client(headers={"Authorization": f"Bearer vm_{'0' * 12}_{'0' * 64}"})
    answers = [wrong.get("/api/v1/jobs", **address) for _ in range(3)]  # type: ignore[arg-type]
    answers += [Client().get("/api/v1/jobs", **address) for _ in range(2)]  # type: ignore[arg-type]
    assert [answer.status_code for answer in answers] == [401] * 4 + [429]


JSON = "application/json"


def _client(name: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {a_key(an_owner(name))}"})


@pytest.mark.django_db
def test_keys_of_one_owner_share_its_rates(caching: object, settings: Settings) -> None:
    rates = replace(settings.TRANSCODER.rate, rate_read_per_minute=5, rate_plan_per_minute=2)
    settings.TRANSCODER = replace(settings.TRANSCODER, rate=rates)
    keys = [_client("ann") for _ in range(6)]
    assert [key.get("/api/v1/jobs").status_code for key in keys] == [200] * 5 + [429]
    assert _client("bob").get("/api/v1/jobs").status_code == 200


@pytest.mark.django_db
def test_plans_and_dry_runs_have_a_rate_of_their_own(caching: object, settings: Settings) -> None:
    rates = replace(settings.TRANSCODER.rate, rate_plan_per_minute=3)
    settings.TRANSCODER = replace(settings.TRANSCODER, rate=rates)
    job = a_job(a_video(an_owner("ann")))
    first, second = _client("ann"), _client("ann")
    dry_run = (f"/api/v1/videos/{job.video_id}/transcode", '{"dry_run": true}')
    assert [first.post(*dry_run, content_type=JSON).status_code for _ in range(2)] == [200, 200]
    assert second.get(f"/api/v1/jobs/{job.id}/plan").status_code == 200
    refused = second.get(f"/api/v1/jobs/{job.id}/plan")
    assert refused.status_code == 429
    assert "plans and dry runs" in json.loads(refused.content)["detail"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert first.post(*dry_run, content_type=JSON).status_code == 429
    assert first.get(f"/api/v1/jobs/{job.id}").status_code == 200
