"""Getting finished segments to players: uploaded as they are made, published as runs every few seconds."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

from jobs.leasing.leases import LeaseLost
from jobs.rules.playable import MAX_SEGMENTS
from storage.keys import init_key, segment_key
from storage.protocol import Bytes, StoredObject
from transcoding.containers.segments import Keyframe, Segment
from videos.runs import RunFacts

SEGMENT_CONTENT_TYPE = "video/iso.segment"
INIT_CONTENT_TYPE = "video/mp4"
MAX_IN_FLIGHT = 4
"""Uploads of one rendition at a time. Beyond, ffmpeg waits for the store."""


@dataclass(frozen=True, slots=True)
class _Uploaded:
    """Facts of an uploaded segment, without its bytes."""

    duration: int
    size: int
    digest: str
    frames: int
    keyframes: tuple[Keyframe, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Key prefix of an attempt's segments of one rendition, and the init segment that is published already, if any."""

    rendition_id: UUID
    prefix: str
    init_key: str = ""
    init_sha256: str = ""


@dataclass
class _Track:
    """One rendition of this attempt, and its segments whose upload was started, in order."""

    destination: Destination
    init_key: str = ""
    init_sha256: str = ""
    init_upload: Future[object] | None = None
    pending: deque[Future[_Uploaded]] = field(default_factory=deque)

    def ready(self) -> int:
        """Return how many of the next segments are in the store. Raises what an upload raised."""
        count = 0
        for upload in self.pending:
            if not upload.done():
                break
            upload.result()
            count += 1
        return count


class SegmentStore(Protocol):
    """The part of an object store that publishing needs."""

    def put(self, key: str, data: Bytes, content_type: str) -> StoredObject:
        """See `ObjectStore`."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStore`."""
        ...


class Publisher:
    """Uploads the segments of one attempt, and publishes those that are stored in all of its renditions.

    `publish` writes the runs and the number of finished segments, fenced; what it raises ends the attempt. The end of
    the context deletes everything that was uploaded and never published.
    """

    def __init__(  # noqa: PLR0913 - wired in one place, by name
        self,
        *,
        store: SegmentStore,
        destinations: Mapping[str, Destination],
        first_segment: int,
        publish: Callable[[Sequence[RunFacts], int], None],
        every_seconds: float,
        moved: Callable[[int], None],
        parallel: int,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        self._store = store
        self._tracks = {name: _Track(destination) for name, destination in destinations.items()}
        self._next = first_segment
        self._publish = publish
        self._every_seconds = every_seconds
        self._moved = moved
        self._max_in_flight = max_in_flight
        self._published_at = -every_seconds
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="upload")
        self._unpublished: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._unpublished:
            self._store.delete(self._unpublished)

    def submit(self, name: str, segment: Segment, init: bytes) -> None:
        """Start to upload a segment of a rendition. Waits while too many uploads are in progress."""
        track = self._tracks[name]
        if not track.init_sha256:
            self._submit_init(track, init)
        while len(track.pending) - track.ready() >= self._max_in_flight:
            track.pending[track.ready()].exception()
        key = segment_key(track.destination.prefix, segment.number)
        self._unpublished.add(key)
        track.pending.append(self._pool.submit(self._upload, key, segment, track.init_upload))

    def poll(self) -> None:
        """Publish what is in the store, if it is time; the first segments of a video do not wait."""
        if self._next < MAX_SEGMENTS or time.monotonic() - self._published_at >= self._every_seconds:
            self._publish_ready()

    def flush(self) -> None:
        """Wait for all uploads and publish the rest."""
        for track in self._tracks.values():
            for upload in track.pending:
                upload.result()
        self._publish_ready()

    def _submit_init(self, track: _Track, init: bytes) -> None:
        """Upload the init segment unless it is in the store: it is the same for all chunks, mostly there already."""
        track.init_sha256, known = sha256(init).hexdigest(), track.destination
        if track.init_sha256 == known.init_sha256:
            track.init_key = known.init_key
            return
        track.init_key = init_key(known.prefix)
        self._unpublished.add(track.init_key)
        track.init_upload = self._pool.submit(self._store.put, track.init_key, init, INIT_CONTENT_TYPE)

    def _upload(self, key: str, segment: Segment, init_upload: Future[object] | None) -> _Uploaded:
        """Upload a segment. It counts as stored once its init segment is, whose upload was submitted before."""
        self._store.put(key, segment.data, SEGMENT_CONTENT_TYPE)
        if init_upload:
            init_upload.result()
        self._moved(len(segment.data))
        return _Uploaded(segment.duration, len(segment.data), segment.digest, segment.frames, segment.keyframes)

    def _publish_ready(self) -> None:
        count = min(track.ready() for track in self._tracks.values())
        if not count:
            return
        runs = [self._run(track, count) for track in self._tracks.values()]
        keys = self._keys(count) & self._unpublished
        # From here on the runs may be published, whatever is raised: a connection can break after the commit. `finish`
        # deletes what no row names; what players know of must never be deleted.
        self._unpublished -= keys
        try:
            self._publish(runs, count)
        except LeaseLost:
            self._unpublished |= keys
            raise
        self._advance(count)

    def _run(self, track: _Track, count: int) -> RunFacts:
        uploads = [upload.result() for upload, _ in zip(track.pending, range(count), strict=False)]
        return RunFacts(
            rendition_id=track.destination.rendition_id,
            key_prefix=track.destination.prefix,
            first_segment=self._next,
            durations=tuple(upload.duration for upload in uploads),
            sizes=tuple(upload.size for upload in uploads),
            digests=tuple(upload.digest for upload in uploads),
            frames=tuple(upload.frames for upload in uploads),
            keyframes=tuple(upload.keyframes for upload in uploads if upload.keyframes),
            init_key=track.init_key,
            init_sha256=track.init_sha256,
        )

    def _keys(self, count: int) -> set[str]:
        """The objects that the next runs point to."""
        tracks, numbers = self._tracks.values(), range(self._next, self._next + count)
        segments = {segment_key(track.destination.prefix, number) for track in tracks for number in numbers}
        return segments | {track.init_key for track in tracks}

    def _advance(self, count: int) -> None:
        for track in self._tracks.values():
            for _ in range(count):
                track.pending.popleft()
        self._next += count
        self._published_at = time.monotonic()
