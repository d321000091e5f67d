"""Make the source of a video that joins others: each part alone, then all of them behind each other."""

import hashlib
import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

from execution.scratch import temporary_folder
from jobs.leasing.steps import StepWork
from jobs.lifecycle.joining import joined_sources, video_joined
from storage.errors import StorageError
from storage.keys import joined_key, joined_prefix
from storage.protocol import ObjectStore
from transcoding.commands.joining import JOINED_TARGET, PART_TARGET, TIMESCALE, join_command, part_command
from transcoding.commands.steady_audio import STEADY_TARGET, steady_audio_command
from transcoding.errors import (
    EncoderFailed,
    InputChanged,
    InputRejected,
    PartGone,
    ResourceExceeded,
    VerificationFailed,
)
from transcoding.planning.joining import JoinedPart, JoinPlan, plan_join
from transcoding.probing.facts import SourceFacts
from transcoding.probing.timing import parse_packets
from transcoding.sniffing.container import DEMUXERS
from videos.models import Video
from videos.parts import JoinedSource
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.steps.indexing import moving
from workers.tools import Tools

_CONTENT_TYPES = {"mp4": "video/mp4", "mov": "video/quicktime"}
_ROUNDING_TICKS = TIMESCALE // 500
"""2 ms: the clock of Matroska has whole milliseconds, and frames of a varying rate end anywhere."""

log = logging.getLogger(__name__)


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Join the parts, store the result under a key of this attempt's own, and have it inspected."""
    video, claim = work.video, work.claim
    sources = retry_write(lambda: joined_sources(video), control)
    with _joined(sources, tools, control) as (path, plan):
        key = joined_key(video.id, claim.step_id, claim.attempt)
        stored = tools.store.put_file(key, path, _CONTENT_TYPES[plan.container], control.moved)
        joined = JoinedSource(key=key, size_bytes=stored.size, etag=stored.etag, sha256=_digest(path, control))
    copied = sum(part.copied for part in plan.parts)
    result = {"copied": copied, "encoded": len(plan.parts) - copied}
    retry_write(lambda: video_joined(claim=claim, source=joined, parts=plan.parts, result=result), control)
    # Only now: an attempt that has lost its lease does not get here, and would delete what another one has recorded.
    _remove_lost(tools.store, video, key)


def _remove_lost(store: ObjectStore, video: Video, key: str) -> None:
    """Remove what other attempts have stored, which were lost before they ended.

    The step is done, whatever happens here: what is left goes with the source.
    """
    try:
        store.delete([left.key for left in store.list(joined_prefix(video.id)) if left.key != key])
    except StorageError as error:
        log.warning("files of lost attempts stay", extra={"event": "lost_attempts_kept", "reason": str(error)})


@contextmanager
def _joined(sources: Sequence[Video], tools: Tools, control: StepControl) -> Iterator[tuple[Path, JoinPlan]]:
    """Yield the joined file, and the plan by which it was joined."""
    facts = [SourceFacts.from_json(source.facts) for source in sources]
    not_copied: frozenset[int] = frozenset()
    while True:  # a part that fails is not copied any more
        plan = plan_join(facts, tools.policy.plan, not_copied=not_copied)
        with temporary_folder(tools.scratch, "join-") as folder:
            try:
                path = Joining(plan, tools, control).join(sources, folder)
            except NotCopied as failed:
                not_copied |= failed.numbers
                continue
            yield path, plan
            return


@dataclass(slots=True, kw_only=True)
class _Frames:
    """The frames of a file: how many are shown and hidden, and the first and last time of one, in ticks."""

    first: int
    last: int
    count: int = 0
    hidden: int = 0

    def with_frame(self, time: int, *, hidden: bool) -> Self:
        self.count += not hidden
        self.hidden += hidden
        self.first, self.last = min(self.first, time), max(self.last, time)
        return self


class NotCopied(Exception):
    """Parts have to be encoded again that the plan has copied; `numbers` are their positions."""

    def __init__(self, numbers: Collection[int]) -> None:
        super().__init__(f"parts cannot be copied: {sorted(numbers)}")
        self.numbers = frozenset(numbers)


