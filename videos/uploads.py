"""POST /api/v1/videos/upload, as an ASGI application in front of Django.

Django's own handler spools a whole body to disk before any view runs. Here the file goes straight into the store while
it arrives, in constant memory: the client is read no faster than the store takes parts.
"""

import asyncio
import hashlib
import io
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.core.handlers.asgi import ASGIRequest
from django.db import DatabaseError
from django.urls import reverse
from rest_framework.renderers import JSONRenderer

from access.callers import Caller, caller_in
from access.idempotency import (
    HEADER,
    RENEW_SECONDS,
    Answer,
    Claim,
    claim_answer,
    claim_or_answer,
    claim_release,
    claim_renew,
    fingerprint_of,
    key_checked,
)
from access.rates import upload_take
from access.scopes import Scope as AccessScope
from api.asgi import (
    App,
    Body,
    Receive,
    Scope,
    Send,
    answer_early,
    declared_length,
    header,
    in_thread,
    refuse,
    send_json,
)
from api.problems import Problem, internal_error, problem_of, too_large, unavailable, wrong_field
from observability import metrics
from storage.keys import source_key
from storage.protocol import ObjectStore, Stored
from storage.stream import IncomingObject, Lanes
from transcoding.sniff import HEAD_BYTES, NOT_A_VIDEO, sniff
from videos.forms import FIELD, VideoForm
from videos.models import Video
from videos.representations import video_document
from videos.services import video_create

PATH = "/api/v1/videos/upload"
STORED_TYPE = "application/octet-stream"
"""Never the client's: a browser that opens the store's address must not run what somebody uploaded."""

FORM_BYTES = 64 * 1024
"""How much longer than its file a form may be."""

TIDY_SECONDS = 20.0
INTERNAL_ERROR = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """What one process takes. `parts_in_memory` is the bound for all uploads together.

    Each upload under way has another part that is being filled.
    """

    max_bytes: int
    max_uploads: int = 32
    parallel_parts: int = 4
    parts_in_memory: int = 16
    idle_seconds: float = 60.0
    https_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A file that lies in the store and has no row yet."""

    video_id: UUID
    form: VideoForm
    container: str
    sha256: str
    stored: Stored


class _Once:
    """The Idempotency-Key of one upload, if it has one, claimed as soon as the file's name has arrived.

    Two uploads are the same request when their names and declared lengths are: the rest of a body can be compared only
    after all of it was sent again.
    """

    def __init__(self, scope: Scope, caller: Caller) -> None:
        self._scope = scope
        self._caller = caller
        self._key = key_checked(header(scope, HEADER.lower().encode()))
        self._renewed_at = -math.inf
        self.claim: Claim | None = None

    async def keep(self, form: VideoForm) -> None:
        """Claim the key when it can be, and renew the claim now and then. Raises Problem, or _DoneBeforeError."""
        if self._key is None or form.filename is None or time.monotonic() - self._renewed_at < RENEW_SECONDS:
            return
        self._renewed_at = time.monotonic()
        await in_thread(self._claim_or_renew, form.filename)

    def _claim_or_renew(self, filename: str) -> None:
        if self.claim:
            claim_renew(self.claim)
            return
        fingerprint = fingerprint_of(["POST", PATH, filename, str(declared_length(self._scope))])
        found = claim_or_answer(owner=self._caller.owner, key=self._key or "", fingerprint=fingerprint)
        if isinstance(found, Answer):
            raise _DoneBeforeError(found)
        self.claim = found

    async def release(self) -> None:
        """Let the key be used again: the upload failed. A claim that cannot be given back runs out."""
        if self.claim:
            try:
                await in_thread(claim_release, self.claim)
            except DatabaseError as error:
                log.warning("claim not released: %s", error, extra={"event": "claim_not_released"})


class UploadRoute:
    """Takes uploads and passes everything else on. `on_uploaded` runs in the transaction that records the video."""

    def __init__(
        self, app: App, *, store: ObjectStore, limits: UploadLimits, on_uploaded: Callable[[Video], object]
    ) -> None:
        self._app = app
        self._store = store
        self._limits = limits
        self._on_uploaded = on_uploaded
        self._lanes = Lanes(limits.parts_in_memory)
        self._under_way: set[asyncio.Task[None]] = set()
        self._taken = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            upload = asyncio.ensure_future(self._answer(scope, receive, send))
            self._under_way.add(upload)
            upload.add_done_callback(self._under_way.discard)
            await upload
        else:
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Have the server wait, when it ends, for the uploads it broke off: they have to tidy up.

        Django knows nothing of an application's life, so this is not passed on.
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
            with self._place():
                answer = await self._take(scope, body)
        except _ClientGoneError:
            metrics.UPLOADS.add(outcome="broken off")
            log.info("upload broken off by the client", extra={"event": "upload_broken_off"})
        except _DoneBeforeError as done:
            before = done.answer
            await answer_early(
                scope, body, send, before.status, "application/json", before.body.encode(), before.headers()
            )
        except Exception as error:  # noqa: BLE001 - the last line of defence: whatever it is, the client gets a problem
            problem = _problem(error)
            metrics.UPLOADS.add(outcome="failed" if problem.status >= INTERNAL_ERROR else "refused")
            await refuse(scope, body, send, problem)
        else:
            metrics.UPLOADS.add(outcome="accepted")
            await send_json(send, answer.status, answer.body.encode(), {"Location": answer.location})

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the uploads that this process takes at a time. Raises Problem when there are enough."""
        if self._taken >= self._limits.max_uploads:
            raise unavailable("too_many_uploads", "As many videos as can be taken at a time are being uploaded.")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def _take(self, scope: Scope, body: Body) -> Answer:
        request = ASGIRequest(scope, io.BytesIO())
        self._check(scope, request)
        caller = await in_thread(caller_in, scope, AccessScope.VIDEOS_WRITE)
        await in_thread(upload_take, caller)
        form = VideoForm(header(scope, b"content-type"))
        once = _Once(scope, caller)
        try:
            return await self._take_file(request, body, form, caller, once)
        except BaseException:
            await once.release()
            raise

    async def _take_file(
        self, request: ASGIRequest, body: Body, form: VideoForm, caller: Caller, once: _Once
    ) -> Answer:
        video_id = uuid4()
        incoming = IncomingObject(
            self._store,
            source_key(video_id),
            STORED_TYPE,
            lanes=self._lanes,
            parallel_parts=self._limits.parallel_parts,
        )
        try:
            received = await self._receive_file(body, form, incoming, video_id, once)
        except BaseException:
            await _abort(incoming)
            raise
        try:
            return await in_thread(self._record, request, received, caller, once.claim)
        except BaseException:
            if await in_thread(_is_unknown, video_id):
                await _abort(incoming)
            raise

    def _check(self, scope: Scope, request: ASGIRequest) -> None:
        """Refuse before the first byte of the body what can be refused then."""
        request.get_host()  # raises for a host that is not ours
        if self._limits.https_only and not request.is_secure():
            raise Problem(status=403, code="https_required", detail="Uploads are accepted over HTTPS only.")
        if header(scope, b"content-encoding") not in (None, "identity"):
            raise Problem(status=415, code="unsupported_media_type", detail="The body must not be compressed.")
        if (declared_length(scope) or 0) > self._limits.max_bytes + FORM_BYTES:
            raise self._too_large()

    def _too_large(self) -> Problem:
        return too_large(f"A video may have {self._limits.max_bytes} bytes.", field=FIELD)

    async def _receive_file(
        self, body: Body, form: VideoForm, incoming: IncomingObject, video_id: UUID, once: _Once
    ) -> Received:
        file = _File(incoming)
        async for chunk in self._chunks(body):
            arrived = form.feed(chunk)
            await once.keep(form)
            for data in arrived:
                await file.write(data)
                if file.size > self._limits.max_bytes:
                    raise self._too_large()
        form.close()
        return await file.finish(video_id, form)

    async def _chunks(self, body: Body) -> AsyncIterator[bytes]:
        while not body.ended:
            try:
                message = await asyncio.wait_for(body(), self._limits.idle_seconds)
            except TimeoutError:
                raise _stalled() from None
            if message["type"] == "http.disconnect":
                raise _ClientGoneError
            if body.size > self._limits.max_bytes + FORM_BYTES:
                raise self._too_large()
            yield message.get("body", b"")

    def _record(self, request: ASGIRequest, received: Received, caller: Caller, claim: Claim | None) -> Answer:
        def recorded(video: Video) -> None:
            self._on_uploaded(video)
            if claim:
                claim_answer(claim, _answer(video, request))

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
            then=recorded,
        )
        metrics.UPLOAD_BYTES.add(received.stored.size)
        return _answer(video, request)


