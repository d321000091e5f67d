"""Django's PostgreSQL, emptied after a test in a fiftieth of the time.

A test that commits is followed by a TRUNCATE of every table, which makes new files for each of them and its indexes.
Deleting the few rows that there are is as good.
"""

from collections.abc import Sequence
from typing import Any

from django.db.backends.postgresql import base, operations

_NOT_EMPTIED = ("django_content_type", "auth_permission")
"""Tables that Django would fill again."""


class DatabaseOperations(operations.DatabaseOperations):
    def sql_flush(
        self,
        style: Any,  # noqa: ANN401 - Django's
        tables: Sequence[str],
        *,
        reset_sequences: bool = False,
        allow_cascade: bool = False,
    ) -> list[str]:
        """Wait for whoever still writes, as TRUNCATE does, and delete. Constraints are looked at when all is gone."""
        names = [self.quote_name(table) for table in tables if table not in _NOT_EMPTIED]
        lock = f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE"
        return [lock, *(f"DELETE FROM {name}" for name in names)]  # noqa: S608 - the names of our tables


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations
