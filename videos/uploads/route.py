"""POST /api/v1/videos/upload, as an ASGI application in front of Django.

Django's handler reads the whole body before the view runs. Here the file goes straight into the store while it arrives,
in constant memory: the client is read no faster than the store takes parts.
"""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from uuid import UUID, uuid4

from django.core.handlers.asgi import ASGIRequest
from django.db import DatabaseError
from django.urls import reverse
from rest_framework.renderers import JSONRenderer

from access.callers import Caller
from access.idempotency import (
    Claim,
    StoredResponse,
    claim_complete,
)
from access.rates import admit_caller, check_upload_rate
from access.scopes import Scope as AccessScope
from api.asgi import (
    App,
    Body,
    Receive,
    Scope,
    Send,
    declared_length,
    header,
    in_thread,
    path_below_prefix,
    refuse,
    respond_early,
    send_json,
)
from api.problems import Problem, any_problem_of, too_large
from api.request_log import describe_request
from api.turns import Turns
from observability import metrics
from storage.keys import source_key
from storage.parts import part_bytes_for
from storage.protocol import ObjectStore
from storage.stream import IncomingObject
from videos.documents import video_document
from videos.models import Video
from videos.services import video_create
from videos.uploads.form import FIELD, VideoForm
from videos.uploads.idempotency import PATH, AnsweredBeforeError, UploadIdempotency
from videos.uploads.incoming import STORED_TYPE, IncomingFile, Received, StallTimeout, abort_upload
from videos.uploads.limits import FORM_BYTES
from videos.uploads.quick_look import Look
from videos.uploads.slots import UploadSlots, check_head
from videos.usage.quotas import bytes_left, quota_check, quota_keep, quota_spent

TIDY_SECONDS = 20.0
INTERNAL_ERROR = 500

log = logging.getLogger(__name__)


