import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from access.admin import OwnerFilter
from access.models import Owner
from api.administration import Panel, ReadOnlyAdmin, as_json, badge, choice_filter, link, link_to, panel, uuid_of
from transcoding.probing.warnings import warning_documents
from videos.assets.selectors import generation_assets
from videos.documents import thumbnails_document
from videos.imports import import_of
from videos.models import Asset, Generation, Rendition, Text, Video
from videos.parts import Part, parts_of
from videos.playback.dash import has_dash
from videos.playback.playlists import has_hls
from videos.playback.presentation import generation_presentation, listed_renditions
from videos.playback.urls import PlaybackUrls, playback_urls
from videos.states import HIDDEN_STATES, AssetKind, GenerationState, RenditionKind, TextState, VideoState
from videos.texts.selectors import ready_texts, with_texts
from videos.texts.serializers import text_error, text_label
from videos.uploads.admin import UploadAdmin
from videos.usage.administration import OwnerUsageAdmin

__all__ = ["OwnerUsageAdmin", "UploadAdmin", "VideoAdmin"]

MIB = 1024 * 1024
_UNPLAYABLE = {
    VideoState.JOINING: "Not playable yet: its parts are being joined.",
    VideoState.IMPORTING: "Not playable yet: the file is being fetched.",
    VideoState.VERIFYING: "Not playable yet: the file is being compared with its checksum.",
    VideoState.LIVE: "Not playable yet: its publisher has sent nothing.",
    VideoState.UPLOADED: "Not playable yet: the file is not inspected.",
    VideoState.READY: "Not playable yet: no job has encoded its beginning.",
    VideoState.REJECTED: "It will never play: the file was rejected.",
}
"""Sentences about videos without anything that plays."""
HLS = "application/vnd.apple.mpegurl"


admin.site.unregister(Owner)
admin.site.register(Owner, OwnerUsageAdmin)


@admin.register(Video)
class VideoAdmin(ReadOnlyAdmin):
    """List of all uploads, newest first, with their states and renditions."""

    list_display = ("id", "shown_state", "filename", "owner_name", "size", "duration", "error_code", "created_at")
    list_filter = (choice_filter("state", VideoState), ("created_at", admin.DateFieldListFilter), OwnerFilter)
    list_select_related = ("owner",)
    ordering = ("-created_at", "-id")
    search_fields = ("id",)
    search_help_text = "A video's id, or your own name for it"
    change_form_outer_before_template = "administration/player.html"
    change_form_outer_after_template = "administration/tables.html"
    readonly_fields = (
        "shown_state", "filename", "owner_name", "imported", "jobs", "size", "duration", "container", "error_code",
        "error_detail", "error_details",
        "shown_warnings", "external_id", "shown_metadata", "shown_media", "sha256", "source_key",
        "created_at", "inspected_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Video]:
        videos: QuerySet[Video] = super().get_queryset(request)
        return videos.select_related("owner", "current_generation", "thumbnails", "imported_from")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Video], search_term: str
    ) -> tuple[QuerySet[Video], bool]:
        """Search the columns that have an index."""
        if not search_term:
            return queryset, False
        video_id = uuid_of(search_term)
        return queryset.filter(Q(id=video_id) if video_id else Q(external_id=search_term) & ~Q(external_id="")), False

    def panels(self, request: HttpRequest, row: Video) -> dict[str, object]:
        parts = [_parts(row)] if row.parts else []
        generation = row.current_generation
        if row.state in HIDDEN_STATES:
            return {}
        if generation is None or row.state != VideoState.READY:
            unplayable = {"unplayable": _UNPLAYABLE[VideoState(row.state)], **_images(request, row)}
            return {"player": unplayable, "tables": [*parts, *_texts(row, None)]}
        renditions = Rendition.objects.filter(generation=generation).order_by("position")
        assets = generation_assets(generation)
        urls = playback_urls(request, row, generation)
        return {
            "player": {
                **_player(urls, generation, renditions, assets),
                **_choices(row, urls, generation),
                **_images(request, row),
            },
            "tables": [
                *parts,
                *_texts(row, urls),
                _renditions(generation, renditions),
                *([_assets(assets)] if assets else []),
            ],
        }

    @admin.display(description="state")
    def shown_state(self, video: Video) -> SafeString:
        return badge(video.state)

    @admin.display(description="imported from")
    def imported(self, video: Video) -> str:
        found = import_of(video)
        if found is None:
            return ""
        size = "" if found.size_bytes is None else f" of {found.size_bytes / MIB:,.1f}"
        return f"{found.shown_url} ({found.received_bytes / MIB:,.1f}{size} MiB)"

    @admin.display(description="owner")
    def owner_name(self, video: Video) -> str:
        return video.owner.name

    @admin.display(description="size")
    def size(self, video: Video) -> str:
        return f"{video.size_bytes / MIB:,.1f} MiB"

    @admin.display(description="duration")
    def duration(self, video: Video) -> str:
        seconds = (video.media or {}).get("duration")
        return f"{float(seconds):.1f} s" if seconds else ""

    @admin.display(description="jobs")
    def jobs(self, video: Video) -> SafeString:
        url = f"{reverse('admin:jobs_job_changelist')}?q={video.id}"
        return link(url, "Jobs of this video")

    @admin.display(description="warnings")
    def shown_warnings(self, video: Video) -> SafeString:
        return as_json(warning_documents(video.warnings))

    @admin.display(description="metadata")
    def shown_metadata(self, video: Video) -> SafeString:
        return as_json(video.client_metadata)

    @admin.display(description="media")
    def shown_media(self, video: Video) -> SafeString:
        return as_json(video.media)


