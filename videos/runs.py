"""Publishing of runs of segments: their rows, and the init segment that the runs of a rendition share."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from transcoding.containers.segments import Keyframe
from transcoding.errors import VerificationFailed
from videos.models import Rendition, SegmentRun


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Consecutive segments of one rendition that are in the store, and their init segment.

    Tuples have one entry per segment: durations in ticks of the rendition's time scale, sizes in bytes, digests as
    SHA-256 in hex, frames (samples of audio), key frames (none at all of audio).
    """

    rendition_id: UUID
    key_prefix: str
    first_segment: int
    durations: tuple[int, ...]
    sizes: tuple[int, ...]
    digests: tuple[str, ...]
    frames: tuple[int, ...]
    init_key: str
    init_sha256: str
    keyframes: tuple[tuple[Keyframe, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.durations or {len(self.sizes), len(self.digests), len(self.frames)} != {len(self.durations)}:
            raise ValueError("a run has as many sizes, digests and frames as durations, and at least one")
        if self.keyframes and len(self.keyframes) != len(self.durations):
            raise ValueError("a run has the key frames of each of its segments, or none")
        for first, *others in self.keyframes:
            if first.offset or not all(keyframe.offset for keyframe in others):
                raise ValueError("the first key frame of a segment, and no other, is at offset 0")


class InitMismatch(VerificationFailed):
    """A run has another init segment than the runs of its rendition that are published already."""


def run_publish(*, step_id: UUID, attempt: int, runs: Sequence[RunFacts]) -> None:
    """Publish runs. The caller fences this in the same transaction.

    Raises:
        InitMismatch: a run has another init segment than its rendition.
        IntegrityError: a segment was published before.
    """
    _pin_inits(runs)
    SegmentRun.objects.bulk_create(
        SegmentRun(
            rendition_id=run.rendition_id,
            step_id=step_id,
            attempt=attempt,
            key_prefix=run.key_prefix,
            first_segment=run.first_segment,
            segment_count=len(run.durations),
            durations=list(run.durations),
            sizes=list(run.sizes),
            digests=list(run.digests),
            frames=list(run.frames),
            **_keyframe_columns(run),
        )
        for run in runs
    )


def _keyframe_columns(run: RunFacts) -> dict[str, list[int]]:
    """Write the key frames of a run as flat columns: a segment starts where an offset is 0. Audio has none."""
    keyframes = [keyframe for segment in run.keyframes for keyframe in segment]
    if not keyframes:
        return {}
    return {
        "keyframe_offsets": [keyframe.offset for keyframe in keyframes],
        "keyframe_sizes": [keyframe.size for keyframe in keyframes],
        "keyframe_ticks": [keyframe.ticks for keyframe in keyframes],
    }


def runs_published(*, step_id: UUID, attempt: int, runs: Sequence[RunFacts]) -> bool:
    """Check whether this attempt has published these runs. They are published together or not at all."""
    return SegmentRun.objects.filter(
        step_id=step_id,
        attempt=attempt,
        rendition=runs[0].rendition_id,
        first_segment=runs[0].first_segment,
        segment_count=len(runs[0].durations),
    ).exists()


def _pin_inits(runs: Sequence[RunFacts]) -> None:
    """Let the first run of a rendition set its init segment, and compare all others with it."""
    renditions = Rendition.objects.filter(id__in=[run.rendition_id for run in runs])
    promised = dict(renditions.values_list("id", "init_sha256"))
    for run in runs:
        if promised[run.rendition_id] != run.init_sha256:
            _pin_init(run)


def _pin_init(run: RunFacts) -> None:
    rendition = Rendition.objects.filter(id=run.rendition_id)
    won = rendition.filter(init_sha256="").update(init_key=run.init_key, init_sha256=run.init_sha256)
    if not won and not rendition.filter(init_sha256=run.init_sha256).exists():
        raise InitMismatch(f"{run.init_key} is not the init segment that its rendition started with")
