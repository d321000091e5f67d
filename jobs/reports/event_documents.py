"""Documents of events: what happened, with the labels and URLs of the video and the job that it happened to."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.urls import reverse

from api.wiring import absolute_url
from events.log import LoggedEvent
from events.types import EventType
from jobs.models import Job
from jobs.rules.transitions import JOB_ENDS
from videos.models import Generation, Video
from videos.playback.dash import has_dash
from videos.playback.urls import playback_urls

PLAYABLE_TYPES = frozenset({EventType.JOB_PLAYABLE.value, EventType.JOB_COMPLETED.value})
"""Events after which the generation that they name can be played."""


def event_documents(events: Sequence[LoggedEvent]) -> list[dict[str, Any]]:
    """Render events, in their order: three queries at most.

    URLs are those of the configured public URL; without one they are paths. Playback URLs are signed now, so that they
    work for as long as any others, however late an event is sent. Rows that are gone leave labels empty.
    """
    subjects = _Subjects(events)
    return [event.document(subjects.of(event)) for event in events]


def job_ended(owner_id: UUID, job_id: UUID) -> bool | None:
    """Tell whether a job is over, for streams whose events are not kept any more. None: the owner has no such job."""
    state = Job.objects.filter(owner=owner_id, id=job_id).values_list("state", flat=True).first()
    return None if state is None else state in JOB_ENDS


class _Subjects:
    """The rows that events are about."""

    def __init__(self, events: Sequence[LoggedEvent]) -> None:
        videos = Video.objects.only("external_id", "client_metadata", "media", "playback_epoch")
        self._videos = videos.in_bulk({event.video_id for event in events if event.video_id})
        jobs = Job.objects.only("external_id", "client_metadata")
        self._jobs = jobs.in_bulk({event.job_id for event in events if event.job_id})
        self._generations = _generations({found for event in events if (found := _generation_of(event))})

    def of(self, event: LoggedEvent) -> dict[str, object]:
        if event.video_id is None:
            return {}
        video = self._videos.get(event.video_id)
        if event.job_id is None:
            return {**_labels(video), "links": _links(event)}
        about = {**_labels(self._jobs.get(event.job_id)), "video": _labels(video), "links": _links(event)}
        if event.type in PLAYABLE_TYPES:
            about["playback"] = self._playback(event, video)
        return about

    def _playback(self, event: LoggedEvent, video: Video | None) -> dict[str, object] | None:
        generation = self._generations.get(_generation_of(event))
        if video is None or generation is None:
            return None
        urls = playback_urls(None, video, generation)
        return {
            "hls_url": urls.hls(),
            "dash_url": urls.dash() if _dash(generation) else None,
            "expires_at": urls.expires_at.isoformat(),
        }


def _labels(row: Video | Job | None) -> dict[str, object]:
    """The owner's own data about a row."""
    if row is None:
        return {"external_id": None, "metadata": {}}
    return {"external_id": row.external_id or None, "metadata": row.client_metadata}


def _links(event: LoggedEvent) -> dict[str, str]:
    """URLs of the documents that show more."""
    video = reverse("video-detail", args=[event.video_id])
    paths = {"video": video, "playback": f"{video}/playback"}
    if event.job_id:
        job = reverse("job-detail", args=[event.job_id])
        paths |= {"job": job, "outputs": f"{job}/outputs"}
    return {name: absolute_url(None, path) for name, path in paths.items()}


_Numbered = tuple[UUID, int]


def _generation_of(event: LoggedEvent) -> _Numbered | None:
    number = event.data.get("generation")
    if event.video_id is None or event.type not in PLAYABLE_TYPES or not isinstance(number, int):
        return None
    return event.video_id, number


def _generations(numbered: Collection[_Numbered]) -> Mapping[_Numbered | None, Generation]:
    if not numbered:
        return {}
    videos, numbers = zip(*numbered, strict=True)
    found = Generation.objects.filter(video__in=set(videos), number__in=set(numbers))
    return {(generation.video_id, generation.number): generation for generation in found}


def _dash(generation: Generation) -> bool:
    """Return True if a generation has a manifest; of a plan that another version wrote nobody knows here."""
    try:
        return has_dash(generation)
    except ValueError:
        return False
