"""Django's PostgreSQL, created for a test run in a tenth of the time, and emptied after a test in a fiftieth.

A test that commits is followed by a TRUNCATE of every table, which makes new files for each of them and its indexes.
Deleting the few rows that there are is as good.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.db.backends.postgresql import base, creation, operations
from django.db.migrations.loader import MigrationLoader

from tests import migrated
from tests.servers import servers_of_this_run

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


class DatabaseCreation(creation.DatabaseCreation):
    def create_test_db(self, verbosity: int = 1, autoclobber: bool = False, *_: object, **__: object) -> str:  # noqa: FBT001, FBT002 - Django's
        """Create the database, and load it instead of migrating it."""
        name: str = self._get_test_db_name()  # type: ignore[attr-defined]  # the stubs lack it
        self._create_test_db(verbosity, autoclobber)  # type: ignore[attr-defined]  # the same
        self.connection.close()
        settings.DATABASES[self.connection.alias]["NAME"] = self.connection.settings_dict["NAME"] = name
        server = servers_of_this_run().postgresql
        migrated.load(server, urlunsplit(urlsplit(server.administrator_url)._replace(path=f"/{name}")))
        MigrationLoader(None)  # imports the migrations, as migrating does: a health check would time out over that
        return name


class DatabaseWrapper(base.DatabaseWrapper):
    creation_class = DatabaseCreation
    ops_class = DatabaseOperations