class _File:
    """The file as it passes by: its first bytes are looked at before any is stored, all are counted and hashed."""

    def __init__(self, incoming: IncomingObject) -> None:
        self.size = 0
        self._incoming = incoming
        self._head = b""
        self._container: str | None = None
        self._sha256 = hashlib.sha256()

    async def write(self, data: memoryview) -> None:
        self.size += len(data)
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
            if len(self._head) == HEAD_BYTES:
                self._container = _container(self._head)
        self._sha256.update(data)
        await self._incoming.write(data)  # keeps the first part, far more than the head, until it is full

    async def finish(self, video_id: UUID, form: VideoForm) -> Received:
        if not self.size:
            raise wrong_field(FIELD, "the file is empty", code="empty_file")
        container = self._container or _container(self._head)
        stored = await self._incoming.finish()
        return Received(
            video_id=video_id,
            form=form,
            container=container,
            sha256=self._sha256.hexdigest(),
            stored=stored,
        )


class _ClientGoneError(Exception):
    pass


class _DoneBeforeError(Exception):
    """The same request was answered before."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def _answer(video: Video, request: ASGIRequest) -> Answer:
    body = JSONRenderer().render(video_document(video, request)).decode()
    return Answer(status=201, body=body, location=reverse("video-detail", args=[video.id]))


def _is_unknown(video_id: UUID) -> bool:
    """Whether a row that failed to be written is really not there: the answer to a COMMIT can get lost."""
    try:
        return not Video.objects.filter(id=video_id).exists()
    except DatabaseError:
        return False


def _stalled() -> Problem:
    return Problem(status=408, code="upload_stalled", detail="The client stopped sending.", retryable=True)


def _container(head: bytes) -> str:
    family = sniff(head)
    if family is None:
        raise wrong_field(FIELD, NOT_A_VIDEO, code="not_a_video")
    return family


async def _abort(incoming: IncomingObject) -> None:
    """Leave nothing behind. A store that fails now too must not hide why the upload failed."""
    try:
        await incoming.abort()
    except Exception:
        log.exception("the remains of an upload stay in the store", extra={"event": "upload_remains"})


def _problem(error: Exception) -> Problem:
    problem = problem_of(error)
    if problem is None:
        log.error("upload failed", exc_info=error)
    return problem or internal_error()
