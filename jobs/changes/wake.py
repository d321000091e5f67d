from django.db import connection

CHANNEL = "vodmill_steps"
"""Where PostgreSQL tells dispatchers, at commit, that there may be something to hand out."""


def dispatcher_wake() -> None:
    """Have the dispatcher look as soon as the current transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
