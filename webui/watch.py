"""The page on which everybody who has its link watches a video, also in a frame of another site."""

import functools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from access.rates import check_play_rate
from api.problems import Problem, problem_count
from api.wiring import absolute_url
from videos.assets.selectors import generation_assets
from videos.models import Generation, Video
from videos.playback.playlists import has_hls
from videos.playback.tokens import token_read
from videos.playback.urls import embed_html
from videos.states import AssetKind, GenerationState, VideoState
from videos.thumbnails import images_of, thumbnails_of

MAX_TITLE = 200
_GONE = frozenset({VideoState.REJECTED, VideoState.DELETING, VideoState.DELETED})
"""States of videos that will never play."""

View = Callable[[HttpRequest, str], HttpResponse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """URLs of a video's player, as paths. All are empty while nothing can be played."""

    generation: str = ""
    """Changes when players should load another URL."""
    hls: str = ""
    mp4: str = ""
    poster: str = ""


def for_everybody(view: View) -> View:
    """Answer without a session, within frames of other sites, and with a page where the link is of no use."""

    @xframe_options_exempt
    @require_safe
    @functools.wraps(view)
    def shown(request: HttpRequest, token: str) -> HttpResponse:
        try:
            check_play_rate(request)  # before the token is read: guessing is limited, too
            page = view(request, token)
        except Problem as problem:
            problem_count(problem)
            page = render(request, "webui/watch_problem.html", {"problem": problem}, status=problem.status)
            for name, value in problem.headers.items():
                page.headers[name] = value
        page.headers["Cache-Control"] = "no-store"
        page.headers["X-Robots-Tag"] = "noindex"
        return page

    return shown


@for_everybody
def watch(request: HttpRequest, token: str) -> HttpResponse:
    """Show the player of a token's video. `?embed=1` leaves out everything else, for frames."""
    video = _video(token)
    url = absolute_url(request, request.path)
    context = {
        "watched": _watched(video, token),
        "title": _title(video),
        "embedded": bool(request.GET.get("embed")),
        "state_url": reverse("webui:watch-state", args=[token]),
        "embed": embed_html(url),
    }
    return render(request, "webui/watch.html", context)


@for_everybody
def state(request: HttpRequest, token: str) -> HttpResponse:  # noqa: ARG001 - a view
    """Say what can be played now, for a page that waits."""
    return JsonResponse(asdict(_watched(_video(token), token)))


def _video(text: str) -> Video:
    """Find the video of a token. Raises Problem: 404 not ours, 410 of no use any more."""
    token = token_read(text)
    if token is None:
        raise _unwatchable(HTTPStatus.NOT_FOUND, "video_not_found", "This link leads nowhere. Is a part of it missing?")
    if token.expired(time.time()):
        raise _unwatchable(HTTPStatus.GONE, "link_expired", "This link has expired. Request a new one from its sender.")
    videos = Video.objects.filter(id=token.video_id, playback_epoch=token.epoch).exclude(state__in=_GONE)
    video = videos.select_related("current_generation", "thumbnails").first()
    if video is None:
        raise _unwatchable(HTTPStatus.GONE, "link_revoked", "This video is not available any more.")
    return video


def _unwatchable(status: HTTPStatus, code: str, detail: str) -> Problem:
    return Problem(status=status, code=code, detail=detail)


def _watched(video: Video, token: str) -> Watched:
    images = images_of(thumbnails_of(video))
    poster = reverse("play-poster", args=[token]) if images else ""
    generation = video.current_generation
    if generation is None or video.state != VideoState.READY:
        return Watched(poster=poster)
    hls = reverse("play-master", args=[token, generation.number]) if has_hls(generation) else ""
    return Watched(generation=str(generation.number), hls=hls, mp4=_mp4(generation, token), poster=poster)


def _mp4(generation: Generation, token: str) -> str:
    """Return the path of the first file, for videos without HLS. Empty: there is none yet."""
    if generation.state != GenerationState.COMPLETE:
        return ""
    file = generation_assets(generation).filter(kind=AssetKind.MP4).first()
    return reverse("play-mp4", args=[token, generation.number, file.name]) if file else ""


def _title(video: Video) -> str:
    """Return the title that the owner gave in the metadata; never the name of the file, which may be private."""
    title = video.client_metadata.get("title")
    return title.strip()[:MAX_TITLE] if isinstance(title, str) else ""
