"""Documents of videos, from their rows."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from api.responses import as_document
from api.wiring import absolute_url
from transcoding.planning.images import SPRITES_VTT, ImageSet, Thumbnail
from transcoding.planning.thumbnails import COLUMNS, ROWS
from transcoding.probing.warnings import warning_documents
from videos.imports import import_of
from videos.models import Video
from videos.parts import Part, parts_of
from videos.playback.urls import ThumbnailUrls, thumbnail_urls
from videos.serializers import ThumbnailsDocument, VideoDocument
from videos.states import UNSOURCED_STATES, VideoState
from videos.texts.selectors import with_texts
from videos.texts.serializers import text_facts
from videos.thumbnails import images_of, thumbnails_of

BITS_PER_BYTE = 8
SHOWN_BY_NAME = ("duration", "width", "height", "codec", "bitrate", "frame_rate")
STREAMS = "streams"


def video_document(video: Video, request: HttpRequest) -> dict[str, Any]:
    """Render a video as its owner sees it. `with_texts` reads the texts of several videos before."""
    with_texts([video])
    media: Mapping[str, Any] = video.media or {}
    address = reverse("video-detail", args=[video.id])
    links = {"self": address} | {
        name: f"{address}/{name}" for name in ("playback", "transcode", "jobs", "outputs", "texts")
    }
    found = {name: media[name] for name in media if name not in (*SHOWN_BY_NAME, STREAMS)}
    shown = {
        "id": video.id,
        "filename": video.filename,
        "status": video.state,
        "size": video.size_bytes,
        "sha256": video.sha256,
        "container": video.container,
        "parts": [part_document(part) for part in parts_of(video)],
        "imported_from": _imported_from(video),
        "original_url": None if _without_source(video) else absolute_url(request, f"{address}/original"),
        **{name: media.get(name) for name in SHOWN_BY_NAME},
        "bitrate": media.get("bitrate") or _mean_bitrate(video, media),
        "external_id": video.external_id or None,
        "metadata": video.client_metadata | found,
        STREAMS: media.get(STREAMS, []),
        "warnings": warning_documents(video.warnings),
        "thumbnails": thumbnails_document(video, request),
        "texts": [text_facts(text) for text in video.texts.all()],
        "error": _error(video),
        "created_at": video.created_at,
        "inspected_at": video.inspected_at,
        "source_expires_at": None if video.source_deleted_at else video.source_expires_at,
        "expires_at": video.current_generation.expires_at if video.current_generation else None,
        "links": links,
    }
    document: dict[str, Any] = as_document(VideoDocument, shown)
    return document


def part_document(part: Part) -> dict[str, object]:
    """Render a part of a video that joins others."""
    return {
        "video_id": part.video_id,
        "start": part.start,
        "duration": part.duration,
        "copied": not part.differs,
        "differs": part.differs,
    }


def _imported_from(video: Video) -> dict[str, object] | None:
    found = import_of(video)
    if found is None:
        return None
    return {"url": found.shown_url, "size": found.size_bytes, "received": found.received_bytes}


def _without_source(video: Video) -> bool:
    return video.source_deleted_at is not None or video.state in UNSOURCED_STATES


def _mean_bitrate(video: Video, media: Mapping[str, Any]) -> int | None:
    """Compute the rate of the whole file, for containers that do not state the rate of the video track."""
    duration = media.get("duration")
    return round(video.size_bytes * BITS_PER_BYTE / duration) if duration else None


def _error(video: Video) -> dict[str, object] | None:
    if not video.error_code:
        return None
    retryable = video.state != VideoState.REJECTED
    details = video.error_details or None
    return {"code": video.error_code, "detail": video.error_detail, "details": details, "retryable": retryable}


def thumbnails_document(video: Video, request: HttpRequest | None) -> dict[str, Any] | None:
    """Render the images of a video. None: none were requested."""
    row = thumbnails_of(video)
    if row is None:
        return None
    images = images_of(row)
    urls = thumbnail_urls(request, video, images.name) if images else None
    shown = {
        "state": row.state,
        **(_images(images, urls) if images and urls else _NO_IMAGES),
        "error": {"code": row.error_code, "detail": row.error_detail} if row.error_code else None,
        "requested_at": row.requested_at,
        "ready_at": row.ready_at,
    }
    document: dict[str, Any] = as_document(ThumbnailsDocument, shown)
    return document


_NO_IMAGES: Mapping[str, Any] = {
    **dict.fromkeys(("poster_url", "poster", "sprites", "preview", "expires_at")),
    "images": [],
}


def _images(images: ImageSet, urls: ThumbnailUrls) -> dict[str, Any]:
    sprites, preview = images.sprites, images.preview
    animated = {file.name.rpartition(".")[2]: urls.image(file.name) for file in preview.files}
    return {
        "poster_url": urls.poster(),
        "poster": _image(images.poster, urls),
        "images": [_image(thumbnail, urls) for thumbnail in images.thumbnails],
        "sprites": {
            "vtt_url": urls.image(SPRITES_VTT),
            "urls": [urls.image(sheet.name) for sheet in sprites.sheets],
            "width": sprites.width,
            "height": sprites.height,
            "columns": COLUMNS,
            "rows": ROWS,
            "count": sprites.count,
            "interval": float(sprites.interval),
        },
        "preview": {
            "webp_url": animated.get("webp"),
            "gif_url": animated["gif"],
            "width": preview.files[0].width,
            "height": preview.files[0].height,
            "start": float(preview.start),
            "duration": float(preview.duration),
        },
        "expires_at": urls.expires_at,
    }


def _image(thumbnail: Thumbnail, urls: ThumbnailUrls) -> dict[str, Any]:
    image = thumbnail.image
    return {
        "url": urls.image(image.name),
        "time": float(thumbnail.time),
        "width": image.width,
        "height": image.height,
    }
