from tests.integration.videos.conftest import api, store

__all__ = ["api", "store"]  # the whole site, served; and its store
