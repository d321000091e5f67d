"""Every event that a test of jobs leaves is a document as docs/openapi.yaml describes it."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from django.db import connection

from events.log import COLUMNS, LoggedEvent, event_read
from jobs.reports.event_documents import event_documents
from tests.conformance import published

MAX_EVENTS = 500


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    result = yield
    if item.get_closest_marker("django_db") and not connection.needs_rollback:
        for document in event_documents(logged_events()):
            published().check_event(document)
    return result


def logged_events() -> list[LoggedEvent]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM events_event ORDER BY id DESC LIMIT {MAX_EVENTS}")  # noqa: S608 - constants
        return [event_read(row) for row in reversed(cursor.fetchall())]
