"""Turning what happened into deliveries, once per endpoint, however many processes try."""

from django.db import connection, transaction

from events.log import COMMIT_HORIZON

BATCH = 1000
LOCK = 0x766F6466616E  # "vodfan" in ASCII

_BEGIN = f"""
INSERT INTO events_fanout (id, transaction, event_id) VALUES (1, {COMMIT_HORIZON}, 0) ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants

# A batch of events below the commit horizon after the mark becomes deliveries, and the mark moves to the last of them.
_FAN_OUT = f"""
WITH batch AS (
    SELECT event.* FROM events_event event, events_fanout mark
    WHERE (event.transaction, event.id) > (mark.transaction, mark.event_id) AND event.transaction < {COMMIT_HORIZON}
    ORDER BY event.transaction, event.id LIMIT %(batch)s
), made AS (
    INSERT INTO events_delivery (endpoint_id, event_id)
    SELECT endpoint.id, batch.id
    FROM batch JOIN events_webhookendpoint endpoint ON endpoint.owner_id = batch.owner_id
    WHERE endpoint.state = 'enabled' AND batch.created_at >= endpoint.fresh_from
      AND CASE WHEN endpoint.types = '{{}}' THEN batch.type <> 'job.progress' ELSE batch.type = ANY(endpoint.types) END
    ON CONFLICT DO NOTHING
)
UPDATE events_fanout mark SET transaction = last.transaction, event_id = last.id
FROM (SELECT transaction, id FROM batch ORDER BY transaction DESC, id DESC LIMIT 1) last
RETURNING (SELECT count(*) FROM batch)
"""  # noqa: S608 - put together from constants


@transaction.atomic
def events_fan_out() -> int:
    """Make deliveries of what is new in the log. Returns how many events it was; a full batch: there is more."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if cursor.fetchone() != (True,):
            return 0
        cursor.execute(_BEGIN)
        cursor.execute(_FAN_OUT, {"batch": BATCH})
        row = cursor.fetchone()
    return int(row[0]) if row else 0
