"""Make a progressive MP4: the segments of one video rendition, if there is one, and of all audio, in one file."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from execution.ffmpeg import Feed
from execution.scratch import temporary_folder
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import StepWork
from jobs.lifecycle.outcomes import step_complete_assets
from storage.keys import MP4_NAME, asset_key, run_prefix
from transcoding.commands.remux import MP4_TARGET, VIDEO_INPUT, mp4_command
from transcoding.containers.boxes import MalformedBoxes, Track, front_index, media_bytes, read_init, read_tracks
from transcoding.containers.verification import verify_mp4
from transcoding.errors import VerificationFailed
from videos.assets.services import AssetFacts
from videos.models import Rendition
from videos.selectors import published_prefix
from videos.states import AssetKind
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.steps.publishing import plan_of
from workers.tools import Tools

MP4_CONTENT_TYPE, AUDIO_CONTENT_TYPE = "video/mp4", "audio/mp4"
_BLOCK_BYTES = 1 << 20


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Feed ffmpeg from the store, so that the file itself is all that lies in scratch; verify it, and store it."""
    generation, plan = plan_of(work)
    name = work.claim.payload["rendition"]
    rows = {rendition.name: rendition for rendition in work.renditions}
    videos = {} if plan.audio_only else {VIDEO_INPUT: rows[name]}
    tracks = {target: _StoredTrack(row, tools, control) for target, row in videos.items()}
    tracks |= {track.name: _StoredTrack(rows[track.name], tools, control) for track in plan.audio}
    prefix = run_prefix(work.video.id, generation.number, name, work.claim.step_id, work.claim.attempt)
    key, media_type = asset_key(prefix, MP4_NAME), AUDIO_CONTENT_TYPE if plan.audio_only else MP4_CONTENT_TYPE
    with temporary_folder(tools.scratch, "remux-") as folder:
        path = folder / MP4_NAME
        feeds = {track: stored.feed() for track, stored in tracks.items()}
        report = tools.ffmpeg.run(
            mp4_command(plan), {MP4_TARGET: path}, inputs=feeds, stop=control, on_frames=control.moved
        )
        _verify(name, path, [track.coded() for track in tracks.values()])
        digest = _digest(path, control)
        stored = tools.store.put_file(key, path, media_type, control.moved)
    mp4 = AssetFacts(
        kind=AssetKind.MP4,
        name=name,
        rendition_id=rows[name].id,
        media_type=media_type,
        key=key,
        size_bytes=stored.size,
        sha256=digest,
        width=rows[name].width,
        height=rows[name].height,
        duration=float(plan.grid.duration),
    )
    result = {"seconds": round(report.seconds, 3)}
    try:
        retry_write(lambda: step_complete_assets(claim=work.claim, assets=[mp4], result=result), control)
    except LeaseLost:
        tools.store.delete([key])
        raise


class _StoredTrack:
    """One rendition's encoded track in the store, and what was counted of it while it was fed."""

    def __init__(self, rendition: Rendition, tools: Tools, control: StepControl) -> None:
        self._rendition = rendition
        self._segments = published_prefix(rendition)
        self._store = tools.store
        self._ahead = tools.config.storage.parallel_parts
        self._moved = control.moved
        self._init = b""
        self._media_bytes = 0

    def feed(self) -> Feed:
        """Yield the init segment and every segment. Raises VerificationFailed unless their digests are as published."""
        self._init = self._get(self._rendition.init_key, self._rendition.init_sha256)
        yield self._init
        for data in self._segments_ahead():
            self._media_bytes += media_bytes(data)
            yield data

    def coded(self) -> Track:
        """Return the track that a file of all these segments must have."""
        init = read_init(self._init)
        return Track(
            timescale=init.timescale,
            codecs=init.codecs,
            samples=sum(segment.frames for segment in self._segments),
            ticks=sum(segment.duration for segment in self._segments),
            size=self._media_bytes,
            edit_start=init.edit_start,
        )

    def _segments_ahead(self) -> Iterator[bytes]:
        """Yield the segments in order. The next few are fetched meanwhile, as each costs a round trip."""
        coming: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(self._ahead, thread_name_prefix="fetch") as pool:
            for segment in self._segments:
                coming.append(pool.submit(self._get, segment.key, segment.digest))
                if len(coming) == self._ahead:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()

    def _get(self, key: str, digest: str) -> bytes:
        data = self._store.get(key)
        self._moved(len(data))
        if hashlib.sha256(data).hexdigest() != digest:
            raise VerificationFailed(f"{key} is not what was published")
        return data


def _verify(name: str, path: Path, coded: Sequence[Track]) -> None:
    """Compare the file's index with the segments. Raises VerificationFailed at a frame, tick or byte of difference."""
    try:
        with path.open("rb") as file:
            found = read_tracks(front_index(file))
    except MalformedBoxes as error:
        raise VerificationFailed(f"{name}: {error}") from error
    verify_mp4(name, found, coded)


def _digest(path: Path, control: StepControl) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            control.moved(len(block))
            digest.update(block)
    return digest.hexdigest()
