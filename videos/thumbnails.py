"""The images of a video: reads and writes of their row. Writers hold the video's row lock."""

from django.db.models.functions import Now

from coordination.wiring import invalidate
from transcoding.planning.images import ImageSet
from transcoding.planning.thumbnails import ThumbnailRequest
from videos.models import Generation, Thumbnails, Video
from videos.states import GenerationState, ThumbnailState


def thumbnails_of(video: Video) -> Thumbnails | None:
    """Return the row of a video's images, if they were ever requested; `select_related` reads it with the video."""
    found: Thumbnails | None = getattr(video, "thumbnails", None)
    return found


def images_of(row: Thumbnails | None) -> ImageSet | None:
    """Return the images that players have. Raises UnknownVersion where a later version of the program made them."""
    return ImageSet.from_json(row.images) if row and row.images else None


def thumbnails_mark_pending(*, video: Video, request: ThumbnailRequest) -> None:
    """Record a request. Images that are there stay until others are made."""
    _write(video, state=ThumbnailState.PENDING, request=request.to_json(), requested_at=Now())


def thumbnails_mark_unavailable(*, video: Video, request: ThumbnailRequest, code: str, detail: str) -> None:
    """Record that the video has nothing to show."""
    state = ThumbnailState.UNAVAILABLE
    _write(video, state=state, request=request.to_json(), error_code=code, error_detail=detail)


def thumbnails_mark_failed(*, video: Video, code: str, detail: str) -> None:
    """Record why the images could not be made. Others that are there stay."""
    _write(video, state=ThumbnailState.FAILED, error_code=code, error_detail=detail)


def thumbnails_publish(*, video: Video, images: ImageSet) -> str | None:
    """Give players these images; they are in the store. Return the name of those that they had before."""
    before = images_of(Thumbnails.objects.get(video=video))
    _write(
        video,
        state=ThumbnailState.READY,
        images=images.to_json(),
        size_bytes=images.size,
        ready_at=Now(),
    )
    return before.name if before else None


def _write(video: Video, **values: object) -> None:
    values = {"error_code": "", "error_detail": "", **values}
    invalidate(f"video:{video.id}", f"videos:{video.owner_id}")
    if not Thumbnails.objects.filter(video=video).update(**values):
        Thumbnails.objects.create(video=video, **values)


def thumbnails_generation(video: Video) -> Generation | None:
    """Return the generation that images are made of: the one that players have, else the newest complete one."""
    complete = Generation.objects.filter(video=video, state=GenerationState.COMPLETE)
    current = video.current_generation_id
    return (complete.filter(id=current).first() if current else None) or complete.order_by("-number").first()
