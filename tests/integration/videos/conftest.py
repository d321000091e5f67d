"""The API on a real ASGI server, the real database and the real store."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
import uvicorn
from django.conf import settings

from access.wiring import party_turns
from api.asgi import App
from api.connections import BoundedHttp
from api.threads import THREADS, DjangoInThreads
from embedded.servers import SeaweedFS
from storage.protocol import ObjectStore
from tests.conformance import Answer, published
from tests.rows import a_key
from transcoder_site.routes import site
from videos.playback import wiring


@contextmanager
def serving(app: App) -> Iterator[httpx2.Client]:
    """Serve an application from a thread; the client's base address is the server's, and it has a key."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does so for sockets that it made
        server = uvicorn.Server(
            uvicorn.Config(app, http=BoundedHttp, lifespan="off", log_level="critical", proxy_headers=False)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            headers = {"X-API-Key": a_key()}
            hooks = {"response": [conforms]}
            with httpx2.Client(
                base_url=base_url, headers=headers, trust_env=False, event_hooks=hooks, timeout=120
            ) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def conforms(response: httpx2.Response) -> None:
    """Hold a response to the schema, also one that Django has no part in. Raises Undocumented."""
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if response.request.url.path.startswith("/api/v1/") and response.request.method != "OPTIONS":
        body = b"" if media_type == "text/event-stream" else response.read()
        request = response.request
        published().check(Answer(request.method, request.url.path, response.status_code, media_type, body))


@pytest.fixture
def store(s3_server: SeaweedFS) -> Iterator[ObjectStore]:
    """The site's own store, with nothing of a video in it."""
    store = wiring.store()
    store.prepare()
    store.delete_prefix("videos/")
    yield store
    for upload in list(store.list_multiparts("videos/")):
        store.abort_multipart(upload.key, upload.upload_id)


def a_site() -> App:
    """The whole site as transcoder_site.asgi puts it together, but without its pool of database connections."""
    return site(django_app(), settings.TRANSCODER.site)


def django_app() -> App:
    return DjangoInThreads(party_turns(threads=THREADS))


@pytest.fixture
def api(store: ObjectStore, transactional_db: None) -> Iterator[httpx2.Client]:
    """The whole site, served."""
    with serving(a_site()) as client:
        yield client


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
