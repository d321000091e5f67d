"""The playback URLs of texts."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from api.problems import not_found
from transcoding.manifests.hls import HLS_CONTENT_TYPE
from transcoding.texts.webvtt import WEBVTT_CONTENT_TYPE
from videos.models import Generation, Text
from videos.playback.caching import FOR_EVER, text_response
from videos.playback.texts import text_file, text_playlist, text_segment
from videos.playback.views import for_players, manifest, playable_generation
from videos.texts.selectors import text_find


@for_players
def whole(request: HttpRequest, token: str, generation: int, text: str) -> HttpResponseBase:
    """Serve a whole text as WebVTT, on the timeline of a generation."""
    found = playable_generation(token, generation)
    return _webvtt(request, text_file(_text(found, text), found.encode_plan))


@for_players
def index(request: HttpRequest, token: str, generation: int, text: str) -> HttpResponseBase:
    """Serve the HLS playlist of a text."""
    found = playable_generation(token, generation)
    _text(found, text)
    return manifest(request, text_playlist(found), found, HLS_CONTENT_TYPE)


@for_players
def segment(request: HttpRequest, token: str, generation: int, text: str, number: int) -> HttpResponseBase:
    """Serve a segment of a text. The bytes at a URL never change."""
    found = playable_generation(token, generation)
    rendered = text_segment(_text(found, text), found.encode_plan, number)
    if rendered is None:
        raise not_found("segment")
    return _webvtt(request, rendered)


def _text(generation: Generation, name: str) -> Text:
    text = text_find(video_id=generation.video_id, name=name)
    if text is None or generation.encode_plan.grid.is_open:
        raise not_found("text")
    return text


def _webvtt(request: HttpRequest, rendered: str) -> HttpResponse:
    return text_response(request, rendered, content_type=WEBVTT_CONTENT_TYPE, cache=FOR_EVER)