def _player(
    urls: PlaybackUrls, generation: Generation, renditions: Iterable[Rendition], assets: Iterable[Asset]
) -> dict[str, object]:
    """Build the sources of the player, an MP4 first: not every browser plays HLS by itself."""
    complete = generation.state == GenerationState.COMPLETE
    files = [
        {"name": f"MP4 {asset.name}", "url": urls.asset(asset), "type": asset.media_type}
        for asset in assets
        if complete and asset.kind == AssetKind.MP4
    ]
    hls = {"name": "HLS", "url": urls.hls(), "type": HLS}
    dash = [{"name": "DASH", "url": urls.dash(), "type": "application/dash+xml"}] if has_dash(generation) else []
    sources = [{**source, "url": urlsplit(source["url"]).path} for source in [*files[:1], hls]]
    return {
        "has_video": any(rendition.kind == RenditionKind.VIDEO for rendition in renditions),
        "sources": sources,
        "links": [hls, *dash, *files],
        "expires_at": urls.expires_at,
        "growing": not complete,
    }


def _choices(video: Video, urls: PlaybackUrls, generation: Generation) -> dict[str, object]:
    """Return the texts that the player offers, and the audio tracks where there are several."""
    presentation = generation_presentation(generation, listed_renditions(generation))
    hls = urlsplit(urls.hls()).path
    audio = [
        {"label": track.label or track.name, "default": track.default, "url": f"{hls}?audio={track.name}"}
        for group in presentation.audio_groups[:1]
        for track in group
    ]
    texts = {text.name: text for text in ready_texts([video.id])}
    tracks = [
        {
            "kind": "captions" if track.captions else "subtitles",
            "language": track.language,
            "label": track.label,
            "default": track.default,
            "url": urlsplit(urls.text(texts[track.name])).path,
        }
        for track in presentation.texts
        if track.name in texts
    ]
    return {"audio": audio if len(audio) > 1 and has_hls(generation) else [], "texts": tracks}


def _images(request: HttpRequest, video: Video) -> dict[str, object]:
    """Return the poster of the player, and the state of the images."""
    document = thumbnails_document(video, request)
    if document is None:
        return {}
    poster, sprites = document["poster_url"], document["sprites"]
    if sprites:
        sprites = {**sprites, "urls": [urlsplit(url).path for url in sprites["urls"]]}
    return {
        "sprites": json.dumps(sprites) if sprites else "",
        "poster": urlsplit(poster).path if poster else "",
        "thumbnails": document,
        "images": [{"path": urlsplit(image["url"]).path, "time": image["time"]} for image in document["images"]],
    }


def _parts(video: Video) -> Panel:
    headers = ["number", "video", "start", "seconds", "video of it"]
    return panel("Parts", headers, [list(_part_row(*numbered)) for numbered in enumerate(parts_of(video), start=1)])


def _part_row(number: int, part: Part) -> Iterator[Any]:
    yield number
    yield link_to("videos_video", part.video_id)
    yield f"{part.start:.3f}"
    yield f"{part.duration:.3f}"
    yield f"encoded again: {', '.join(part.differs)}" if part.differs else "copied"


def _texts(video: Video, urls: PlaybackUrls | None) -> list[Panel]:
    """Build the table of a video's texts; without any there is none."""
    with_texts([video])
    headers = ["language", "label", "kind", "origin", "state", "cues", "error", "file"]
    rows = [list(_text_row(text, urls)) for text in video.texts.all()]
    return [panel("Texts", headers, rows)] if rows else []


def _text_row(text: Text, urls: PlaybackUrls | None) -> Iterator[Any]:
    error = text_error(text)
    yield text.language
    yield text_label(text)
    yield "forced" if text.forced else "captions" if text.captions else "subtitles"
    yield text.origin if text.stream is None else f"{text.origin}, stream {text.stream}"
    yield badge(text.state)
    yield "" if text.cue_count is None else text.cue_count
    yield f"{error['code']}: {error['detail']}" if error else ""
    yield link(urls.text(text), "WebVTT") if urls and text.state == TextState.READY else ""


def _renditions(generation: Generation, renditions: Iterable[Rendition]) -> Panel:
    headers = ["name", "kind", "size", "average", "peak", "codecs", "segments", "bytes", "state"]
    return panel(f"Generation {generation.number}", headers, map(list, map(_rendition_row, renditions)))


def _assets(assets: Iterable[Asset]) -> Panel:
    headers = ["kind", "name", "language", "media type", "size", "seconds", "bytes", "published"]
    return panel("Assets", headers, map(list, map(_asset_row, assets)))


def _asset_row(asset: Asset) -> Iterator[Any]:
    yield asset.kind
    yield asset.name
    yield asset.language
    yield asset.media_type
    yield f"{asset.width}x{asset.height}" if asset.width else ""
    yield f"{asset.duration:.3f}" if asset.duration else ""
    yield f"{asset.size_bytes:,}"
    yield asset.published_at


def _rendition_row(rendition: Rendition) -> Iterator[Any]:
    yield rendition.name
    yield rendition.kind
    yield f"{rendition.width}x{rendition.height}" if rendition.width else ""
    yield _kbps(rendition.avg_bitrate)
    yield _kbps(rendition.peak_bitrate)
    yield rendition.codecs
    yield "open" if rendition.total_segments is None else rendition.total_segments
    yield f"{rendition.size_bytes:,}" if rendition.size_bytes else ""
    yield rendition.state


def _kbps(bits: int | None) -> str:
    return f"{bits // 1000} kbit/s" if bits else ""
