"""Fixtures and hooks of every tier: its marker, no sockets in pure tests, real servers on request."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import pytest_socket
from django.contrib.contenttypes.management import create_contenttypes
from django.db.models.signals import post_migrate

from embedded.servers import PostgreSQL, Redis, SeaweedFS
from tests.ffmpeg.cases import CASES, Sources
from tests.servers import ServersOfThisRun, servers_of_this_run, tier

TIERS = ("unit", "contract", "integration", "ffmpeg", "acceptance", "faults")
"""Tiers in the order in which they run: quick ones first."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="take the screenshots of docs/images again")
    parser.addoption("--examples", type=int, help="how often the model of jobs is compared, at random (FAULTS 47)")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the folder it lies in, and put the quick tiers first."""
    for item in items:
        if (name := tier(Path(item.path))) in TIERS:
            item.add_marker(name)
    items.sort(key=_tier_order)


def _tier_order(item: pytest.Item) -> int:
    name = tier(Path(item.path))
    return TIERS.index(name) if name in TIERS else len(TIERS)


@pytest.fixture(autouse=True)
def _no_sockets_in_pure_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("unit") is None:
        yield
        return
    pytest_socket.disable_socket(allow_unix_socket=True)  # asyncio wakes itself through one
    yield
    pytest_socket.enable_socket()


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """A source of the golden tests by the name of its case, created when it is first requested."""

    @cache
    def of(name: str) -> Path:
        return CASES[name].make(tmp_path_factory.mktemp(name))

    return of


@pytest.fixture(scope="session")
def servers() -> Iterator[ServersOfThisRun]:
    """The servers of this run, none of them started; all that were are ended with it."""
    servers = servers_of_this_run()
    servers.hold()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def postgresql(servers: ServersOfThisRun) -> PostgreSQL:
    """A running PostgreSQL, the one Django's settings name."""
    return servers.started(servers.postgresql)


@pytest.fixture(scope="session")
def redis(servers: ServersOfThisRun) -> Redis:
    """A running Redis, the one Celery's settings name."""
    return servers.started(servers.redis)


@pytest.fixture(scope="session")
def s3_server(servers: ServersOfThisRun) -> SeaweedFS:
    """A running S3 server, the one the storage settings name; it has no bucket yet."""
    return servers.started(servers.seaweedfs)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """Make the test database, and leave alone afterwards what Django makes after migrations: it is never emptied."""
    post_migrate.disconnect(create_contenttypes)
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgresql: PostgreSQL) -> None:
    """Start PostgreSQL before pytest-django makes the test database."""
