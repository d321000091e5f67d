"""Videos whose source is fetched from elsewhere: their rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from access.models import Owner
from coordination.wiring import invalidate
from storage.keys import source_key
from videos.models import Import, Video
from videos.states import VideoState

_IMPORTED = (
    "state", "container", "source_key", "size_bytes", "etag", "sha256", "error_code", "error_detail", "error_details",
)  # fmt: skip


def import_of(video: Video) -> Import | None:
    """Return where a video is from; None: it was uploaded. `select_related` reads it with the video."""
    found: Import | None = getattr(video, "imported_from", None)
    return found


@transaction.atomic
def video_import(  # noqa: PLR0913 - one row's facts
    *,
    video_id: UUID,
    owner: Owner,
    url: str,
    shown_url: str,
    filename: str,
    sha256: str = "",
    external_id: str = "",
    client_metadata: Mapping[str, object] | None = None,
    measure_loudness: bool = False,
) -> Video:
    """Create a video that is fetched. It has no source before `video_mark_imported`."""
    video = Video.objects.create(
        id=video_id,
        owner=owner,
        state=VideoState.IMPORTING,
        filename=filename,
        size_bytes=0,
        external_id=external_id,
        client_metadata=dict(client_metadata or {}),
        measure_loudness=measure_loudness,
    )
    Import.objects.create(video=video, url=url, shown_url=shown_url, sha256=sha256)
    invalidate(f"videos:{owner.pk}")
    return video


def import_update(*, video_id: UUID, **facts: str | int | None) -> None:
    """Record what is known of a file that is being fetched: its size, how much of it is there, and where."""
    Import.objects.filter(video=video_id).update(**facts)
    invalidate(f"video:{video_id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSource:
    """An object that was fetched."""

    size_bytes: int
    etag: str
    sha256: str
    container: str


def video_mark_imported(*, video: Video, source: ImportedSource) -> None:
    """Record the source of a locked video that was fetched. It is inspected like an upload from now on."""
    video.state, video.container = VideoState.UPLOADED, source.container
    video.source_key, video.size_bytes = source_key(video.id), source.size_bytes
    video.etag, video.sha256 = source.etag, source.sha256
    video.error_code = video.error_detail = video.error_details = ""
    video.save(update_fields=_IMPORTED)
    size = source.size_bytes
    import_update(video_id=video.id, url="", multipart_id="", size_bytes=size, received_bytes=size)
    invalidate(f"videos:{video.owner_id}")
