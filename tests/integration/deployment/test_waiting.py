"""The init containers: they say what they wait for, and end when it is there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from embedded.home import REPOSITORY
from embedded.ports import LOOPBACK
from tests.servers import servers_of_this_run


def waiting(database_url: str) -> subprocess.Popen[str]:
    environ: Mapping[str, str] = {
        **servers_of_this_run().environment(),
        "TRANSCODER_DATABASE_URL": database_url,
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "manage.py", "migrations_wait", "--poll-seconds", "0.2"]
    return subprocess.Popen(command, cwd=REPOSITORY, env=environ, stdout=subprocess.PIPE, text=True)


def test_a_database_that_does_not_answer_is_named(unused_database_port: int) -> None:
    with waiting(f"postgresql://vodmill:secret@{LOOPBACK}:{unused_database_port}/vodmill") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
    assert line.startswith("waiting: the database does not answer: ")
    assert str(unused_database_port) in line
    assert "secret" not in line


@pytest.fixture
def unused_database_port() -> int:
    """A privileged port on which nothing listens here."""
    return 9


@pytest.mark.django_db(transaction=True)
def test_it_ends_when_the_last_migration_is_applied() -> None:
    database = settings.DATABASES["default"]
    url = f"postgresql://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    last = MigrationRecorder.Migration.objects.filter(app="jobs").latest("id")
    last.delete()
    try:
        with waiting(f"{url}/{connection.settings_dict['NAME']}") as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("waiting: 1 migrations are not applied; the Job `prepare`")
            last.save(force_insert=True)
            assert process.stdout.readline() == "every migration is applied\n"
            assert process.wait() == 0
    finally:
        MigrationRecorder.Migration.objects.get_or_create(app=last.app, name=last.name)
