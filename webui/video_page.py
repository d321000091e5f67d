"""The page of one video: its player, progress, outputs and history."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import Sum
from django.urls import reverse

from access.models import Owner
from api.problems import not_found
from events.models import Event
from events.types import EventType
from jobs.lifecycle.services import retry_refusal
from jobs.models import Job
from jobs.reports.selectors import JobView, job_views, jobs_of
from jobs.rules.transitions import JOB_ENDS, JOB_RETRIED, JobState
from transcoding.probing.warnings import warning_documents
from videos.assets.selectors import CompleteGeneration, complete_generations
from videos.models import Asset, Generation, Rendition, Video
from videos.playback.playlists import has_hls
from videos.playback.urls import PlaybackUrls, playback_urls
from videos.selectors import videos_of
from videos.states import AssetKind, GenerationState, RenditionKind, RenditionState, VideoState
from videos.texts.serializers import text_label
from webui.library import Card, card_of
from webui.wording import EVENTS, codec_text, rate_text, size_text, wait_text

MAX_EVENTS = 30
_FILES = {AssetKind.MP4: "Video", AssetKind.M4A: "Audio"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """Facts that a browser needs to play a video. URLs are paths. Without `hls` it plays the file `mp4`."""

    generation: int
    growing: bool
    has_video: bool
    hls: str
    mp4: str
    poster: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionProgress:
    """Progress of one rendition, in per cent of its segments. None: their number is not known yet."""

    name: str
    detail: str
    percent: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    name: str
    detail: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """An event in words."""

    text: str
    detail: str
    at: datetime
    is_failure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPage:
    """All that the page of a video shows. `error`: of the video or its newest job."""

    video: Video
    card: Card
    job: JobView | None
    facts: Sequence[tuple[str, str]]
    player: Player | None
    renditions: Sequence[RenditionProgress]
    downloads: Sequence[Download]
    warnings: Sequence[str]
    error: tuple[str, str] | None
    advice: str
    history: Sequence[HistoryLine]
    time_left: str
    can_transcode: bool
    can_cancel: bool
    can_pause: bool
    can_resume: bool
    can_retry: bool


def video_page(*, owner: Owner, video_id: UUID) -> VideoPage:
    """Read the page of a video: at most a dozen queries, however long it is. Raises Problem (404)."""
    video = videos_of(owner).filter(id=video_id).select_related("current_generation", "thumbnails").first()
    if video is None:
        raise not_found("video")
    row = jobs_of(owner).filter(video=video).select_related("generation").order_by("-created_at", "-id").first()
    job = next(iter(job_views([row])), None) if row else None
    card = card_of(video, job)
    retryable = row is not None and row.state in JOB_RETRIED and retry_refusal(row, video) is None
    is_open = job is not None and job.state not in JOB_ENDS
    complete = _complete(video.current_generation)
    return VideoPage(
        video=video,
        card=card,
        job=job,
        facts=list(_facts(video, card)),
        player=_player(video, complete, card.poster),
        renditions=_renditions(row),
        downloads=list(_downloads(video, complete)),
        warnings=[str(warning["detail"]) for warning in warning_documents(video.warnings)],
        error=_error(video, row),
        advice=_advice(video, row, retryable=retryable),
        history=_history(row),
        time_left=wait_text(job.eta_seconds) if job and job.eta_seconds is not None else "",
        can_transcode=video.state == VideoState.READY and not is_open and video.source_deleted_at is None,
        can_cancel=is_open and video.state != VideoState.LIVE,  # its live stream is stopped instead
        can_pause=is_open and video.state != VideoState.LIVE and job is not None and job.state != JobState.PAUSED,
        can_resume=job is not None and job.state == JobState.PAUSED,
        can_retry=retryable,
    )


def asset_of(*, owner: Owner, video_id: UUID, kind: str, name: str) -> Asset:
    """Find a file that can be downloaded. Raises Problem (404)."""
    video = videos_of(owner).filter(id=video_id).select_related("current_generation").first()
    complete = _complete(video.current_generation) if video else None
    found = (asset for asset in (complete.assets if complete else ()) if (asset.kind, asset.name) == (kind, name))
    asset = next(found, None)
    if asset is None:
        raise not_found("file")
    return asset


def _complete(generation: Generation | None) -> CompleteGeneration | None:
    return complete_generations([generation.id]).get(generation.id) if generation else None


def _facts(video: Video, card: Card) -> Iterator[tuple[str, str]]:
    media = video.media or {}
    yield "Uploaded", f"{video.created_at:%Y-%m-%d %H:%M} UTC"
    yield "Size", size_text(video.size_bytes)
    if card.duration:
        yield "Duration", card.duration
    if media.get("width"):
        rate = f", {float(media['frame_rate']):.2f}".rstrip("0").rstrip(".") if media.get("frame_rate") else ""
        yield "Video", f"{media['width']}x{media['height']}{rate}{' fps' if rate else ''} {media.get('codec') or ''}"
    if media.get("audio_codec"):
        yield "Audio", str(media["audio_codec"])
    if card.label:
        yield "Your id", card.label


def _player(video: Video, complete: CompleteGeneration | None, poster: str) -> Player | None:
    generation = video.current_generation
    if generation is None or video.state != VideoState.READY:
        return None
    urls = playback_urls(None, video, generation)
    kinds = Rendition.objects.filter(generation=generation).values_list("kind", flat=True)
    player = Player(
        generation=generation.number,
        growing=generation.state != GenerationState.COMPLETE,
        has_video=RenditionKind.VIDEO in set(kinds),
        hls=_path(urls.hls()) if has_hls(generation) else "",
        mp4=_first_mp4(complete, urls) if complete else "",
        poster=poster,
    )
    return player if player.hls or player.mp4 else None


def _first_mp4(complete: CompleteGeneration, urls: PlaybackUrls) -> str:
    found = (_path(urls.asset(asset)) for asset in complete.assets if asset.kind == AssetKind.MP4)
    return next(found, "")


def _path(url: str) -> str:
    """Return the path of a URL of ours: the page's own origin serves it, whichever name people use for it."""
    return urlsplit(url).path


