"""Comparison of the rows of videos with the objects in the store, for operators who restored either."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from storage.keys import asset_key, thumbnails_prefix, video_prefix
from storage.protocol import ObjectStore
from videos.models import Asset, Rendition, SegmentRun, Thumbnails, Video
from videos.selectors import run_segments
from videos.states import GONE_STATES, SHOWN_STATES, UNSOURCED_STATES, VideoState
from videos.thumbnails import images_of

_WITHOUT_SOURCE = (*UNSOURCED_STATES, VideoState.REJECTED)


@dataclass(frozen=True, slots=True)
class Missing:
    """An object that a row names and the store lacks, or has in another size."""

    video_id: UUID
    key: str


def missing_objects(store: ObjectStore) -> Iterator[Missing]:
    """Look for the source and for everything that players may get of each video. One listing and four queries each."""
    for video in Video.objects.filter(state__in=SHOWN_STATES).order_by("created_at").iterator():
        yield from missing_of(video, objects_of(video, store))


def objects_of(video: Video, store: ObjectStore) -> dict[str, int]:
    """List the objects of a video with their sizes in bytes."""
    return {stored.key: stored.size for stored in store.list(video_prefix(video.id))}


def missing_of(video: Video, found: Mapping[str, int]) -> Iterator[Missing]:
    """Compare the rows of a video with its objects."""
    for key, size in _named(video):
        if key not in found or size not in (None, found[key]):
            yield Missing(video.id, key)


def _named(video: Video) -> Iterator[tuple[str, int | None]]:
    """Yield the key of every object that a row names, and its size in bytes where a row has it."""
    if video.state not in _WITHOUT_SOURCE and video.source_deleted_at is None:
        yield video.source_key, video.size_bytes
        for name, size in video.working_copies.items():
            yield f"{video_prefix(video.id)}{name}", size
    renditions = Rendition.objects.filter(generation__video=video).exclude(generation__state__in=GONE_STATES)
    for init_key in renditions.exclude(init_key="").values_list("init_key", flat=True):
        yield init_key, None
    for run in SegmentRun.objects.filter(rendition__in=renditions).iterator():
        for segment in run_segments(run):
            yield segment.key, segment.size
    for asset in Asset.objects.filter(generation__video=video).exclude(generation__state__in=GONE_STATES):
        yield asset.key, asset.size_bytes
    if images := images_of(Thumbnails.objects.filter(video=video).first()):
        prefix = thumbnails_prefix(video.id, images.name)
        yield from ((asset_key(prefix, image.name), image.size) for image in images.images)
