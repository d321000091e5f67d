"""Builds event streams from the settings."""

from collections.abc import Callable, Collection
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection

from access.callers import PresentedKey, presented_key, working_keys
from access.rates import admit_caller
from access.scopes import Scope as AccessScope
from api.asgi import App, Scope, in_thread, threaded
from configuration import EventConfig
from events.log import EventDocuments
from events.streams.hub import Connection, EventHub
from events.streams.route import EventStreams, Listener, StreamLimits

_PYTHON_SIDE = frozenset({"context", "cursor_factory", "prepare_threshold"})
"""Connection parameters that Django adds for its own, synchronous, cursors."""


def _config() -> EventConfig:
    config: EventConfig = settings.TRANSCODER.events
    return config


async def connect() -> Connection:
    """Open a database connection for the event loop."""
    parameters = {key: value for key, value in connection.get_connection_params().items() if key not in _PYTHON_SIDE}
    return await psycopg.AsyncConnection.connect(**parameters, autocommit=True)


def event_streams(
    app: App, *, documents: EventDocuments, job_ended: Callable[[UUID, UUID], bool | None]
) -> EventStreams:
    """Streams in front of an application. `documents` and `job_ended` read rows that lie above this package."""
    config = _config()
    return EventStreams(
        app,
        EventHub(connect, threaded(documents)),
        authorize=_listener,
        recheck=recheck_keys,
        job_ended=threaded(job_ended),
        limits=StreamLimits(max_streams=config.max_event_streams, seconds=config.event_stream_seconds),
    )


async def _listener(scope: Scope) -> Listener:
    caller = await in_thread(admit_caller, scope, AccessScope.JOBS_READ)
    return Listener(caller.owner.id, presented_key(scope))


async def recheck_keys(keys: Collection[PresentedKey]) -> set[PresentedKey]:
    return await in_thread(working_keys, keys)
