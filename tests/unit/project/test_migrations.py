"""Migrations that build an index, or check the rows of steps, let reads and writes go on meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pytest
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import models
from django.db.migrations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    CreateModel,
    Migration,
    RemoveConstraint,
    RemoveIndex,
    RunSQL,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation

RELEASED = {"access": 4, "events": 2, "gpu": 3, "jobs": 13, "videos": 11}
"""The last migration of each application that was released before this rule."""
_LARGE = {"step"}
"""Tables that have millions of rows, so that a check of all of them takes long."""
_BLOCKING_SQL = re.compile(r"CREATE\s+(UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY)", re.IGNORECASE)


def blocking(operations: Iterable[Operation]) -> Iterator[str]:
    """Describe the operations that build an index of an existing table, or check a large one, under a lock."""
    operations = list(operations)
    created = {operation.name.lower() for operation in operations if isinstance(operation, CreateModel)}
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from blocking(operation.database_operations)
        elif getattr(operation, "model_name", "").lower() not in created and _locks(operation):
            yield operation.describe()


def _locks(operation: Operation) -> bool:
    match operation:
        case AddIndexConcurrently() | AddConstraintNotValid():
            return False
        case AddIndex():
            return True
        case AddConstraint():
            unique = isinstance(operation.constraint, models.UniqueConstraint | ExclusionConstraint)
            return unique or operation.model_name.lower() in _LARGE
        case AddField() | AlterField():
            return bool(getattr(operation.field, "db_index", False) or operation.field.unique)
        case RunSQL():
            return bool(_BLOCKING_SQL.search(str(operation.sql)))
    return False


def _later() -> list[Migration]:
    loader = MigrationLoader(None)
    return [
        migration
        for (app, name), migration in sorted(loader.disk_migrations.items())
        if app in RELEASED and int(name[:4]) > RELEASED[app]
    ]


@pytest.mark.parametrize("migration", _later(), ids=str)
def test_a_migration_builds_its_indexes_concurrently(migration: Migration) -> None:
    hint = "use AddIndexConcurrently, or AddConstraintNotValid, and ValidateConstraint in a later one; atomic = False"
    assert list(blocking(migration.operations)) == [], hint


def test_constraints_of_large_tables_are_validated_without_the_lock_that_adds_them() -> None:
    """A transaction that has added one keeps its lock until it ends."""
    unchecked: set[str] = set()
    for migration in _later():
        new = [operation for operation in migration.operations if isinstance(operation, AddConstraintNotValid)]
        added = {operation.constraint.name for operation in new}
        validated = {operation.name for operation in migration.operations if isinstance(operation, ValidateConstraint)}
        removed = {operation.name for operation in migration.operations if isinstance(operation, RemoveConstraint)}
        assert not validated or (not migration.atomic and not added), f"{migration}: validate in one of its own"
        unchecked = (unchecked - removed - validated) | added
    assert unchecked == set()


def test_old_processes_keep_their_indexes_while_they_are_replaced() -> None:
    """An index that only they need goes one minor version later."""
    new: set[tuple[str, str]] = set()
    lost = []
    for migration in _later():
        for operation in migration.operations:
            match operation:
                case AddIndex():
                    new.add((migration.app_label, operation.index.name))
                case RemoveIndex() if (migration.app_label, operation.name) not in new:
                    lost.append(f"{migration}: {operation.name}")
    assert lost == []


def _an_index() -> models.Index:
    return models.Index(fields=["name"], name="an_index")


@pytest.mark.parametrize(
    ("operation", "locks"),
    [
        (AddIndex("owner", _an_index()), True),
        (AddIndexConcurrently("owner", _an_index()), False),
        (AddConstraint("owner", models.UniqueConstraint(fields=["name"], name="once")), True),
        (AddConstraint("owner", models.CheckConstraint(condition=models.Q(name="a"), name="named")), False),
        (AddConstraint("step", models.CheckConstraint(condition=models.Q(kind="a"), name="kinds")), True),
        (AddConstraintNotValid("step", models.CheckConstraint(condition=models.Q(kind="a"), name="kinds")), False),
        (AddField("owner", "name", models.TextField()), False),
        (AddField("owner", "name", models.TextField(db_index=True)), True),
        (AddField("owner", "other", models.ForeignKey("access.Owner", models.CASCADE)), True),
        (AddField("owner", "other", models.ForeignKey("access.Owner", models.CASCADE, db_index=False)), False),
        (RunSQL("CREATE UNIQUE INDEX a ON b (c)"), True),
        (RunSQL("CREATE INDEX CONCURRENTLY a ON b (c)"), False),
        (SeparateDatabaseAndState(database_operations=[AddIndex("owner", _an_index())]), True),
    ],
)
def test_what_holds_up_reads_is_recognised(operation: Operation, *, locks: bool) -> None:
    assert bool(list(blocking([operation]))) is locks


def test_an_index_of_a_new_table_holds_up_nobody() -> None:
    create = CreateModel("Owner", fields=[("name", models.TextField())])
    assert list(blocking([create, AddIndex("owner", _an_index())])) == []
