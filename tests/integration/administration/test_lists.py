"""Lists take the same number of queries however many rows there are, and no longer among 100,000 than among 100."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access.scopes import Scope
from access.services import key_create
from events.models import Delivery, Event
from events.services import endpoint_create
from jobs.leasing.nodes import node_register
from jobs.models import Job
from tests.rows import a_bare_job, a_job, a_step, a_video, an_owner, an_uploaded_video

pytestmark = pytest.mark.django_db
MANY = 100_000


def _jobs(count: int) -> None:
    for number in range(count):
        a_job(a_video(an_owner(f"owner {number}")))


def _steps(count: int) -> None:
    job = a_bare_job(a_video())
    for number in range(count):
        a_step(job, ordinal=number)


def _videos(count: int) -> None:
    for number in range(count):
        an_uploaded_video(an_owner(f"owner {number}"))


def _nodes(count: int) -> None:
    for number in range(count):
        node_register(name=f"node-{number}", queues=["cpu"], slots=1, pid=number, info={})


def _keys(count: int) -> None:
    for number in range(count):
        key_create(owner=an_owner(f"owner {number}"), name="key", scopes=[Scope.ADMIN])


def _owners(count: int) -> None:
    for number in range(count):
        an_owner(f"owner {number}")


def _deliveries(count: int) -> None:
    endpoint = endpoint_create(owner=an_owner("acme"), url="https://hooks.example/in")
    for _ in range(count):
        event = Event.objects.create(owner=endpoint.owner, video_id=uuid4(), type="video.uploaded")
        Delivery.objects.create(endpoint=endpoint, event=event)


def _queries(browser: Client, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = browser.get(path)
    assert answer.status_code == 200
    return len(queries)


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("jobs/job/", _jobs),
        ("jobs/step/", _steps),
        ("jobs/node/", _nodes),
        ("videos/video/", _videos),
        ("access/apikey/", _keys),
        ("access/owner/", _owners),
        ("events/delivery/", _deliveries),
    ],
)
def test_a_list_takes_as_many_queries_for_60_rows_as_for_3(
    path: str, make: Callable[[int], None], operator: Client
) -> None:
    make(3)
    operator.get(f"/admin/{path}")  # what is asked for once in a process
    few = _queries(operator, f"/admin/{path}")
    make(60)
    assert _queries(operator, f"/admin/{path}") == few


def _multiply(job: Job, count: int) -> None:
    """Copies of a job, a second apart into the past. A page of them failed lately, and one in ten before."""
    columns = ", ".join(
        f'"{field.column}"'
        for field in Job._meta.concrete_fields
        if field.name not in ("id", "created_at", "state", "error_code", "finished_at")
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO jobs_job (id, created_at, state, error_code, finished_at, {columns})
            SELECT gen_random_uuid(), now() - number * interval '1 second',
                   CASE WHEN number <= 60 OR number %% 10 = 0 THEN 'failed' ELSE 'completed' END,
                   CASE WHEN number <= 60 OR number %% 10 = 0 THEN 'encoder_failed' ELSE '' END, now(), {columns}
            FROM jobs_job, generate_series(1, %s) AS number WHERE id = %s
            """,  # noqa: S608 - the columns are the model's
            [count, job.id],
        )
        cursor.execute("ANALYZE jobs_job")


def _cost(browser: Client, path: str) -> tuple[int, float]:
    """Queries, and the shortest of a few times: the machine may be busy."""
    browser.get(path)
    queries = _queries(browser, path)
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        browser.get(path)
        times.append(time.perf_counter() - begun)
    return queries, min(times)


def test_a_list_of_many_jobs_costs_what_one_of_few_does(operator: Client) -> None:
    """Twice the time is the promise; the same was measured, and a busy machine gets as much again."""
    paths = [f"/admin/jobs/job/{query}" for query in ("", "?state=failed", "?state=failed&error_code=encoder_failed")]
    job = a_job()
    _multiply(job, 100)
    few = [_cost(operator, path) for path in paths]
    _multiply(job, MANY)
    many = [_cost(operator, path) for path in paths]
    assert [queries for queries, _ in many] == [queries for queries, _ in few]
    assert all(long < 4 * short for (_, long), (_, short) in zip(many, few, strict=True))
