"""Redis hangs and dies under load, beside an API that is served and a process that changes what it shows."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import httpx2
import pytest
from django.db import connection
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from access.services import default_owner
from configuration import RankConfig
from coordination.cache import ResponseCache
from embedded.home import Home
from embedded.product import Api
from embedded.servers import Redis
from jobs.lifecycle.services import job_reprioritize
from jobs.rules.rank import HIGHEST_PRIORITY
from tests.integration.coordination.conftest import History, caching_on, kill, pid, raw, until
from tests.rows import a_job, a_key, a_video
from tests.servers import ServersOfThisRun

RATE = 60_000
SLACK_SECONDS = 14
"""Seconds that a busy machine may add to the second within which a job is accepted."""
TOKEN = "t0ken"
DEADLINE_SECONDS = 300
CAP_SECONDS = 1
MAX_AGE_SECONDS = CAP_SECONDS + 0.02  # precision of Redis's expiry and difference of two clocks
KINDS = ("job", "outputs", "list", "transcode", "reprioritize", "elsewhere")


@pytest.fixture
def writer(own_redis: Redis, settings: Settings, transactional_db: None) -> Iterator[ResponseCache]:
    """Let this process change jobs as a worker does."""
    with caching_on(own_redis, settings, timeout_seconds=0.1) as cache:
        yield cache


@pytest.fixture
def api(own_home: Home, own_redis: Redis, servers: ServersOfThisRun, transactional_db: None) -> Iterator[Api]:
    """Start the API as it is served, with cache and rate limits, on this test's rows."""
    address, _, _ = servers.postgresql.administrator_url.rpartition("/")
    own_home.port("api")  # any free one
    environ = {
        **servers.environment(),
        "PATH": os.environ["PATH"],
        "TRANSCODER_DATABASE_URL": f"{address}/{connection.settings_dict['NAME']}",
        "TRANSCODER_BROKER_URL": own_redis.url,
        "TRANSCODER_CACHE_URL": own_redis.cache_url,
        "TRANSCODER_ENABLE_CACHE": "true",
        "TRANSCODER_CACHE_TTL_SECONDS": str(CAP_SECONDS),
        "TRANSCODER_RATE_READ_PER_MINUTE": str(RATE),
        "TRANSCODER_RATE_WRITE_PER_MINUTE": str(RATE),
        "TRANSCODER_METRICS_TOKEN": TOKEN,
    }
    api = Api(own_home, environ)
    try:
        api.start()
        api.wait_ready()
        yield api
    finally:
        api.close()


