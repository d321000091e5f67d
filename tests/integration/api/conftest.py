from tests.integration.coordination.conftest import caching
from tests.integration.videos.conftest import api, store

__all__ = ["api", "caching", "store"]  # the whole site, served; with its cache; and its store
