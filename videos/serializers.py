"""Documents of videos. They are serializers so that the schema knows them, and only render."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from rest_framework import serializers

from api.responses import as_document
from api.wiring import absolute_url
from transcoding.probing.streams import StreamKind
from transcoding.probing.warnings import SourceWarning, warning_documents
from videos.models import Video
from videos.states import SHOWN_STATES, GenerationState, RenditionKind, VideoState

BITS_PER_BYTE = 8
UNAVAILABLE = "unavailable"
PLAYBACK_STATES = [UNAVAILABLE, GenerationState.BUILDING.value, GenerationState.COMPLETE.value]


class VideoError(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField(help_text="What is wrong, and what to do about it.")
    details = serializers.CharField(allow_null=True, help_text="The words of the program that failed.")
    retryable = serializers.BooleanField()


class VideoLinks(serializers.Serializer[Any]):
    self = serializers.CharField()
    playback = serializers.CharField()
    transcode = serializers.CharField()
    jobs = serializers.CharField()
    outputs = serializers.CharField()


class SourceWarningDocument(serializers.Serializer[Any]):
    code = serializers.ChoiceField([code.value for code in SourceWarning])
    detail = serializers.CharField(help_text="A sentence or two for people.")
    seconds = serializers.FloatField(allow_null=True, help_text="Its extent, where it has one.")
    count = serializers.IntegerField(allow_null=True, help_text="The number of what is counted, such as streams.")


class StreamDocument(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="The number by which requests name it.")
    kind = serializers.ChoiceField([kind.value for kind in StreamKind])
    codec = serializers.CharField()
    language = serializers.CharField(allow_null=True, help_text="As in the file, mostly ISO 639-2.")
    default = serializers.BooleanField(help_text="The file marks it as the default.")
    forced = serializers.BooleanField()
    cover = serializers.BooleanField(help_text="An image that stands for the file.")
    width = serializers.IntegerField(allow_null=True, help_text="Of the decoded frames.")
    height = serializers.IntegerField(allow_null=True)
    channels = serializers.IntegerField(allow_null=True)
    layout = serializers.CharField(allow_null=True, help_text="The channels by ffmpeg's names, such as 5.1(side).")
    sample_rate = serializers.IntegerField(allow_null=True, help_text="Hertz.")
    duration = serializers.FloatField(allow_null=True, help_text="Seconds, as the file announces them.")
    used = serializers.BooleanField(help_text="It is in the outputs, unless a request names others.")


class VideoDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    filename = serializers.CharField()
    status = serializers.ChoiceField(SHOWN_STATES)
    size = serializers.IntegerField(help_text="Bytes.")
    sha256 = serializers.CharField()
    container = serializers.CharField(help_text="What the first bytes of the file say it is.")
    original_url = serializers.URLField(
        allow_null=True, help_text="Where the uploaded file can be had. Null: it was deleted."
    )
    duration = serializers.FloatField(
        allow_null=True,
        help_text="Seconds; this and what follows, up to the frame rate: at first what the file's headers say, where"
        " looking takes less than a second, and from inspection on what was measured.",
    )
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    codec = serializers.CharField(allow_null=True)
    bitrate = serializers.IntegerField(allow_null=True, help_text="Bits per second.")
    frame_rate = serializers.FloatField(allow_null=True)
    external_id = serializers.CharField(allow_null=True, help_text="Your own name for it, as it was uploaded with.")
    metadata = serializers.DictField(help_text="What it was uploaded with, and what else inspection found.")
    streams = StreamDocument(
        many=True, help_text="All streams of the file, after inspection. Empty: an earlier version inspected it."
    )
    warnings = SourceWarningDocument(
        many=True, help_text="What is unusual about the source, and what is done about it by default."
    )
    error = VideoError(allow_null=True)
    created_at = serializers.DateTimeField()
    inspected_at = serializers.DateTimeField(allow_null=True)
    links = VideoLinks()


class PlaybackRendition(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.ChoiceField([kind.value for kind in RenditionKind])
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    bitrate = serializers.IntegerField(help_text="Bits per second.")
    frame_rate = serializers.CharField()
    codecs = serializers.CharField()


class PlaybackDocument(serializers.Serializer[Any]):
    video_id = serializers.UUIDField()
    state = serializers.ChoiceField(
        PLAYBACK_STATES,
        help_text="unavailable: nothing can be played yet. building: the beginning can be played while the rest is"
        " encoded. complete: all of it can be played.",
    )
    generation = serializers.IntegerField(allow_null=True)
    hls_url = serializers.URLField(allow_null=True)
    dash_url = serializers.URLField(allow_null=True, help_text="Null also while the end of the video is not known.")
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Until when the addresses work.")
    renditions = PlaybackRendition(many=True)


SHOWN_BY_NAME = ("duration", "width", "height", "codec", "bitrate", "frame_rate")
STREAMS = "streams"


def video_document(video: Video, request: HttpRequest) -> dict[str, Any]:
    """Render a video as its owner sees it."""
    media: Mapping[str, Any] = video.media or {}
    address = reverse("video-detail", args=[video.id])
    links = {"self": address} | {name: f"{address}/{name}" for name in ("playback", "transcode", "jobs", "outputs")}
    found = {name: media[name] for name in media if name not in (*SHOWN_BY_NAME, STREAMS)}
    shown = {
        "id": video.id,
        "filename": video.filename,
        "status": video.state,
        "size": video.size_bytes,
        "sha256": video.sha256,
        "container": video.container,
        "original_url": None if video.source_deleted_at else absolute_url(request, f"{address}/original"),
        **{name: media.get(name) for name in SHOWN_BY_NAME},
        "bitrate": media.get("bitrate") or _mean_bitrate(video, media),
        "external_id": video.external_id or None,
        "metadata": video.client_metadata | found,
        STREAMS: media.get(STREAMS, []),
        "warnings": warning_documents(video.warnings),
        "error": _error(video),
        "created_at": video.created_at,
        "inspected_at": video.inspected_at,
        "links": links,
    }
    document: dict[str, Any] = as_document(VideoDocument, shown)
    return document


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
