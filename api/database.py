"""Database connections of requests."""

from django.db import connection


def release_connection() -> None:
    """Give the connection of this request back to the pool before work that needs none. The next query takes one again.

    Does nothing inside a transaction.
    """
    if not connection.in_atomic_block:
        connection.close()
