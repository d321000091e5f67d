from django.db import connection

CHANNEL = "vodmill_steps"
"""PostgreSQL notification channel: at commit, it wakes dispatchers to look for ready steps."""


def dispatcher_wake() -> None:
    """Wake the dispatcher when the current transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
