"""The migrated, empty database as a file: made once for the code as it is, then loaded in a tenth of the time.

Every part of `make test`, and every product that a test starts, needs one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from embedded.home import REPOSITORY
from embedded.product import code_files
from embedded.servers import PostgreSQL
from embedded.stack import Stack
from execution import daemons

FOLDER = REPOSITORY / ".vodmill" / "test-database"


def load(server: PostgreSQL, url: str) -> None:
    """Fill the empty database at `url` of this running server. Its tables belong to the role of the URL."""
    with _only_one():
        dump = FOLDER / f"{_code()}.sql"
        if not dump.exists():
            _make(server, dump)
    options = ("--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1", "--single-transaction")
    _run(server, "psql", url, *options, f"--file={dump}")


def load_into(stack: Stack) -> None:
    """Fill the database of a product that has never been started, so that its first start has nothing to migrate."""
    stack.postgresql.start()
    stack.postgresql.wait_ready()
    load(stack.postgresql, stack.postgresql.url)


def _make(server: PostgreSQL, dump: Path) -> None:
    for old in FOLDER.glob("*.sql"):
        old.unlink()
    name = f"migrated_{os.getpid()}"
    url = urlunsplit(urlsplit(server.administrator_url)._replace(path=f"/{name}"))
    with psycopg.connect(server.administrator_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            migrate = [sys.executable, "manage.py", "migrate", "--no-input"]
            settings = {"DJANGO_SETTINGS_MODULE": "transcoder_site.settings", "TRANSCODER_DATABASE_URL": url}
            daemons.run(migrate, environ=os.environ | settings, folder=REPOSITORY)
            new = dump.with_suffix(".new")
            _run(server, "pg_dump", url, "--no-owner", "--no-privileges", f"--file={new}")
            new.rename(dump)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _run(server: PostgreSQL, program: str, url: str, *options: str) -> None:
    names = {"dbname": "PGDATABASE"}
    connection = {names.get(key, f"PG{key.upper()}"): str(value) for key, value in conninfo_to_dict(url).items()}
    daemons.run([str(server._program(program)), *options], environ=os.environ | connection, folder=REPOSITORY)


def _code() -> str:
    """Compute a digest of all code of the product: migrations import it, and permissions follow from models."""
    return hashlib.sha256(repr(list(code_files())).encode()).hexdigest()[:32]


@contextmanager
def _only_one() -> Iterator[None]:
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (FOLDER / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
