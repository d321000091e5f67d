"""Reads of videos, generations and published segments."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F, Prefetch, QuerySet, Sum

from access.models import Owner
from api.problems import Problem
from storage.keys import segment_key
from transcoding.containers.segments import Keyframe
from videos.models import Generation, Rendition, SegmentRun, Video
from videos.states import HIDDEN_STATES, GenerationState, RenditionKind


def videos_of(owner: Owner) -> QuerySet[Video]:
    """Select the videos that the owner can see, unordered."""
    return Video.objects.filter(owner=owner).exclude(state__in=HIDDEN_STATES)


def video_find(*, owner: Owner, video_id: UUID) -> Video | None:
    found = videos_of(owner).filter(id=video_id).select_related("current_generation", "thumbnails", "imported_from")
    return next(iter(found), None)  # `first` would build an order for one row


def source_deleted(*, status: int = 409) -> Problem:
    """Build the problem of a request that needs a source which its owner deleted."""
    detail = "The source of the video was deleted. What was made of it stays; upload the file again to transcode it."
    return Problem(status=status, code="source_deleted", detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSegment:
    """One published segment. `duration` in ticks of its rendition's time scale, `size` in bytes."""

    number: int
    key: str
    duration: int
    size: int
    digest: str
    frames: int


def run_segments(run: SegmentRun) -> Iterator[PublishedSegment]:
    """Unfold a run into its segments."""
    columns = zip(run.durations, run.sizes, run.digests, run.frames, strict=True)
    for number, (duration, size, digest, frames) in enumerate(columns, run.first_segment):
        key = segment_key(run.key_prefix, number)
        yield PublishedSegment(number=number, key=key, duration=duration, size=size, digest=digest, frames=frames)


def run_keyframes(run: SegmentRun) -> list[tuple[Keyframe, ...]]:
    """Unfold the key frames of a run, one tuple per segment. Empty where they are not stored: old runs, and audio."""
    segments: list[list[Keyframe]] = []
    columns = zip(run.keyframe_offsets or (), run.keyframe_sizes or (), run.keyframe_ticks or (), strict=True)
    for offset, size, ticks in columns:
        if offset == 0:
            segments.append([])
        segments[-1].append(Keyframe(offset=offset, size=size, ticks=ticks))
    return [tuple(keyframes) for keyframes in segments]


def _without_keyframes(runs: QuerySet[SegmentRun]) -> QuerySet[SegmentRun]:
    """Leave out the columns that only I-frame playlists need: they are as large as all others but the digests."""
    return runs.defer("keyframe_offsets", "keyframe_sizes", "keyframe_ticks")


def contiguous(runs: Iterable[SegmentRun]) -> Iterator[SegmentRun]:
    """Yield the runs from segment 0 up to the first gap. `runs` are in order of their first segment."""
    expected = 0
    for run in runs:
        if run.first_segment != expected:
            return
        yield run
        expected += run.segment_count


def published_prefix(rendition: Rendition) -> list[PublishedSegment]:
    """List the segments from 0 up to the first gap: those that a playlist may name."""
    runs = _without_keyframes(SegmentRun.objects.filter(rendition=rendition)).order_by("first_segment")
    return [segment for run in contiguous(runs) for segment in run_segments(run)]


def newest_segments(rendition: Rendition, count: int) -> list[PublishedSegment]:
    """List the last segments up to `count`, ascending and without a gap; reads at most `count` rows, by the index."""
    window: list[PublishedSegment] = []
    runs = _without_keyframes(SegmentRun.objects.filter(rendition=rendition)).order_by("-first_segment")
    for run in runs[:count]:
        gap = window and run.first_segment + run.segment_count != window[0].number
        if gap or len(window) >= count:
            break
        window[:0] = run_segments(run)
    return window[-count:]


def renditions_with_beginnings(generation: Generation, *, segments: int) -> QuerySet[Rendition]:
    """Select the renditions with those `runs` that begin within the first `segments`, in order; two queries."""
    runs = _without_keyframes(SegmentRun.objects.filter(first_segment__lt=segments)).order_by("first_segment")
    return Rendition.objects.filter(generation=generation).prefetch_related(Prefetch("runs", runs))


def companions_of(generation: Generation) -> list[Generation]:
    """List the complete generations whose renditions players get beside those of a complete one, oldest first."""
    if generation.state != GenerationState.COMPLETE:
        return []
    return list(Generation.objects.filter(beside=generation, state=GenerationState.COMPLETE).order_by("number"))


def whole_renditions(generation: Generation) -> frozenset[str]:
    """Return the names of the renditions whose segments are all published; one query."""
    rows = Rendition.objects.filter(generation=generation, total_segments__isnull=False)
    published = rows.annotate(published=Sum("runs__segment_count", default=0))
    return frozenset(published.filter(published__gte=F("total_segments")).values_list("name", flat=True))


def published_durations(rendition: Rendition) -> list[int]:
    """Read the durations of the segments from 0 up to the first gap, in ticks; few other columns."""
    runs = SegmentRun.objects.filter(rendition=rendition).only("first_segment", "segment_count", "durations")
    return [ticks for run in contiguous(runs.order_by("first_segment")) for ticks in run.durations]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKeyframe:
    """A key frame of a published segment, shown for `duration` ticks: until the next one."""

    segment: int
    offset: int
    size: int
    duration: int


def published_keyframes(rendition: Rendition) -> list[PublishedKeyframe]:
    """List the key frames of the segments from 0 up to the first gap; none at all where a run does not have them."""
    columns = ("keyframe_offsets", "keyframe_sizes", "keyframe_ticks")
    runs = SegmentRun.objects.filter(rendition=rendition).only("first_segment", "segment_count", "durations", *columns)
    found: list[PublishedKeyframe] = []
    for run in contiguous(runs.order_by("first_segment")):
        segments = run_keyframes(run)
        if not segments:
            return []
        for number, (duration, keyframes) in enumerate(zip(run.durations, segments, strict=True), run.first_segment):
            ends = [*(keyframe.ticks for keyframe in keyframes[1:]), duration]
            found += [
                PublishedKeyframe(
                    segment=number, offset=keyframe.offset, size=keyframe.size, duration=end - keyframe.ticks
                )
                for keyframe, end in zip(keyframes, ends, strict=True)
            ]
    return found


def has_keyframes(generation: Generation) -> bool:
    """Tell whether the key frames of everything that is published of a generation's video are stored."""
    published = SegmentRun.objects.filter(rendition__generation=generation, rendition__kind=RenditionKind.VIDEO)
    return published.exists() and not published.filter(keyframe_offsets=None).exists()


def generation_runs(generation: Generation) -> Mapping[UUID, list[SegmentRun]]:
    """Read the published runs of a generation by rendition, in order of their first segment; one query."""
    runs: dict[UUID, list[SegmentRun]] = defaultdict(list)
    published = _without_keyframes(SegmentRun.objects.filter(rendition__generation=generation))
    for run in published.order_by("rendition", "first_segment"):
        runs[run.rendition_id].append(run)
    return runs


def segment_find(*, rendition: Rendition, number: int) -> PublishedSegment | None:
    """Find a published segment by its number."""
    run = SegmentRun.objects.filter(rendition=rendition, first_segment__lte=number).order_by("-first_segment").first()
    if run is None or number >= run.first_segment + run.segment_count:
        return None
    return next(segment for segment in run_segments(run) if segment.number == number)
