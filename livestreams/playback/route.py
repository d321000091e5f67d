"""Playback of live streams in front of Django: a player that waits for the next segment costs a task, not a thread."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from api.addresses import client_network
from api.asgi import App, Message, Receive, Scope, Send, header, path_below_prefix
from api.problems import Problem, any_problem_of, not_found
from api.request_log import describe_request
from livestreams.playback.answers import Answer, Cors
from livestreams.playback.channel import LiveChannel
from livestreams.playback.channels import Channels
from livestreams.playback.media import LiveMedia, MediaObject, PartNotFound
from livestreams.playback.reading import Playable, Track
from livestreams.playback.requests import (
    TIME,
    StreamRequest,
    bad_directive,
    delivery_directives,
    stream_request,
)
from livestreams.playback.tokens import playback_token_holds
from livestreams.playback.urls import MASTER, PREFIX
from livestreams.playback.watching import DASH, Watching, viewer_name
from observability import metrics
from storage.errors import ObjectNotFound
from transcoding.manifests.dash import DASH_CONTENT_TYPE
from transcoding.manifests.hls import HLS_CONTENT_TYPE
from transcoding.manifests.hls.media import target_seconds
from transcoding.manifests.names import INIT_NAME, PLAYLIST_NAME
from videos.playback.caching import COMPLETE, FOR_EVER, GROWING, NEVER

MAX_WAIT_TARGETS = 3
"""Time for which a request waits at most, in target durations (RFC 8216bis, section 6.2.5.2)."""
_AHEAD = 2
"""Segments behind the last one that may be waited for; the same section."""
_WAITED = "public, max-age=6"
"""Of playlists that were waited for: at their URL they never change, and are old soon."""
_PARTS = "public, max-age=60"

CheckRate = Callable[[str], None]
"""Counts a request of a client's network that costs more than a look into memory. Raises Problem (429)."""