class _Load:
    """Clients that record every wrong response and count the right ones."""

    def __init__(self, api: Api) -> None:
        self.responses: Counter[str] = Counter()
        self.failures: list[str] = []
        self.limits: set[int] = set()
        self.slowest_transcode = 0.0
        self._over = threading.Event()
        self._url = api.url
        self._headers = {"Authorization": f"Bearer {a_key()}"}
        self._video = a_video().id
        self._written: dict[UUID, History] = {}
        """Priorities of a job."""
        self._created: list[UUID] = []
        self._listed = History()
        """Numbers of jobs that were created."""
        self._own, self._watched = self._another(), self._another()

    @contextmanager
    def running(self) -> Iterator[None]:
        steps = (self._read, self._read, self._write)
        threads = [threading.Thread(target=self._until_over, args=(step,)) for step in steps]
        threads.append(threading.Thread(target=self._write_elsewhere))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def continues(self, times: int) -> None:
        """Wait until each kind of request was answered this many times more."""
        targets = {kind: self.responses[kind] + times for kind in KINDS}
        until(
            lambda: self.failures or all(self.responses[kind] >= count for kind, count in targets.items()),
            DEADLINE_SECONDS,
        )
        assert not self.failures

    def hits(self) -> float:
        """Count the cache hits of the API."""
        text = httpx2.get(f"{self._url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
        families = text_string_to_metric_families(text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "vodmill_cache_hits_total" and sample.labels["kind"] in {"job", "jobs", "outputs"}
        )

    def _another(self) -> UUID:
        job = a_job(a_video(seconds=16, audio=False))
        self._written[job.id] = History()
        self._written[job.id].add(job.priority)
        return job.id

    def _next(self, job: UUID) -> tuple[UUID, int]:
        """Return the next priority of a job, or of another one after its highest."""
        if self._written[job].by(math.inf) == HIGHEST_PRIORITY:
            job = self._another()
        return job, self._written[job].by(math.inf) + 1

    def _until_over(self, step: Callable[[httpx2.Client], None]) -> None:
        with httpx2.Client(base_url=f"{self._url}/api/v1", headers=self._headers, timeout=60) as client:
            while not self._over.is_set():
                try:
                    step(client)
                except (AssertionError, httpx2.HTTPError) as error:
                    self.failures.append(repr(error))
                    break
        connection.close()

    def _right(self, answer: httpx2.Response, kind: str, status: int = 200) -> httpx2.Response:
        assert answer.status_code == status, f"{kind} answered {answer.status_code}: {answer.text}"
        self.limits.add(int(answer.headers["RateLimit-Limit"]))
        self.responses[kind] += 1
        return answer

    def _read(self, client: httpx2.Client) -> None:
        for job in (self._own, self._watched):
            self._check(client, job)
        self._right(client.get(f"/jobs/{self._watched}/outputs"), "outputs")
        requested_at = time.monotonic()
        listed = {job["id"] for job in self._right(client.get("/jobs"), "list").json()["results"]}
        shown = max((number for number, job in enumerate(self._created, 1) if str(job) in listed), default=0)
        self._listed.check(shown, requested_at, max_age_seconds=MAX_AGE_SECONDS)

    def _check(self, client: httpx2.Client, job: UUID) -> None:
        requested_at = time.monotonic()
        shown = self._right(client.get(f"/jobs/{job}"), "job").json()["priority"]
        self._written[job].check(shown, requested_at, max_age_seconds=MAX_AGE_SECONDS)

    def _write(self, client: httpx2.Client) -> None:
        """Request a job twice with one key, and change another one."""
        key = {"Idempotency-Key": str(uuid4())}
        created = set()
        for _ in range(2):
            started = time.monotonic()
            answer = client.post(f"/videos/{self._video}/transcode", json={"preset": "fast"}, headers=key)
            self.slowest_transcode = max(self.slowest_transcode, time.monotonic() - started)
            created.add(self._right(answer, "transcode", 202).json()["id"])
        (job,) = created
        self._right(client.get(f"/jobs/{job}"), "job")
        self._created.append(UUID(job))
        self._listed.add(len(self._created))
        self._own, priority = self._next(self._own)
        self._right(client.post(f"/jobs/{self._own}/reprioritize", json={"priority": priority}), "reprioritize")
        self._written[self._own].add(priority)
        time.sleep(0.05)

    def _write_elsewhere(self) -> None:
        """Change jobs as a worker does, not through the API."""
        while not self._over.wait(0.1):
            self._watched, priority = self._next(self._watched)
            job_reprioritize(owner=default_owner(), job_id=self._watched, priority=priority, rank=RankConfig())
            self._written[self._watched].add(priority)
            self.responses["elsewhere"] += 1
        connection.close()


def test_redis_hangs_and_dies_under_load_and_no_client_notices(
    api: Api, own_redis: Redis, writer: ResponseCache
) -> None:
    load = _Load(api)
    with load.running():
        _cached_again(load)
        load.continues(5)
        os.kill(pid(own_redis), signal.SIGSTOP)
        load.continues(4)  # jobs are accepted while Redis hangs: with a wait for it this would never end
        os.kill(pid(own_redis), signal.SIGCONT)
        _cached_again(load)
        load.continues(5)
        raw(own_redis).save()  # it will come back with the current data
        kill(own_redis)
        load.continues(4)
        own_redis.start()
        own_redis.wait_ready()
        _cached_again(load)
        load.continues(5)
    assert not load.failures
    assert load.slowest_transcode < 1 + SLACK_SECONDS
    assert load.limits == {RATE, RATE // 10}, "without Redis clients had a lower limit"


def _cached_again(load: _Load) -> None:
    """Wait until the API answers from the cache."""
    hits = load.hits()
    until(lambda: bool(load.failures) or load.hits() > hits, DEADLINE_SECONDS)
    assert not load.failures
