"""The API on a real ASGI server, the real database and the real store."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest
import uvicorn

from api.asgi import App
from embedded.servers import SeaweedFS
from storage.protocol import ObjectStore
from videos import wiring

Serve = Callable[[App], AbstractContextManager[httpx.Client]]


@contextmanager
def serving(app: App) -> Iterator[httpx.Client]:
    """Serve an application from a thread; the client's base address is the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def store(s3_server: SeaweedFS) -> Iterator[ObjectStore]:
    """The site's own store, with nothing of a video in it."""
    store = wiring.store()
    store.prepare()
    store.delete_prefix("videos/")
    yield store
    for upload in list(store.list_multiparts("videos/")):
        store.abort_multipart(upload.key, upload.upload_id)


@pytest.fixture
def api(store: ObjectStore, transactional_db: None) -> Iterator[httpx.Client]:
    """The whole site, as it is served."""
    from transcoder_site.asgi import application  # the settings must name running servers first

    with serving(application) as client:
        yield client


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
