"""Documents of texts."""

from typing import Any

from rest_framework import serializers

from api.responses import as_document
from transcoding.manifests.labels import default_text_label
from videos.models import Text
from videos.serializers import VideoText
from videos.texts.selectors import UNREADABLE


class TextDocument(VideoText):
    video_id = serializers.UUIDField()
    cues = serializers.IntegerField(allow_null=True, help_text="Number of cues. Null until it is ready.")
    url = serializers.URLField(
        allow_null=True, help_text="WebVTT, in the time of what plays now. Null while nothing does."
    )
    created_at = serializers.DateTimeField()


def playback_text(text: Text, url: str) -> dict[str, Any]:
    """Return what players must know of a text."""
    return {
        "name": text.name,
        "language": text.language,
        "label": text_label(text),
        "default": text.is_default,
        "forced": text.forced,
        "sdh": text.captions,
        "url": url,
    }


def text_label(text: Text) -> str:
    """Return the name of a text for people."""
    return text.label or default_text_label(text.language, forced=text.forced, captions=text.captions)


def text_error(text: Text) -> dict[str, str] | None:
    """Return why a text failed. None: it did not."""
    return {"code": text.error_code or UNREADABLE, "detail": text.error_detail} if text.error_detail else None


def text_facts(text: Text) -> dict[str, Any]:
    """Return what the document of a video says about one of its texts."""
    return {
        "id": text.id,
        "name": text.name,
        "language": text.language,
        "label": text_label(text),
        "default": text.is_default,
        "forced": text.forced,
        "sdh": text.captions,
        "origin": text.origin,
        "stream": text.stream,
        "state": text.state,
        "error": text_error(text),
    }


def text_document(text: Text, *, url: str | None) -> dict[str, Any]:
    """Render a text as its owner sees it."""
    shown = {
        **text_facts(text),
        "video_id": text.video_id,
        "cues": text.cue_count,
        "url": url,
        "created_at": text.created_at,
    }
    document: dict[str, Any] = as_document(TextDocument, shown)
    return document
