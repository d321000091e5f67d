from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from tests.inputs.running import Transcoded
from tests.oracles.publishing import published, write_site
from tests.oracles.sites import JOBS, Site, encode, read_site


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Transcoded]:
    """Transcode the source of a job, once."""

    @cache
    def of(name: str) -> Transcoded:
        return encode(JOBS[name], tmp_path_factory.mktemp("oracles"))

    return of


@pytest.fixture(scope="session")
def sites() -> dict[str, Site]:
    """Sites that a test has published and read before."""
    return {}


@pytest.fixture
def site(
    name: str,
    encoded: Callable[[str], Transcoded],
    sites: dict[str, Site],
    tmp_path_factory: pytest.TempPathFactory,
    db: None,
) -> Site:
    if name not in sites:
        found = encoded(name)
        folder = write_site(published(found), found, tmp_path_factory.mktemp("site") / "site")
        sites[name] = Site(found=found, folder=folder, read=read_site(folder))
    return sites[name]
