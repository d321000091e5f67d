"""The playback URLs. The token in them is the credential; pages of other origins may read every answer."""

import functools
import logging
import time
from collections.abc import Callable, Mapping
from typing import Concatenate, ParamSpec

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.gzip import gzip_page

from access.rates import check_play_rate
from api.problems import Problem, internal_error, not_found, problem_of, problem_response
from transcoding.manifests.dash import DASH_CONTENT_TYPE
from transcoding.manifests.hls import HLS_CONTENT_TYPE
from videos.models import Generation, Rendition
from videos.playback import wiring
from videos.playback.caching import CHANGING, COMPLETE, FOR_EVER, GROWING, NEVER, text_response
from videos.playback.dash import generation_dash, has_dash
from videos.playback.playlists import (
    content_type,
    generation_master,
    has_hls,
    has_iframes,
    rendition_iframes,
    rendition_playlist,
)
from videos.playback.tokens import PlaybackToken, token_read
from videos.selectors import segment_find
from videos.states import GONE_STATES, GenerationState, VideoState

Params = ParamSpec("Params")
View = Callable[Concatenate[HttpRequest, Params], HttpResponseBase]

EXPOSED = "Content-Length, Content-Range, ETag, Retry-After"
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
}
METHODS = "GET, HEAD, OPTIONS"

log = logging.getLogger(__name__)


def for_players(view: View[Params]) -> View[Params]:
    """Let pages of the allowed origins read the answer, errors included, and answer their preflight requests."""

    @functools.wraps(view)
    def answered(request: HttpRequest, /, *args: Params.args, **kwargs: Params.kwargs) -> HttpResponseBase:
        response: HttpResponseBase | None
        try:
            response = _without_content(request)
            if response is None:
                check_play_rate(request)  # before the token is read: guessing is limited, too
                response = view(request, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - without these headers a player cannot even see that it failed
            response = problem_response(_problem(error), request.path)
            response.headers["Cache-Control"] = NEVER
        _allow_origin(request, response)
        return response

    return csrf_exempt(answered)  # no cookie is ever looked at here


def _allow_origin(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let pages of the configured origins read a response, or those of any origin where none are configured."""
    allowed, origin = wiring.origins(), request.headers.get("Origin", "")
    if allowed:
        patch_vary_headers(response, ["Origin"])  # also on what others get: caches must not give them this
    if not allowed or origin in allowed:
        response.headers["Access-Control-Allow-Origin"] = origin if allowed else "*"
        response.headers["Access-Control-Expose-Headers"] = EXPOSED


def _without_content(request: HttpRequest) -> HttpResponse | None:
    if request.method == "OPTIONS":
        return HttpResponse(status=204, headers={"Allow": METHODS, **PREFLIGHT})
    if request.method not in ("GET", "HEAD"):
        detail = f'Method "{request.method}" not allowed.'
        raise Problem(status=405, code="method_not_allowed", detail=detail, headers={"Allow": METHODS})
    return None


def _problem(error: Exception) -> Problem:
    problem = problem_of(error)
    if problem is None:
        log.error("playback failed", exc_info=error)
    return problem or internal_error()


@for_players
@gzip_page
def dash(request: HttpRequest, token: str, generation: int) -> HttpResponseBase:
    """Serve the DASH manifest of a generation of which at least the start can be watched."""
    found = playable_generation(token, generation)
    if not has_dash(found):
        raise not_found("generation")
    return manifest(request, generation_dash(found), found, DASH_CONTENT_TYPE, complete=CHANGING)


@for_players
@gzip_page
def master(request: HttpRequest, token: str, generation: int) -> HttpResponseBase:
    """Serve the master playlist of a generation of which at least the start can be watched.

    `?audio=NAME` is for players that do not offer audio tracks: they begin with this one.
    """
    found = playable_generation(token, generation)
    if not has_hls(found):
        raise not_found("generation")
    try:
        playlist = generation_master(found, audio=request.GET.get("audio", ""))
    except KeyError as error:
        raise not_found("rendition") from error
    return manifest(request, playlist, found, HLS_CONTENT_TYPE, complete=CHANGING)


@for_players
@gzip_page
def index(request: HttpRequest, token: str, generation: int, rendition: str) -> HttpResponseBase:
    """Serve the media playlist of a rendition."""
    found = _rendition(token, generation, rendition)
    if found.generation.playable_at is None or not has_hls(found.generation):
        raise not_found("generation")
    return manifest(request, rendition_playlist(found), found.generation, HLS_CONTENT_TYPE)


@for_players
@gzip_page
def iframes(request: HttpRequest, token: str, generation: int, rendition: str) -> HttpResponseBase:
    """Serve the I-frame playlist of a video rendition."""
    found = _rendition(token, generation, rendition)
    if found.generation.playable_at is None or not has_iframes(found):
        raise not_found("rendition")
    return manifest(request, rendition_iframes(found), found.generation, HLS_CONTENT_TYPE)


@for_players
def init(request: HttpRequest, token: str, generation: int, rendition: str) -> HttpResponseBase:
    """Serve the init segment of a rendition, the same for all of its segments."""
    found = _rendition(token, generation, rendition)
    if not found.init_key:
        raise not_found("segment")
    return wiring.delivery().answer(request, found.init_key, content_type=content_type(found), cache=FOR_EVER)


@for_players
def segment(request: HttpRequest, token: str, generation: int, rendition: str, number: int) -> HttpResponseBase:
    """Serve a published segment. The bytes at a URL never change."""
    found = _rendition(token, generation, rendition)
    published = segment_find(rendition=found, number=number)
    if published is None:
        raise not_found("segment")
    return wiring.delivery().answer(request, published.key, content_type=content_type(found), cache=FOR_EVER)


@for_players
def nothing(request: HttpRequest, rest: str) -> HttpResponseBase:  # noqa: ARG001 - a view
    raise Http404


def token_of(text: str) -> PlaybackToken:
    """Read a playback token, perhaps a revoked one. Raises Problem (404) if it expired or is not ours."""
    token = token_read(text)
    if token is None or token.expired(time.time()):
        raise not_found("video")
    return token


def video_of_token(token: PlaybackToken, relation: str = "") -> Mapping[str, object]:
    """Return the lookups of what a token gives access to. `relation` leads to the video: `generation__video__`.

    They match nothing once the token is revoked or the video deleted.
    """
    return {
        f"{relation}id": token.video_id,
        f"{relation}state": VideoState.READY,
        f"{relation}playback_epoch": token.epoch,
    }


def playable_generation(token: str, number: int) -> Generation:
    """Find a generation of the token's video of which at least the start can be watched. Raises Problem (404)."""
    of_token = video_of_token(token_of(token), "video__")
    playable = Generation.objects.filter(number=number, playable_at__isnull=False, **of_token)
    found = playable.exclude(state__in=GONE_STATES).first()
    if found is None:
        raise not_found("generation")
    return found


def _rendition(token: str, generation: int, name: str) -> Rendition:
    of_token = video_of_token(token_of(token), "generation__video__")
    renditions = Rendition.objects.filter(name=name, generation__number=generation, **of_token)
    rendition = renditions.exclude(generation__state__in=GONE_STATES).select_related("generation").first()
    if rendition is None:
        raise not_found("rendition")
    return rendition


def manifest(
    request: HttpRequest, text: str, generation: Generation, content_type: str, *, complete: str = COMPLETE
) -> HttpResponse:
    """Respond with a manifest. `complete` says for how long it may be cached once the generation is complete."""
    cache = complete if generation.state == GenerationState.COMPLETE else GROWING
    return text_response(request, text, content_type=content_type, cache=cache)
