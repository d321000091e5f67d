"""Fixtures and hooks of all tiers: markers, no sockets in pure tests, real servers on request."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import hypothesis
import pytest
import pytest_socket
from django.contrib.contenttypes.management import create_contenttypes
from django.db.models.signals import post_migrate

from embedded.servers import PostgreSQL, Redis, SeaweedFS
from tests.ffmpeg.cases import CASES, Sources
from tests.servers import ServersOfThisRun, servers_of_this_run, tier

TIERS = ("unit", "contract", "integration", "ffmpeg", "inputs", "oracles", "acceptance", "faults")
"""Tiers in their order of execution, quick ones first."""

hypothesis.settings.register_profile("busy", deadline=None)  # an example takes as long as a busy machine needs
hypothesis.settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="take the screenshots of docs/images again")
    parser.addoption("--upload-mib", type=int, default=40, help="size of the files that the page uploads")
    parser.addoption(
        "--thorough", action="store_true", help="also run what CI leaves out: more of what is tested alike"
    )
    parser.addoption("--examples", type=int, help="how often the model of jobs is compared, at random (FAULTS 47)")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with its folder, run the quick tiers first, and the thorough tests only on request."""
    for item in items:
        if (name := tier(Path(item.path))) in TIERS:
            item.add_marker(name)
    items.sort(key=_tier_order)
    if not config.getoption("--thorough"):
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


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
    """Sources of the golden tests by name, created on first use."""

    @cache
    def of(name: str) -> Path:
        return CASES[name].make(tmp_path_factory.mktemp(name))

    return of


@pytest.fixture(scope="session")
def servers() -> Iterator[ServersOfThisRun]:
    """The servers of this run. Each is started on first use, and all are stopped with the run."""
    servers = servers_of_this_run()
    servers.clear_killed()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def postgresql(servers: ServersOfThisRun) -> PostgreSQL:
    """The running PostgreSQL of Django's settings."""
    return servers.started(servers.postgresql)


@pytest.fixture(scope="session")
def redis(servers: ServersOfThisRun) -> Redis:
    """The running Redis of Celery's settings."""
    return servers.started(servers.redis)


@pytest.fixture(scope="session")
def s3_server(servers: ServersOfThisRun) -> SeaweedFS:
    """The running S3 server of the storage settings, without a bucket."""
    return servers.started(servers.seaweedfs)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """Create the test database. Rows that Django creates after migrations are kept: the database is never flushed."""
    post_migrate.disconnect(create_contenttypes)
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgresql: PostgreSQL) -> None:
    """Start PostgreSQL before pytest-django creates the test database."""
