"""Answers to events of ingest servers. Publishers wait for theirs until somebody reads what they will send."""

import asyncio
import logging

from django.db import DatabaseError, InterfaceError

from api.asgi import in_thread
from livestreams.hooks.events import IngestEvent, IngestKind
from livestreams.services.publishing import (
    Admission,
    Publisher,
    play_allowed,
    publish_accepted,
    publish_requested,
    publish_undo,
    publisher_left,
    publisher_seen,
    reader_waits,
)

log = logging.getLogger(__name__)

READER_SECONDS = 4.0
"""Time that live workers have to claim a new stream and wait for it at its ingest server."""
_LOOK_SECONDS = 0.1


async def answer(event: IngestEvent) -> bool:
    """Tell whether the ingest server may go on with what it reports. Raises DatabaseError, InterfaceError.

    A publisher that is there already is never dropped because the database is unavailable.
    """
    match event.kind:
        case IngestKind.PUBLISH:
            return await _publish(event.publisher)
        case IngestKind.UPDATE:
            return await _update(event.publisher)
        case IngestKind.UNPUBLISH:
            await in_thread(publisher_left, event.publisher)
            return True
        case IngestKind.PLAY:
            return await in_thread(play_allowed, event.publisher.name, event.token)
        case IngestKind.OTHER:
            return True


async def _publish(publisher: Publisher) -> bool:
    admission = await in_thread(publish_requested, publisher)
    if not isinstance(admission, Admission):
        return False
    if not await _reader(admission) and await in_thread(publish_undo, admission, publisher):
        return False
    return await in_thread(publish_accepted, admission, publisher)


async def _reader(admission: Admission) -> bool:
    """Wait until a live worker reads the stream. False: none came."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + READER_SECONDS
    while loop.time() < ends_at:
        waits = await in_thread(reader_waits, admission.broadcast_id)
        if waits is not False:
            return bool(waits)
        await asyncio.sleep(_LOOK_SECONDS)
    return False


async def _update(publisher: Publisher) -> bool:
    try:
        return await in_thread(publisher_seen, publisher)
    except (DatabaseError, InterfaceError) as error:
        log.warning("publisher not seen", extra={"event": "publisher_not_seen", "error": str(error)})
        return True
