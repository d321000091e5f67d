from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from access.callers import Caller
from access.rates import check_plan_rate
from jobs.reports.previews import StepPage, job_plan_document
from jobs.wiring import job_policy
from videos.playback import wiring
from videos.playback.urls import video_token, watch_url
from webui.library import library_page
from webui.livestreams import stream_lines, stream_page
from webui.members import for_members
from webui.video_page import asset_of, video_page
from webui.wiring import upload_options

_PLAN_STEPS = StepPage(offset=0, limit=5)


@for_members
def library(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Show the front page: files to drop, and the library."""
    text = request.GET.get("page", "1")
    number = int(text) if text.isdecimal() and len(text) < 6 else 1  # noqa: PLR2004 - digits of the last page
    page = library_page(owner=caller.owner, number=number, search=request.GET.get("q", ""))
    return render(request, "webui/library.html", {"page": page, "options": upload_options()})


@for_members
def video(request: HttpRequest, caller: Caller, video_id: UUID) -> HttpResponse:
    """Show a video: player, progress, downloads, plan, history."""
    page = video_page(owner=caller.owner, video_id=video_id)
    link = watch_url(request, video_token(page.video)[0])
    return render(request, "webui/video.html", {"page": page, "watch_url": link})


@for_members
def download(request: HttpRequest, caller: Caller, video_id: UUID, kind: str, name: str) -> HttpResponseBase:
    """Send a file that was made of a video, as one to save: browsers would show it by its own type."""
    asset = asset_of(owner=caller.owner, video_id=video_id, kind=kind, name=name)
    return wiring.delivery().answer(request, asset.key, content_type="application/octet-stream", cache="private")


@for_members
def plan(request: HttpRequest, caller: Caller, video_id: UUID) -> HttpResponse:
    """Show the choices of the newest job's plan, with their reasons: a part of the video's page, read on demand."""
    check_plan_rate(caller)
    job = video_page(owner=caller.owner, video_id=video_id).job
    document = None
    if job is not None:
        document = job_plan_document(owner=caller.owner, job_id=job.id, policy=job_policy(), page=_PLAN_STEPS)
    return render(request, "webui/plan.html", {"plan": document, "reasons": _reasons(document or {})})


@for_members
def livestreams(request: HttpRequest, caller: Caller) -> HttpResponse:
    """List the live streams of the owner, with a form for another one."""
    return render(request, "webui/livestreams.html", {"lines": stream_lines(owner=caller.owner)})


@for_members
def livestream(request: HttpRequest, caller: Caller, livestream_id: UUID) -> HttpResponse:
    """Show a live stream: player, state, keys, health, broadcasts, refused publishers."""
    page = stream_page(request=request, owner=caller.owner, livestream_id=livestream_id)
    return render(request, "webui/livestream.html", {"page": page})


def _reasons(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the choices of a plan with names for people."""
    return [{**reason, "choice": reason["choice"].replace("_", " ")} for reason in document.get("reasons", ())]
