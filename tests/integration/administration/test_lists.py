"""Lists take the same number of queries however many rows there are, and look at few blocks among 100,000."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access.models import Member
from access.scopes import Scope
from access.services import key_create
from events.models import Delivery, Event
from events.webhooks.services import endpoint_create
from gpu.models import DeviceReport
from jobs.leasing.nodes import node_register
from jobs.models import Job
from tests.livestream_rows import a_broadcast, a_livestream
from tests.rows import a_bare_job, a_job, a_live_session, a_step, a_video, an_owner, an_uploaded_video

pytestmark = pytest.mark.django_db
FEW, MANY = 100, 100_000
MAX_BLOCKS = 1_000
"""Of 8 KiB. A page of rows takes 300 to 500; whatever reads a whole table or the index of a search takes thousands."""


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


def _devices(count: int) -> None:
    for number in range(count):
        DeviceReport.objects.create(
            node=f"node-{uuid4()}", uuid=f"GPU-{number}", machine="m", index=0, name="A GPU", kind="nvidia"
        )


def _endpoints(count: int) -> None:
    for number in range(count):
        endpoint_create(owner=an_owner(f"owner {number}"), url="https://hooks.example/in")


def _members(count: int) -> None:
    for number in range(count):
        user = User.objects.create(username=str(uuid4()))
        Member.objects.create(user=user, owner=an_owner(f"owner {number}"))


def _deliveries(count: int) -> None:
    endpoint = endpoint_create(owner=an_owner("acme"), url="https://hooks.example/in")
    for _ in range(count):
        event = Event.objects.create(owner=endpoint.owner, video_id=uuid4(), type="video.uploaded")
        Delivery.objects.create(endpoint=endpoint, event=event)


def _live_sessions(count: int) -> None:
    for number in range(count):
        a_live_session(an_owner(f"owner {number}"))


def _livestreams(count: int) -> None:
    for number in range(count):
        a_broadcast(a_livestream(an_owner(f"owner {number}")))


def _queries(browser: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
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
        ("access/member/", _members),
        ("auth/user/", _members),
        ("gpu/devicereport/", _devices),
        ("events/webhookendpoint/", _endpoints),
        ("events/delivery/", _deliveries),
        ("relay/livesession/", _live_sessions),
        ("livestreams/livestream/", _livestreams),
        ("livestreams/broadcast/", _livestreams),
    ],
)
def test_a_list_takes_as_many_queries_for_60_rows_as_for_3(
    path: str, make: Callable[[int], None], operator: Client
) -> None:
    make(3)
    operator.get(f"/admin/{path}")  # what is read once in a process
    few = _queries(operator, f"/admin/{path}")
    make(60)
    assert _queries(operator, f"/admin/{path}") == few


def _multiply(job: Job, count: int) -> None:
    """Copies of a job, a second apart into the past. The latest 100 are the same for any count: a page that failed and
    a page that is not done yet. Before them one in ten failed, and the oldest of all by a code of its own.
    """
    columns = ", ".join(
        f'"{field.column}"'
        for field in Job._meta.concrete_fields
        if field.name not in ("id", "created_at", "state", "phase", "error_code", "finished_at", "external_id")
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO jobs_job (id, created_at, state, phase, error_code, finished_at, external_id, {columns})
            SELECT gen_random_uuid(), now() - number * interval '1 second', made.state,
                   CASE made.state WHEN 'queued' THEN 'inspecting' ELSE '' END,
                   CASE WHEN number = %(count)s THEN 'poison'
                        WHEN made.state = 'failed' THEN 'encoder_failed' ELSE '' END,
                   CASE made.state WHEN 'queued' THEN NULL ELSE now() END,
                   'name ' || number,
                   {columns}
            FROM public.jobs_job, generate_series(1, %(count)s) AS number,
                 LATERAL (SELECT CASE WHEN number <= 50 OR number %% 10 = 0 THEN 'failed'
                                      WHEN number <= 100 THEN 'queued' ELSE 'completed' END AS state) AS made
            WHERE jobs_job.id = %(job)s
            """,  # noqa: S608 - the columns are the model's
            {"count": count, "job": job.id},
        )
        cursor.execute("ANALYZE")  # all tables: pages that other tests left empty count as rows in the plans otherwise


@contextmanager
def _among(schema: str) -> Iterator[None]:
    """Meanwhile jobs are looked for in this schema, and everything else where it always is."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL search_path TO {schema}, public")
        yield
        cursor.execute("SET LOCAL search_path TO public")


@pytest.fixture
def hundred_and_many(db: None) -> Job:
    """A job among 100, in the schema `few`, and the same among 100,000, in `many`."""
    job = a_job(a_video(an_owner("acme")))
    for schema, count in (("few", FEW), ("many", MANY)):
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {schema}")
            cursor.execute(f"CREATE TABLE {schema}.jobs_job (LIKE public.jobs_job INCLUDING ALL)")
        with _among(schema):
            _multiply(job, count)
    return job


def _blocks(queries: Iterable[str]) -> int:
    """Blocks of jobs that the database looks at for these queries, which no busy machine changes."""
    with connection.cursor() as cursor:
        total = 0
        for query in queries:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}")
            total += _blocks_of_jobs(cursor.fetchone()[0][0]["Plan"])
    return total


def _blocks_of_jobs(plan: dict[str, Any]) -> int:
    """Other tables have the same few rows here, but perhaps room for many that other tests deleted."""
    if plan.get("Relation Name") == Job._meta.db_table:
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
    return sum(_blocks_of_jobs(part) for part in plan.get("Plans", []))


def _read(browser: Client, path: str) -> tuple[int, int]:
    """Count the queries of a page, and the blocks that they read."""
    browser.get(path)
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(path).status_code == 200
    selects = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    return len(queries), _blocks(selects)


def _pages_of_jobs(job: Job) -> list[str]:
    """The list as it is, narrowed down by everything that it can be narrowed down by, and gone through."""
    lately: dict[str, object] = {
        "created_at__gte": "2020-01-01 00:00:00+00:00",
        "created_at__lt": "2100-01-01 00:00:00+00:00",
    }
    narrowed: list[dict[str, object]] = [
        {},
        {"state": "failed"},
        {"state": "queued"},
        {"phase": "inspecting"},
        {"error_code": "encoder_failed"},
        {"error_code": "poison"},
        {"state": "failed", "error_code": "poison"},
        {"owner": job.owner_id},
        {"owner": job.owner_id, "state": "failed"},
        lately,
        {"q": "name 7"},
        {"q": job.video_id, "state": "queued"},
        {"p": 2},
    ]
    return [f"/admin/jobs/job/?{urlencode(query)}" for query in narrowed]


def test_a_list_of_100_000_jobs_takes_the_queries_of_one_of_100_and_looks_at_few_blocks(
    operator: Client, hundred_and_many: Job
) -> None:
    for path in _pages_of_jobs(hundred_and_many):
        with _among("few"):
            queries, _ = _read(operator, path)
        with _among("many"):
            same, blocks = _read(operator, path)
        assert same == queries, path
        assert blocks < MAX_BLOCKS, path