class LiveStreams:
    """An ASGI application that answers the URLs of live streams and leaves all others to the next one."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        app: App,
        channels: Channels,
        media: LiveMedia,
        watching: Watching,
        *,
        cors: Cors,
        check_rate: CheckRate,
    ) -> None:
        self._app = app
        self._channels = channels
        self._media = media
        self._watching = watching
        self._cors = cors
        self._check_rate = check_rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (path := path_below_prefix(scope)).startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        started, status, route = time.monotonic(), 0, f"{PREFIX}unknown"

        async def counted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        answer = Answer(scope, counted, self._cors)
        try:
            if scope["method"] == "OPTIONS":
                await answer.preflight()
                return
            _check_method(scope)
            request = stream_request(path.removeprefix(PREFIX))
            route = request.route
            describe_request(scope, route=route, quiet=True)
            await self._answer(scope, request, answer)
        except Exception as error:
            if answer.started:
                raise
            await answer.problem(any_problem_of(error))
        finally:
            method = scope["method"] if scope["method"] in {"GET", "HEAD", "OPTIONS"} else "other"
            metrics.HTTP_REQUESTS.add(method=method, route=route, status=status)
            metrics.HTTP_SECONDS.observe(time.monotonic() - started, method=method, route=route)

    async def _answer(self, scope: Scope, request: StreamRequest, answer: Answer) -> None:
        if request.file == TIME:
            await answer.text(datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        elif request.generation_id is None:
            await self._manifest(scope, request, answer)
        else:
            channel = await self._channel(scope, request)
            if request.file == PLAYLIST_NAME:
                await self._playlist(scope, request, channel, answer)
            elif request.file == "part":
                await self._part(request, channel, answer)
            else:
                await self._object(scope, request, channel, answer)

    async def _manifest(self, scope: Scope, request: StreamRequest, answer: Answer) -> None:
        """Send the master playlist or the MPD of the newest broadcast, or where its recording is."""
        self._check_rate(_network(scope))
        playable = await self._channels.find(request.playback_id)
        if playable is None:
            raise _not_live()
        _check_token(request, private=playable.private)
        if recording := _recording(scope, request, playable):
            channel = await self._channels.channel(playable.generation_id)
            if channel is None or request.file == MASTER or channel.was_over:
                await answer.redirect(recording, cache=NEVER)
                return
        channel = await self._channels.channel(playable.generation_id)
        if channel is None or not channel.timeline.end:
            raise _not_live()
        if request.file == MASTER:
            rendered = channel.master(f"{playable.generation_id}/")
            await answer.manifest(rendered, content_type=HLS_CONTENT_TYPE, cache=GROWING)
            return
        self._saw(scope, channel, DASH)
        rendered = channel.dash(f"../{playable.generation_id}/")
        await answer.manifest(rendered, content_type=DASH_CONTENT_TYPE, cache=GROWING)

    async def _playlist(self, scope: Scope, request: StreamRequest, channel: LiveChannel, answer: Answer) -> None:
        track = _track(channel, request)
        directives = delivery_directives(scope["query_string"])
        self._saw(scope, channel, track.name)
        cache = GROWING
        if directives.segment is not None:
            end = channel.timeline.segments(track.name).end
            if directives.segment >= end + _AHEAD and not channel.timeline.ended(track):
                raise bad_directive("_HLS_msn", f"The last segment is {end - 1}.")
            seconds = MAX_WAIT_TARGETS * target_seconds(channel.timeline.plan.grid.segment_seconds)
            # After a wait in vain players get what there is, and wait again: behind a 503 some of them would give up.
            reached = await channel.until(
                partial(channel.timeline.reached, track.name, directives.segment, directives.part), seconds=seconds
            )
            cache = _WAITED if reached else NEVER
        rendered = channel.playlist(track.name, skip=directives.skip)
        if rendered is None or channel.gone:
            raise not_found("rendition")
        if channel.timeline.ended(track):
            cache = COMPLETE
        await answer.manifest(rendered, content_type=HLS_CONTENT_TYPE, cache=cache)

    async def _part(self, request: StreamRequest, channel: LiveChannel, answer: Answer) -> None:
        """Send a part. The one that comes next is waited for: players know its name."""
        track, generation_id = _track(channel, request), channel.generation_id
        segment, index, attempt = request.numbers
        end = channel.timeline.segments(track.name).end
        if segment > end + 1:
            raise not_found("part")
        seconds = MAX_WAIT_TARGETS * target_seconds(channel.timeline.plan.grid.segment_seconds)
        await channel.until(partial(channel.timeline.has_part, track.name, segment, index), seconds=seconds)
        try:
            data = await self._media.part((generation_id, track.name, segment, index, attempt))
        except PartNotFound as error:
            raise not_found("part") from error
        await answer.media(data, content_type=_content_type(track), cache=_PARTS)

    async def _object(self, scope: Scope, request: StreamRequest, channel: LiveChannel, answer: Answer) -> None:
        """Send an init segment, or a published segment."""
        track = next((each for each in channel.timeline.rows.tracks if each.name == request.rendition), None)
        if track is None:
            raise not_found("rendition")
        key: str | None = track.init_key
        if request.file != INIT_NAME:
            key = channel.timeline.segments(track.name).key(*request.numbers)
            self._saw(scope, channel, track.name)
        if not key:
            self._check_rate(_network(scope))
            raise not_found("segment")
        requested = MediaObject(key, _content_type(track), FOR_EVER)
        try:
            found = await self._media.object(requested)
        except ObjectNotFound as error:
            raise not_found("segment") from error
        await answer.media(found, content_type=requested.content_type, cache=FOR_EVER)

    async def _channel(self, scope: Scope, request: StreamRequest) -> LiveChannel:
        if request.generation_id is None:
            raise not_found("stream")
        channel = self._channels.known(request.generation_id)
        if channel is None:
            self._check_rate(_network(scope))
            channel = await self._channels.channel(request.generation_id)
        if channel is None or channel.gone or channel.timeline.rows.playback_id != request.playback_id:
            raise _not_live()
        _check_token(request, private=channel.timeline.rows.private)
        return channel

    def _saw(self, scope: Scope, channel: LiveChannel, name: str) -> None:
        viewer = viewer_name(_network(scope), header(scope, b"user-agent") or "")
        self._watching.saw(channel.generation_id, name, viewer)


def _check_method(scope: Scope) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        headers = {"Allow": "GET, HEAD, OPTIONS"}
        detail = f"{scope['method']} is not allowed here."
        raise Problem(status=405, code="method_not_allowed", detail=detail, headers=headers)


def _check_token(request: StreamRequest, *, private: bool) -> None:
    """Raise Problem (404) for a private stream without its token, as for one that there is not."""
    if private and not playback_token_holds(request.token, request.playback_id, now=time.time()):
        raise _not_live()


def _not_live() -> Problem:
    """Build the answer about a stream that has nothing to play. It may have in a moment."""
    detail = "There is nothing to play at this URL now."
    return Problem(status=404, code="stream_not_live", detail=detail, retryable=True, headers={"Retry-After": "2"})


def _track(channel: LiveChannel, request: StreamRequest) -> Track:
    track = channel.timeline.track(request.rendition)
    if track is None:
        raise not_found("rendition")
    return track


def _content_type(track: Track) -> str:
    return "video/mp4" if track.is_video else "audio/mp4"


def _recording(scope: Scope, request: StreamRequest, playable: Playable) -> str:
    url = playable.recording_hls if request.file == MASTER else playable.recording_dash
    return f"{scope.get('root_path', '')}{url}" if url.startswith("/") else url


def _network(scope: Scope) -> str:
    host, _ = scope.get("client") or ("", 0)
    return client_network(host)
