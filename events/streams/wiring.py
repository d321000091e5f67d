"""Builds event streams from the settings."""

from collections.abc import Callable, Collection
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection

from access.callers import Presented, presented, still_working
from access.rates import admit_caller, check_read_rate
from access.scopes import Scope as AccessScope
from api.asgi import App, Scope, in_thread, threaded
from api.turns import Turns
from configuration import Config
from events.log import EventDocuments
from events.streams.hub import Connection, EventHub
from events.streams.route import EventStreams, Listener, StreamLimits

_PYTHON_SIDE = frozenset({"context", "cursor_factory", "prepare_threshold"})
"""Connection parameters that Django adds for its own, synchronous, cursors."""


def _config() -> Config:
    config: Config = settings.TRANSCODER
    return config


async def connect() -> Connection:
    """Open a database connection for the event loop."""
    parameters = {key: value for key, value in connection.get_connection_params().items() if key not in _PYTHON_SIDE}
    return await psycopg.AsyncConnection.connect(**parameters, autocommit=True)


def event_streams(
    app: App, turns: Turns, *, documents: EventDocuments, job_ended: Callable[[UUID, UUID], bool | None]
) -> EventStreams:
    """Streams in front of an application. `documents` and `job_ended` read rows that lie above this package."""
    config = _config()

    async def authorize(scope: Scope) -> Listener:
        async with turns.turn(scope):
            return await in_thread(_listener, scope)

    return EventStreams(
        app,
        EventHub(connect, threaded(documents)),
        authorize=authorize,
        recheck=recheck_credentials,
        job_ended=threaded(job_ended),
        limits=StreamLimits(
            max_streams=config.events.max_event_streams,
            max_owner_streams=config.owner.max_owner_event_streams,
            seconds=config.events.event_stream_seconds,
        ),
    )


def _listener(scope: Scope) -> Listener:
    caller = admit_caller(scope, AccessScope.JOBS_READ)
    check_read_rate(caller)
    return Listener(caller.owner.id, presented(scope))


async def recheck_credentials(credentials: Collection[Presented]) -> set[Presented]:
    return await in_thread(still_working, credentials)