class UploadRoute:
    """ASGI application that handles uploads and passes all other requests on.

    `on_uploaded` runs in the transaction that records the video. `look` finds out what its headers say.
    """

    def __init__(  # noqa: PLR0913 - all that it works with, by name
        self,
        app: App,
        *,
        store: ObjectStore,
        turns: Turns,
        slots: UploadSlots,
        on_uploaded: Callable[[Video], object],
        look: Look,
    ) -> None:
        self._app = app
        self._look = look
        self._store = store
        self._limits = slots.limits
        self._on_uploaded = on_uploaded
        self._under_way = slots.under_way
        self._turns = turns
        self._slots = slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif _is_upload_by(scope, "POST"):
            describe_request(scope, route=PATH)
            upload = asyncio.ensure_future(self._answer(scope, receive, send))
            self._under_way.add(upload)
            upload.add_done_callback(self._under_way.discard)
            await upload
        elif _is_upload_by(scope, "PUT", "PATCH"):  # Django would read the body, and find it too large
            describe_request(scope, route=PATH)
            await refuse(scope, Body(receive), send, _not_allowed(scope["method"]))
        else:
            await self._app(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Let the server wait at its shutdown for the uploads that it aborted: they have to clean up.

        Django has no lifespan protocol, so this is not passed on.
        """
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=TIDY_SECONDS)
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Body(receive)
        try:
            answer = await self._take(scope, body)
        except _ClientGoneError:
            metrics.UPLOADS.add(outcome="broken off")
            log.info("upload broken off by the client", extra={"event": "upload_broken_off"})
        except AnsweredBeforeError as done:
            before = done.response
            await respond_early(
                scope, body, send, before.status, "application/json", before.body.encode(), before.headers()
            )
        except Exception as error:  # noqa: BLE001 - the last line of defence: whatever it is, the client gets a problem
            problem = any_problem_of(error)
            metrics.UPLOADS.add(outcome="failed" if problem.status >= INTERNAL_ERROR else "refused")
            await refuse(scope, body, send, problem)
        else:
            metrics.UPLOADS.add(outcome="accepted")
            await send_json(send, answer.status, answer.body.encode(), {"Location": answer.location})

    async def _take(self, scope: Scope, body: Body) -> StoredResponse:
        request = ASGIRequest(scope, io.BytesIO())
        self._check(scope, request)
        await self._slots.refuse_early(scope)
        async with self._turns.turn(scope):
            caller = await in_thread(admit_caller, scope, AccessScope.VIDEOS_WRITE)
        with self._slots.taken(caller.owner.id):
            await in_thread(check_upload_rate, caller)
            announced = max(0, (declared_length(scope) or 0) - FORM_BYTES)
            await in_thread(partial(quota_check, caller.owner.id, more_bytes=announced, field=FIELD))
            form = VideoForm(header(scope, b"content-type"))
            idempotency = UploadIdempotency(scope, caller)
            try:
                return await self._take_file(request, body, form, caller, idempotency)
            except BaseException:
                await idempotency.release()
                raise

    async def _take_file(
        self, request: ASGIRequest, body: Body, form: VideoForm, caller: Caller, idempotency: UploadIdempotency
    ) -> StoredResponse:
        video_id = uuid4()
        length = declared_length(request.scope) or self._limits.max_bytes
        incoming = IncomingObject(
            self._store,
            source_key(video_id),
            STORED_TYPE,
            pool=self._slots.pool,
            parallel_parts=self._limits.parallel_parts,
            part_bytes=part_bytes_for(min(length, self._limits.max_bytes), self._store.part_bytes),
        )
        try:
            file = IncomingFile(incoming, max_bytes=await in_thread(bytes_left, caller.owner.id))
            received = await self._receive_file(body, form, file, video_id, idempotency)
        except BaseException:
            await abort_upload(incoming)
            raise
        try:
            media = await self._look(received.stored, received.container)
            return await in_thread(self._record, request, received, media, caller, idempotency.claim)
        except BaseException:
            if await in_thread(_is_unknown, video_id):
                await abort_upload(incoming)
            raise

    def _check(self, scope: Scope, request: ASGIRequest) -> None:
        """Check everything that can be checked before the first byte of the body. Raises Problem."""
        check_head(scope, request, self._limits)
        if (declared_length(scope) or 0) > self._limits.max_bytes + FORM_BYTES:
            raise self._too_large()

    def _too_large(self) -> Problem:
        return too_large(f"A video may have {self._limits.max_bytes} bytes.", field=FIELD)

    async def _receive_file(
        self, body: Body, form: VideoForm, file: IncomingFile, video_id: UUID, idempotency: UploadIdempotency
    ) -> Received:
        async for chunk in self._chunks(body):
            arrived = form.feed(chunk)
            await idempotency.keep(form)
            for data in arrived:
                await file.write(data)
                if file.size > self._limits.max_bytes:
                    raise self._too_large()
                if file.max_bytes is not None and file.size > file.max_bytes:
                    raise quota_spent(file.max_bytes, field=FIELD)
        form.close()
        return await file.finish(video_id, form)

    async def _chunks(self, body: Body) -> AsyncIterator[bytes]:
        stall_timeout = StallTimeout(self._limits)
        while not body.ended:
            message = await stall_timeout.wait(body)
            if message["type"] == "http.disconnect":
                raise _ClientGoneError
            if body.size > self._limits.max_bytes + FORM_BYTES:
                raise self._too_large()
            yield message.get("body", b"")

    def _record(
        self,
        request: ASGIRequest,
        received: Received,
        media: Mapping[str, object] | None,
        caller: Caller,
        claim: Claim | None,
    ) -> StoredResponse:
        def recorded(video: Video) -> None:
            self._on_uploaded(video)
            if claim:
                claim_complete(claim, _answer(video, request))
            quota_keep(caller.owner.id, field=FIELD)

        fields = received.form.fields
        video = video_create(
            video_id=received.video_id,
            owner=caller.owner,
            filename=received.form.filename or "",
            size_bytes=received.stored.size,
            etag=received.stored.etag,
            container=received.container,
            sha256=received.sha256,
            external_id=fields.get("external_id", ""),
            client_metadata=fields.get("metadata"),
            measure_loudness=fields.get("loudness", False),
            media=media,
            then=recorded,
        )
        metrics.UPLOAD_BYTES.add(received.stored.size)
        return _answer(video, request)


def _is_upload_by(scope: Scope, *methods: str) -> bool:
    return scope["type"] == "http" and path_below_prefix(scope) == PATH and scope["method"] in methods


def _not_allowed(method: str) -> Problem:
    detail = f'Method "{method}" not allowed: a video is sent by POST.'
    return Problem(status=405, code="method_not_allowed", detail=detail, headers={"Allow": "POST, OPTIONS"})


class _ClientGoneError(Exception):
    pass


def _answer(video: Video, request: ASGIRequest) -> StoredResponse:
    body = JSONRenderer().render(video_document(video, request)).decode()
    return StoredResponse(status=201, body=body, location=reverse("video-detail", args=[video.id]))


def _is_unknown(video_id: UUID) -> bool:
    """Check that a row whose write failed is really missing: the answer to a COMMIT can get lost."""
    try:
        return not Video.objects.filter(id=video_id).exists()
    except DatabaseError:
        return False