def _renditions(job: Job | None) -> list[RenditionProgress]:
    if job is None or job.generation is None or job.generation.state == GenerationState.DELETED:
        return []
    rows = Rendition.objects.filter(generation=job.generation).order_by("position")
    return [_progress(row) for row in rows.annotate(published=Sum("runs__segment_count", default=0))]


def _progress(row: Rendition) -> RenditionProgress:
    size = f"{row.width}x{row.height}" if row.width else ""
    published: int = getattr(row, "published", 0)
    percent = None if row.total_segments is None else min(100, 100 * published // max(1, row.total_segments))
    if row.state != RenditionState.COMPLETED and percent is not None:
        percent = min(99, percent)  # everything is published, not verified
    detail = ", ".join(filter(None, [size, codec_text(row.codecs), rate_text(row.avg_bitrate)]))
    return RenditionProgress(name=row.name, detail=detail, percent=percent)


def _downloads(video: Video, complete: CompleteGeneration | None) -> Iterator[Download]:
    if complete is None:
        return
    for asset in complete.assets:
        kind = AssetKind(asset.kind)
        size = f" {asset.width}x{asset.height}" if asset.width else f" {asset.language}" if asset.language else ""
        yield Download(
            name=f"{_FILES[kind]}{size} ({kind.value.upper()})",
            detail=size_text(asset.size_bytes),
            url=reverse("webui:download", args=[video.id, kind.value, asset.name]),
        )
    urls = playback_urls(None, video, complete.generation)
    for text in complete.texts:
        yield Download(name=f"{text_label(text)} (WebVTT)", detail="", url=_path(urls.text(text)))


def _error(video: Video, job: Job | None) -> tuple[str, str] | None:
    if video.error_code:
        return video.error_code, video.error_detail
    if job is not None and job.error_code:
        return job.error_code, job.error_detail
    return None


def _advice(video: Video, job: Job | None, *, retryable: bool) -> str:
    if video.state == VideoState.REJECTED:
        return "This file cannot be transcoded, however often it is tried. Check it, and upload another one."
    if job is None or job.state != JobState.FAILED:
        return ""
    if retryable:
        return "A retry continues with what is there already. If it fails again, show the code to the operators."
    return "A retry cannot help. Change the request or the file, and try again; or show the code to the operators."


def _history(job: Job | None) -> list[HistoryLine]:
    if job is None:
        return []
    events = Event.objects.filter(job_id=job.id).exclude(type=EventType.JOB_PROGRESS).order_by("-seq")[:MAX_EVENTS]
    return [
        HistoryLine(
            text=EVENTS.get(event.type, event.type),
            detail=_event_detail(event),
            at=event.created_at,
            is_failure=event.type == EventType.JOB_FAILED,
        )
        for event in events
    ]


def _event_detail(event: Event) -> str:
    if event.type == EventType.JOB_PLANNED:
        return f"{event.data.get('steps', '')} steps"
    return str(event.data.get("reason") or (event.data.get("error") or {}).get("detail") or "")
