"""Videos that join others: their rows, and the parts that these record."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from access.models import Owner
from coordination.wiring import invalidate
from transcoding.planning.joining import JoinedPart, JoinPlan
from videos.models import Video
from videos.states import VideoState

_JOINED = (
    "state", "container", "source_key", "size_bytes", "etag", "sha256", "parts",
    "error_code", "error_detail", "error_details",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: the video that it is, and its place in the whole, in seconds."""

    video_id: UUID
    start: float
    duration: float
    rate: Fraction
    """Frames per second."""
    differs: Sequence[str]
    """Properties for which its video was encoded again. Empty: it was copied."""
    work_seconds: float


def part_of(plan: JoinPlan, part: JoinedPart, video_id: UUID) -> Part:
    """Return a part of a plan, which is this video."""
    return Part(
        video_id=video_id,
        start=float(plan.seconds(part.start)),
        duration=float(plan.seconds(part.frames)),
        rate=part.plan.grid.rate,
        differs=part.differs,
        work_seconds=part.work_seconds,
    )


def _record(part: Part) -> dict[str, Any]:
    return {**asdict(part), "video_id": str(part.video_id), "rate": str(part.rate), "differs": list(part.differs)}


def parts_of(video: Video) -> list[Part]:
    """Read the parts of a video; none of an upload."""
    return [_part(record) for record in video.parts or ()]


def least_rate(video: Video) -> Fraction | None:
    """Return the rate that outputs must have at least, so that no part loses a frame. None: of an upload."""
    return max((part.rate for part in parts_of(video)), default=None)


def _part(record: Mapping[str, Any]) -> Part:
    return Part(**{**record, "video_id": UUID(record["video_id"]), "rate": Fraction(record["rate"])})


@transaction.atomic
def video_join(  # noqa: PLR0913 - one row's facts
    *,
    video_id: UUID,
    owner: Owner,
    filename: str,
    parts: Sequence[Part],
    external_id: str = "",
    client_metadata: Mapping[str, object] | None = None,
    measure_loudness: bool = False,
) -> Video:
    """Create a video that joins others. It has no source before `video_mark_joined`."""
    video = Video.objects.create(
        id=video_id,
        owner=owner,
        state=VideoState.JOINING,
        filename=filename,
        size_bytes=0,
        parts=[_record(part) for part in parts],
        external_id=external_id,
        client_metadata=dict(client_metadata or {}),
        measure_loudness=measure_loudness,
    )
    invalidate(f"videos:{owner.pk}")
    return video


def joins_of(owner_id: UUID, part_id: UUID) -> QuerySet[Video]:
    """Select the videos of an owner that are being made of a video."""
    return Video.objects.filter(owner=owner_id, state=VideoState.JOINING, parts__contains=[{"video_id": str(part_id)}])


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedSource:
    """The object that was made of several sources."""

    key: str
    size_bytes: int
    etag: str
    sha256: str


def video_mark_joined(*, video: Video, source: JoinedSource, differs: Sequence[Sequence[str]]) -> None:
    """Record the source of a locked video that joins others. It is inspected like an upload from now on.

    `differs`: for each part the properties for which its video was encoded again.
    """
    video.state, video.container = VideoState.UPLOADED, "mov"
    video.source_key, video.size_bytes = source.key, source.size_bytes
    video.etag, video.sha256 = source.etag, source.sha256
    video.parts = [{**part, "differs": list(found)} for part, found in zip(video.parts or (), differs, strict=True)]
    video.error_code = video.error_detail = video.error_details = ""
    video.save(update_fields=_JOINED)
    invalidate(f"video:{video.id}", f"videos:{video.owner_id}")
