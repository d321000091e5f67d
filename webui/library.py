"""The library: pages of an owner's videos, newest first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import Q

from access.models import Owner
from jobs.reports.selectors import JobView, job_views, jobs_of
from videos.models import Video
from videos.playback.urls import thumbnail_urls
from videos.selectors import videos_of
from videos.thumbnails import images_of, thumbnails_of
from webui.wording import Status, duration_text, status_of

PAGE_SIZE = 24
MAX_PAGES = 400
"""Later pages would be slow; a search finds what is on them."""
MAX_SEARCH_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A video as the library shows it. `poster`: a path, empty without one."""

    id: UUID
    title: str
    label: str
    """The owner's own name for it, where it is not the title."""
    status: Status
    duration: str
    poster: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryPage:
    """A page of the library. `newer` and `older`: numbers of its neighbours, None where there are none."""

    cards: Sequence[Card]
    search: str
    newer: int | None
    older: int | None


def library_page(*, owner: Owner, number: int, search: str) -> LibraryPage:
    """Read a page: three queries. `number` counts from 1; `search` is part of a file's name or a whole external id."""
    number = max(1, min(number, MAX_PAGES))
    search = search.strip()[:MAX_SEARCH_LENGTH].replace("\0", "")
    videos = videos_of(owner).select_related("current_generation", "thumbnails").order_by("-created_at", "-id")
    if search:
        videos = videos.filter(Q(filename__icontains=search) | Q(external_id=search))
    first = (number - 1) * PAGE_SIZE
    found = list(videos[first : first + PAGE_SIZE + 1])
    jobs = newest_jobs(owner, found[:PAGE_SIZE])
    return LibraryPage(
        cards=[card_of(video, jobs.get(video.id)) for video in found[:PAGE_SIZE]],
        search=search,
        newer=number - 1 if number > 1 else None,
        older=number + 1 if len(found) > PAGE_SIZE and number < MAX_PAGES else None,
    )


def newest_jobs(owner: Owner, videos: Iterable[Video]) -> Mapping[UUID, JobView]:
    """Read the newest job of each of these videos."""
    jobs = jobs_of(owner).filter(video__in=[video.id for video in videos])
    newest = jobs.order_by("video_id", "-created_at", "-id").distinct("video_id")
    return {view.video_id: view for view in job_views(list(newest))}


def card_of(video: Video, job: JobView | None) -> Card:
    """Build the card of a video, which was read with its current generation and thumbnails."""
    title = title_of(video)
    return Card(
        id=video.id,
        title=title,
        label=video.external_id if video.external_id != title else "",
        status=status_of(video, job),
        duration=duration_text((video.media or {}).get("duration")),
        poster=poster_of(video),
        created_at=video.created_at,
    )


def title_of(video: Video) -> str:
    """Return the name of a video for people."""
    return video.filename or video.external_id or "Untitled"


def poster_of(video: Video) -> str:
    """Return the path of a video's poster. Empty without one."""
    images = images_of(thumbnails_of(video))
    return urlsplit(thumbnail_urls(None, video, images.name).poster()).path if images else ""
