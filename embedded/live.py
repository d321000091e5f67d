"""The live streams of `make live`: one on which a test pattern is on the air, and one for the camera of its user."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from embedded.client import Client, Json
from embedded.home import Home
from embedded.pattern import Pattern
from execution.daemons import DaemonError, log_tail

START_SECONDS = 60.0
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Channel:
    """A live stream of this home, with its key."""

    document: Json
    stream_key: str


def channel(home: Home, client: Client, name: str, **request: object) -> Channel:
    """Find or create the live stream of this name."""
    known, key = home.find_secret(f"livestream-{name}"), home.find_secret(f"stream-key-{name}")
    if known and key and (document := client.livestream(known)):
        return Channel(document, key)
    created = client.create_livestream({"name": name, "latency": "low", **request})
    key = created["ingest"]["stream_key"]
    home.store_secret(f"livestream-{name}", created["id"])
    home.store_secret(f"stream-key-{name}", key)
    return Channel(created, key)


def publish_pattern(home: Home, client: Client, ingest_url: str, check: Callable[[], None]) -> Channel:
    """Publish the test pattern and wait until it can be watched. `check` is called meanwhile and raises to end that.

    Raises DaemonError when the pattern ends, or takes more than a minute.
    """
    found = channel(home, client, "test pattern", record=False)
    pattern = Pattern(home, url=f"{ingest_url}/{found.stream_key}")
    pattern.start()
    deadline = time.monotonic() + START_SECONDS
    while True:
        document = client.livestream(found.document["id"])
        state = document["state"] if document else "deleted"
        if document and state == "live":
            return Channel(document, found.stream_key)
        check()
        if not pattern.running() or time.monotonic() > deadline:
            raise DaemonError(f"the test pattern is not on the air ({state}); its log:\n{log_tail(pattern.log)}")
        time.sleep(POLL_SECONDS)
