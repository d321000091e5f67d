"""Make a file of segments: of one video rendition, if there is one, and of all audio; or of one audio rendition."""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from execution.pipes import Feed
from execution.scratch import temporary_folder
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import StepWork
from jobs.lifecycle.outcomes import step_complete_assets
from storage.keys import M4A_NAME, MP4_NAME, asset_key, run_prefix
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.remux import MP4_TARGET, VIDEO_INPUT, m4a_command, mp4_command
from transcoding.containers.boxes import MalformedBoxes, Track, front_index, media_bytes, read_init, read_tracks
from transcoding.containers.verification import verify_mp4
from transcoding.errors import VerificationFailed
from transcoding.languages import language_tag
from transcoding.planning.plan import EncodePlan
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
    file = _file(plan, AssetKind(work.claim.payload.get("asset", AssetKind.MP4)), name)
    rows = {rendition.name: rendition for rendition in work.renditions}
    tracks = {target: _StoredTrack(rows[row], tools, control) for target, row in file.renditions.items()}
    prefix = run_prefix(work.video.id, generation.number, name, work.claim.step_id, work.claim.attempt)
    key = asset_key(prefix, file.object_name)
    with temporary_folder(tools.scratch, "remux-") as folder:
        path = folder / file.object_name
        feeds = {track: stored.feed() for track, stored in tracks.items()}
        report = tools.ffmpeg.run(file.command, {MP4_TARGET: path}, inputs=feeds, stop=control, on_frames=control.moved)
        _verify(name, path, [track.coded() for track in tracks.values()])
        digest = _digest(path, control)
        stored = tools.store.put_file(key, path, file.media_type, control.moved)
    asset = AssetFacts(
        kind=file.kind,
        name=name,
        rendition_id=rows[name].id,
        language=file.language,
        media_type=file.media_type,
        key=key,
        size_bytes=stored.size,
        sha256=digest,
        width=rows[name].width,
        height=rows[name].height,
        duration=float(plan.grid.duration),
    )
    result = {"seconds": round(report.seconds, 3)}
    try:
        retry_write(lambda: step_complete_assets(claim=work.claim, assets=[asset], result=result), control)
    except LeaseLost:
        tools.store.delete([key])
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file to make: the command for it, and the renditions that its inputs are, by the names that it has for them."""

    kind: AssetKind
    command: FfmpegCommand
    renditions: Mapping[str, str]
    object_name: str
    media_type: str
    language: str = ""


def _file(plan: EncodePlan, kind: AssetKind, name: str) -> _File:
    audio = {track.name: track.name for track in plan.audio}
    if kind is AssetKind.M4A:
        track = next(track for track in plan.audio if track.name == name)
        return _File(
            kind=kind,
            command=m4a_command(track),
            renditions={name: name},
            object_name=M4A_NAME,
            media_type=AUDIO_CONTENT_TYPE,
            language=language_tag(track.language),
        )
    return _File(
        kind=kind,
        command=mp4_command(plan),
        renditions=audio if plan.audio_only else {VIDEO_INPUT: name, **audio},
        object_name=MP4_NAME,
        media_type=AUDIO_CONTENT_TYPE if plan.audio_only else MP4_CONTENT_TYPE,
    )


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
