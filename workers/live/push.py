"""Sending a broadcast on to servers of other people, as it arrives."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from outbound.addresses import Reach
from outbound.errors import OutboundError
from outbound.rtmp import PublishWriter, publish
from outbound.urls import url_host
from transcoding.flv.clock import Clock
from transcoding.flv.tags import FlvTag, TagKind
from transcoding.rtmp.client import PublishEnded
from workers.live.intake import Intake, Item

log = logging.getLogger(__name__)

State = Literal["waiting", "connecting", "sending", "failed"]

_PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses before further attempts to connect; the last one is that of all others."""
_STEADY_SECONDS = 30.0
"""Time after which a connection is one that works: the pauses begin with the first one again."""
_CONNECT_SECONDS = 10.0
_STALL_SECONDS = 10.0
_MAX_BYTES = 16 << 20
_MAX_SECONDS = 6.0
_WAIT_SECONDS = 0.5
_LEAVE_SECONDS = 2.0
_LEFT_OUT = "…"


class Pushes:
    """The destinations of one broadcast. A context manager, for the thread that reads the stream and for others."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._lock = threading.Lock()
        self._headers: dict[TagKind, FlvTag] = {}
        self._destinations: dict[str, _Destination] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.follow(())

    def follow(self, destinations: Sequence[Mapping[str, Any]]) -> None:
        """Begin with destinations (`id`, `url`) that are new, and end those that are missing."""
        urls = {each["id"]: each["url"] for each in destinations}
        with self._lock:
            ended = [self._destinations.pop(key) for key in self._destinations.keys() - urls.keys()]
            for key in urls.keys() - self._destinations.keys():
                self._destinations[key] = _Destination(urls[key], self._reach, self._newest_headers)
        for destination in ended:
            destination.close()
        for destination in ended:
            destination.join()

    def offer(self, item: Item) -> None:
        """Send on what has just arrived. Never waits, and never raises."""
        with self._lock:
            if isinstance(item, FlvTag) and item.is_header:
                known = self._headers.get(item.kind)
                self._headers[item.kind] = item
                if item.kind == TagKind.DATA or (known and known.data == item.data):
                    return  # each connection begins with them
            for destination in self._destinations.values():
                destination.queue.put(item)

    def states(self) -> dict[str, dict[str, Any]]:
        """Return the state of each destination by its id."""
        with self._lock:
            return {key: destination.state() for key, destination in self._destinations.items()}

    def _newest_headers(self) -> list[FlvTag]:
        with self._lock:
            return [
                self._headers[kind] for kind in (TagKind.DATA, TagKind.VIDEO, TagKind.AUDIO) if kind in self._headers
            ]


class _Destination:
    """One server, and the thread that sends to it. A slow one loses whole GOPs, and holds up nobody."""

    def __init__(self, url: str, reach: Reach, headers: Callable[[], list[FlvTag]]) -> None:
        self.queue = Intake(max_bytes=_MAX_BYTES, max_seconds=_MAX_SECONDS)
        self._url = url
        self._reach = reach
        self._headers = headers
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._writer: PublishWriter | None = None
        self._state: State = "waiting"
        self._error = ""
        self._since = datetime.now(UTC)
        self._thread = threading.Thread(target=self._run, name="live-push", daemon=True)
        self._thread.start()

    def state(self) -> dict[str, Any]:
        return {
            "state": self._state,
            "error": self._error,
            "since": self._since.isoformat(),
            "dropped_frames": self.queue.dropped_frames,
        }

    def close(self) -> None:
        """End it. What waits is not sent."""
        self._over.set()
        with self._lock:
            if self._writer:
                self._writer.close()

    def join(self) -> None:
        """Wait for the thread, but not for a server that is just being connected to: the thread ends by itself then."""
        self._thread.join(_LEAVE_SECONDS)

    def _run(self) -> None:
        failures = 0
        while not self._over.is_set():
            started_at = time.monotonic()
            try:
                self._send()
                failures = 0
                continue
            except OutboundError as error:
                problem = self._without_key(str(error))
            except Exception:
                log.exception("a broadcast cannot be sent on", extra={"event": "live_push_broke", "host": self._host})
                problem = "internal error"
            if self._over.is_set():
                return
            if time.monotonic() - started_at > _STEADY_SECONDS:
                failures = 0
            self._become("failed", problem)
            log.warning(
                "a broadcast is not sent on",
                extra={"event": "live_push_failed", "host": self._host, "error": problem, "failures": failures + 1},
            )
            self._pause(_PAUSES_SECONDS[min(failures, len(_PAUSES_SECONDS) - 1)])
            failures += 1

    def _pause(self, seconds: float) -> None:
        """Wait, and forget what comes meanwhile."""
        ends_at = time.monotonic() + seconds
        while not self._over.is_set() and (left := ends_at - time.monotonic()) > 0:
            self.queue.get(min(left, _WAIT_SECONDS))

    def _send(self) -> None:
        """Wait for a key frame, connect, and send until the publisher leaves. Raises OutboundError."""
        first = self._next_keyframe()
        if first is None:
            return
        if self._state != "failed":
            self._become("connecting")
        writer = publish(self._url, reach=self._reach, connect_seconds=_CONNECT_SECONDS, stall_seconds=_STALL_SECONDS)
        with self._lock:
            self._writer = writer
        try:
            self._send_from(first, writer)
        finally:
            with self._lock:
                self._writer = None
            writer.end()

    def _send_from(self, first: FlvTag, writer: PublishWriter) -> None:
        clock = Clock(first)
        for header in self._headers():
            writer.send(FlvTag(header.kind, 0, header.data))
        self._relay(first, clock, writer)
        self._become("sending")
        while not self._over.is_set():
            arrival = self.queue.get(_WAIT_SECONDS)
            if arrival is None:
                continue
            if isinstance(arrival.item, PublishEnded):
                self._become("waiting")
                return
            if isinstance(arrival.item, FlvTag):
                self._relay(arrival.item, clock, writer)

    def _relay(self, tag: FlvTag, clock: Clock, writer: PublishWriter) -> None:
        if tag.is_frame:
            time_ms = clock.time_of(tag)
            if time_ms >= 0:
                writer.send(FlvTag(tag.kind, time_ms, tag.data))
        elif tag.is_sequence_header:
            writer.send(FlvTag(tag.kind, clock.head_ms, tag.data))

    def _next_keyframe(self) -> FlvTag | None:
        while not self._over.is_set():
            arrival = self.queue.get(_WAIT_SECONDS)
            if arrival is not None and isinstance(arrival.item, FlvTag) and arrival.item.is_keyframe:
                return arrival.item
        return None

    def _become(self, state: State, error: str = "") -> None:
        if (state, error) != (self._state, self._error):
            self._state, self._error, self._since = state, error, datetime.now(UTC)

    @property
    def _host(self) -> str:
        return url_host(self._url)

    def _without_key(self, text: str) -> str:
        """Return what a server said without the parts of the URL behind its host: they are secrets."""
        parts = urlsplit(self._url)
        for secret in sorted({*parts.path.split("/"), *parts.query.split("&"), parts.path, parts.query}, key=len)[::-1]:
            if secret:
                text = text.replace(secret, _LEFT_OUT)
        return text
