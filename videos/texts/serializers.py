"""Documents of texts."""

from typing import Any

from rest_framework import serializers

from api.responses import as_document
from transcoding.manifests.labels import default_text_label
from videos.models import Text
from videos.states import TextOrigin, TextState


class TextDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    video_id = serializers.UUIDField()
    name = serializers.CharField(help_text="Its part of playback URLs.")
    language = serializers.CharField(help_text="A tag by BCP 47; und: the file does not say.")
    label = serializers.CharField(help_text="Its name in players.")  # type: ignore[assignment]  # not the serializer's
    default = serializers.BooleanField(help_text="Players begin with it.")
    forced = serializers.BooleanField(help_text="Only what everybody must read: shown also without being chosen.")
    sdh = serializers.BooleanField(help_text="For people who do not hear: it describes noises and music, too.")
    origin = serializers.ChoiceField(
        [origin.value for origin in TextOrigin], help_text="A file of its own, or a stream of the video's."
    )
    stream = serializers.IntegerField(allow_null=True, help_text="Index of the stream of an embedded one.")
    state = serializers.ChoiceField(
        [state.value for state in TextState], help_text="pending: it is being extracted. failed: it cannot be."
    )
    error = serializers.CharField(allow_null=True, help_text="The reason why it failed.")
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


def text_document(text: Text, *, url: str | None) -> dict[str, Any]:
    """Render a text as its owner sees it."""
    shown = {
        "id": text.id,
        "video_id": text.video_id,
        "name": text.name,
        "language": text.language,
        "label": text_label(text),
        "default": text.is_default,
        "forced": text.forced,
        "sdh": text.captions,
        "origin": text.origin,
        "stream": text.stream,
        "state": text.state,
        "error": text.error_detail or None,
        "cues": text.cue_count,
        "url": url,
        "created_at": text.created_at,
    }
    document: dict[str, Any] = as_document(TextDocument, shown)
    return document
