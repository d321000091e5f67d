"""A broadcast that is played from this process."""

import asyncio
import gzip
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from django.db import DatabaseError, InterfaceError

from api.asgi import in_thread
from coordination.live_parts import Parts
from livestreams.playback.reading import BroadcastRows, Run, broadcast_read, plan_read, runs_read
from livestreams.playback.timeline import LiveTimeline
from livestreams.playback.windows import live_dash, live_master, live_media
from transcoding.planning.plan import EncodePlan

MIN_COMPRESSED_BYTES = 300
"""Smaller texts grow, or save nothing that is worth the time."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rendered:
    """A manifest as it is sent to everybody."""

    text: bytes
    etag: str

    @classmethod
    def of(cls, text: str) -> "Rendered":
        data = text.encode()
        return cls(data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')

    @cached_property
    def compressed(self) -> bytes | None:
        """The text by gzip, made for the first who accepts it. None: it is too short."""
        return gzip.compress(self.text, 6, mtime=0) if len(self.text) >= MIN_COMPRESSED_BYTES else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Functions that read a broadcast. Those of rows raise DatabaseError or InterfaceError."""

    plan: Callable[[UUID], EncodePlan] = plan_read
    rows: Callable[[UUID], BroadcastRows | None] = broadcast_read
    runs: Callable[[Mapping[UUID, int]], Iterable[Run]] = runs_read
    parts: Callable[[UUID], Awaitable[Parts]]


class LiveChannel:
    """Reads what is new of a broadcast when it is poked, renders each manifest once per change, and wakes players."""

    def __init__(self, generation_id: UUID, timeline: LiveTimeline, sources: Sources) -> None:
        self.generation_id = generation_id
        self.timeline = timeline
        self.gone = False
        """It is not to be played any more."""
        self.was_over = timeline.rows.over
        """It was over when it was opened: nobody here saw its end."""
        self.used_at = time.monotonic()
        self.read_at = 0.0
        self._sources = sources
        self._rendered: dict[object, Rendered] = {}
        self._changed: asyncio.Future[None] | None = None
        self._rows_due = self._parts_due = False
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def opened(cls, generation_id: UUID, sources: Sources) -> "LiveChannel | None":
        """Read a broadcast. None: there is no such one, or it is not to be played."""
        rows = await in_thread(sources.rows, generation_id)
        if rows is None:
            return None
        plan = await in_thread(sources.plan, generation_id)
        channel = cls(generation_id, LiveTimeline(plan, rows), sources)
        await channel._read(rows=True)
        return channel

    def poke(self, *, rows: bool) -> None:
        """Have it read what is new: rows and parts, or parts only."""
        self._rows_due |= rows
        self._parts_due = True
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_all())

    async def until(self, reached: Callable[[], bool], *, seconds: float) -> bool:
        """Wait until something is true of the timeline, or it is not to be played any more; False: not in that time."""
        until = time.monotonic() + seconds
        while not reached() and not self.gone:
            if self._changed is None:
                self._changed = asyncio.get_running_loop().create_future()
            left = until - time.monotonic()
            if left <= 0:
                return False
            await asyncio.wait([self._changed], timeout=left)
        return True

    def master(self, folder: str) -> Rendered:
        return self._once(("master", folder), lambda: live_master(self.timeline, folder))

    def dash(self, base: str) -> Rendered:
        return self._once(("dash", base), lambda: live_dash(self.timeline, base))

    def playlist(self, name: str, *, skip: bool) -> Rendered | None:
        """Return the playlist of a rendition. None: it is not made, or not any more."""
        track = self.timeline.track(name)
        if track is None:
            return None
        return self._once((name, skip), lambda: live_media(self.timeline, track, skip=skip))

    def _once(self, key: object, render: Callable[[], str]) -> Rendered:
        found = self._rendered.get(key)
        if found is None:
            found = self._rendered[key] = Rendered.of(render())
        return found

    async def _read_all(self) -> None:
        while self._rows_due or self._parts_due:
            rows, self._rows_due, self._parts_due = self._rows_due, False, False
            try:
                await self._read(rows=rows)
            except (DatabaseError, InterfaceError) as error:
                log.warning("live rows not read: %s", error, extra={"event": "live_rows_unread"})
            except Exception:  # nothing else would notice the end of this task
                log.exception("live rows not read", extra={"event": "live_rows_unread"})

    async def _read(self, *, rows: bool) -> None:
        timeline = self.timeline
        before = _state(timeline)
        parts = await self._sources.parts(self.generation_id) if timeline.plan.part_frames else {}
        if rows:
            found, runs = await in_thread(self._read_rows)
            if found is None:
                self.gone = True
            else:
                timeline.rows = found
                timeline.add(runs)
            self.read_at = time.monotonic()
        timeline.parts = parts
        if self.gone or _state(timeline) != before:
            self._rendered.clear()
            if self._changed is not None:
                self._changed.set_result(None)
                self._changed = None

    def _read_rows(self) -> tuple[BroadcastRows | None, Iterable[Run]]:
        rows = self._sources.rows(self.generation_id)
        return rows, self._sources.runs(self.timeline.following(rows)) if rows else ()


def _state(timeline: LiveTimeline) -> object:
    """Return a value that is another one after each change that manifests show."""
    ends = {track.name: timeline.segments(track.name).end for track in timeline.rows.tracks}
    return timeline.rows, ends, timeline.parts