class Joining:
    """The runs of ffmpeg that join sources by a plan."""

    def __init__(self, plan: JoinPlan, tools: Tools, control: StepControl) -> None:
        self._plan = plan
        self._tools = tools
        self._control = control
        self._left = tools.policy.max_source_bytes

    def join(self, sources: Sequence[Video], folder: Path) -> Path:
        """Join sources into a file of the folder.

        Raises:
            NotCopied: Packets of parts would not play as these do. Nothing was encoded before that was found.
            PartGone: The source of a part is not there any more.

        """
        paths = [folder / f"part-{number}.{self._plan.container}" for number in range(len(sources))]
        packets = sum(self._copied(sources, paths).values())
        for number, part in enumerate(self._plan.parts):
            if not part.copied:
                packets += self._part(sources[number], number, paths[number])
                self._control.advanced(number + 1, len(sources) + 1)
        joined = folder / f"joined.{self._plan.container}"
        self._left = self._tools.policy.max_source_bytes
        self._tools.ffmpeg.run(
            join_command(self._plan, [path.name for path in paths]),
            {JOINED_TARGET: joined},
            stop=self._control,
            output_bytes=2 * self._left,  # the folder has the parts, too
            on_frames=lambda _: self._control.moved(),
        )
        self._take(joined)
        if (there := self._frames(joined).count) != packets:
            raise VerificationFailed(f"the joined video has {there} frames; its parts have {packets}")
        return joined

    def _copied(self, sources: Sequence[Video], paths: Sequence[Path]) -> dict[int, int]:
        """Copy all parts that are to be copied, and return their numbers of frames. Raises NotCopied."""
        counts: dict[int, int] = {}
        failed: set[int] = set()
        for number, part in enumerate(self._plan.parts):
            if part.copied:
                try:
                    counts[number] = self._part(sources[number], number, paths[number])
                except (PartGone, ResourceExceeded):
                    raise
                except (InputRejected, EncoderFailed, VerificationFailed) as reason:
                    detail = {"event": "part_not_copied", "part": number, "reason": str(reason)}
                    log.info("a part cannot be copied", extra=detail)
                    failed.add(number)
        if failed:
            raise NotCopied(failed)
        return counts

    def _part(self, source: Video, number: int, path: Path) -> int:
        """Write a part into a file, and return the number of its frames."""
        part = self._plan.parts[number]
        with self._opened(source, part, number) as (copy, steady):
            return self._write(part, copy, steady, path)

    @contextmanager
    def _opened(self, source: Video, part: JoinedPart, number: int) -> Iterator[tuple[Path, str]]:
        """Yield the working copy of a part's source, and its audio in steady samples where that is needed."""
        reader = self._tools.source_reader(source, self._control)
        with ExitStack() as stack:
            try:
                copy = stack.enter_context(reader.whole(part.plan.source))
            except InputChanged as error:
                raise PartGone(f"the source of part {number + 1} is not there any more") from error
            track = self._plan.track(part)
            changing = {stream.index for stream in part.plan.source.audio if stream.changes}
            if track is None or track.stream not in changing:
                yield copy.path, ""
                return
            steady = stack.enter_context(temporary_folder(self._tools.scratch, "steady-")) / "steady.mkv"
            self._tools.ffmpeg.run(
                steady_audio_command(part.plan, track, str(copy.path)),
                {STEADY_TARGET: steady},
                stop=self._control,
                on_frames=lambda _: self._control.moved(),
            )
            yield copy.path, str(steady)

    def _write(self, part: JoinedPart, source: Path, steady: str, path: Path) -> int:
        threads = self._tools.config.execution.ffmpeg_threads
        self._tools.ffmpeg.run(
            part_command(self._plan, part, str(source), steady=steady, threads=threads),
            {PART_TARGET: path},
            stop=self._control,
            output_bytes=2 * self._tools.policy.max_source_bytes,  # a little too much is for `_take` to explain
            on_frames=lambda _: self._control.moved(),
        )
        seen = self._frames(path)
        self._verify(part, seen)
        self._take(path)
        return seen.count

    def _verify(self, part: JoinedPart, seen: _Frames) -> None:
        """Raise VerificationFailed for frames outside of the part, hidden ones, and another number of them."""
        plan, held = part.plan, Fraction(0)
        expected: int | None = plan.grid.frame_count
        if part.copied:
            held = plan.hold.before / plan.grid.rate * TIMESCALE
            expected = plan.source.total_frames if plan.source.constant else seen.count
        if seen.hidden or seen.count != expected:
            raise VerificationFailed(f"the part has {seen.count} frames of {expected}, and {seen.hidden} hidden ones")
        if abs(seen.first - held) > _ROUNDING_TICKS or seen.last >= part.frames * TIMESCALE / self._plan.rate:
            raise VerificationFailed("the part has frames before its beginning or behind its end")

    def _frames(self, path: Path) -> _Frames:
        """Look at the times of all frames of a file. Raises VerificationFailed where the first is no key frame."""
        lines = self._tools.ffprobe.packets(path, demuxer=DEMUXERS["mov"], stream=0, stop=self._control, parsed=False)
        found: _Frames | None = None
        for packet in parse_packets(moving(lines, self._control)):
            if found is None and not packet.key:
                break
            found = (found or _Frames(first=packet.pts, last=packet.pts)).with_frame(packet.pts, hidden=packet.discard)
        if found is None:
            raise VerificationFailed(f"{path.name} does not begin with a key frame")
        return found

    def _take(self, path: Path) -> None:
        """Count the bytes of a part. Raises ResourceExceeded where they are more than a source may have.

        Encoded again, a part would not do either.
        """
        self._left -= path.stat().st_size
        if self._left < 0:
            allowed = self._tools.policy.max_source_bytes
            raise ResourceExceeded(f"the joined video has more than {allowed} bytes: join fewer, or smaller ones")


def _digest(path: Path, control: StepControl) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            control.moved(len(block))
    return digest.hexdigest()
