"""The pages of live streams: a list of them, and one with its player, keys and broadcasts."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest

from access.models import Owner
from api.problems import not_found
from livestreams.models import Broadcast, Livestream, Refusal
from livestreams.playback.urls import StreamUrls, stream_urls
from livestreams.selectors import livestream_find, livestreams_of, newest_broadcasts
from livestreams.states import ON_AIR_STATES, LivestreamState
from livestreams.wiring import livestream_config
from webui.wording import Status, Tone, rate_text

MAX_STREAMS = 100
MAX_LINES = 20
_STATES = {
    LivestreamState.IDLE: Status("Never live", Tone.QUIET),
    LivestreamState.STARTING: Status("Starting", Tone.BUSY),
    LivestreamState.LIVE: Status("Live", Tone.GOOD, playable=True),
    LivestreamState.ENDING: Status("Ending", Tone.BUSY, playable=True),
    LivestreamState.ENDED: Status("Off air", Tone.QUIET),
    LivestreamState.FAILED: Status("Failed", Tone.BAD),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLine:
    """A live stream in the list."""

    stream: Livestream
    status: Status
    viewers: int | None
    """None: it is not on the air."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPage:
    """All that the page of a live stream shows. `playing`: the number of the broadcast that players get."""

    line: StreamLine
    urls: StreamUrls
    rtmp_url: str
    rtmps_url: str
    on_air: bool
    waiting: bool
    """Its publisher is gone, and is waited for."""
    playing: int | None
    health: Sequence[tuple[str, str]]
    broadcasts: Sequence[Broadcast]
    refusals: Sequence[Refusal]


def stream_lines(*, owner: Owner) -> list[StreamLine]:
    """List the newest live streams of an owner."""
    streams = list(livestreams_of(owner).order_by("-created_at", "-id")[:MAX_STREAMS])
    newest = newest_broadcasts(streams)
    return [_line(each, newest.get(each.id)) for each in streams]


def stream_page(*, request: HttpRequest, owner: Owner, livestream_id: UUID) -> StreamPage:
    """Read the page of a live stream. Raises Problem (404)."""
    stream = livestream_find(owner=owner, livestream_id=livestream_id)
    if stream is None:
        raise not_found("livestream")
    broadcasts = list(Broadcast.objects.filter(livestream=stream).order_by("-number")[:MAX_LINES])
    newest = broadcasts[0] if broadcasts else None
    on_air = newest is not None and newest.state in ON_AIR_STATES
    config = livestream_config()
    return StreamPage(
        line=_line(stream, newest),
        urls=stream_urls(request, stream),
        rtmp_url=config.live_rtmp_url,
        rtmps_url=config.live_rtmps_url,
        on_air=on_air,
        waiting=on_air and newest is not None and newest.publisher_left_at is not None,
        playing=next((each.number for each in broadcasts if each.live_at), None),
        health=_health(newest) if newest is not None and on_air else (),
        broadcasts=broadcasts,
        refusals=list(Refusal.objects.filter(livestream=stream).order_by("-last_at", "-id")[:MAX_LINES]),
    )


def _line(stream: Livestream, newest: Broadcast | None) -> StreamLine:
    on_air = newest is not None and newest.state in ON_AIR_STATES
    viewers = newest.viewers.get("total", 0) if newest is not None and on_air else None
    return StreamLine(stream=stream, status=_STATES[LivestreamState(stream.state)], viewers=viewers)


def _health(broadcast: Broadcast) -> list[tuple[str, str]]:
    measured = broadcast.health
    shown = [
        ("Arriving", rate_text(measured["bitrate"]) if measured.get("bitrate") else ""),
        ("Frames per second", f"{measured['frame_rate']:g}" if measured.get("frame_rate") else ""),
        ("Frame", f"{measured['width']}x{measured['height']}" if measured.get("width") else ""),
        ("Dropped frames", str(measured.get("dropped_frames", ""))),
        ("Encoded as", ", ".join(measured.get("renditions", ()))),
    ]
    return [(name, value) for name, value in shown if value]
