"""POST /api/v1/videos/upload, as an ASGI application in front of Django.

Django's own handler spools a whole body to disk before any view runs. Here the file goes straight into the store while
it arrives, in constant memory: the client is read no faster than the store takes parts.
"""

import asyncio
import hashlib
import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import DatabaseError, close_old_connections
from django.urls import reverse
from rest_framework.renderers import JSONRenderer

from access.services import default_owner
from api.asgi import App, Body, Receive, Scope, Send, declared_length, header, refuse, send_json
from api.problems import Problem, internal_error, problem_of, too_large, unavailable, wrong_field
from storage.keys import source_key
from storage.protocol import ObjectStore, Stored
from storage.stream import IncomingObject, Lanes
from transcoding.sniff import HEAD_BYTES, sniff
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
    filename: str
    container: str
    sha256: str
    stored: Stored


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
                location, answer = await self._take(scope, body)
        except _ClientGoneError:
            log.info("upload broken off by the client", extra={"event": "upload_broken_off"})
        except Exception as error:  # noqa: BLE001 - the last line of defence: whatever it is, the client gets a problem
            await refuse(scope, body, send, _problem(error))
        else:
            await send_json(send, 201, answer, {"Location": location})

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

    async def _take(self, scope: Scope, body: Body) -> tuple[str, bytes]:
        request = ASGIRequest(scope, io.BytesIO())
        self._check(scope, request)
        form = VideoForm(header(scope, b"content-type"))
        video_id = uuid4()
        incoming = IncomingObject(
            self._store,
            source_key(video_id),
            STORED_TYPE,
            lanes=self._lanes,
            parallel_parts=self._limits.parallel_parts,
        )
        try:
            received = await self._receive_file(body, form, incoming, video_id)
        except BaseException:
            await _abort(incoming)
            raise
        try:
            return await sync_to_async(self._record, thread_sensitive=False)(request, received)
        except BaseException:
            if await sync_to_async(_is_unknown, thread_sensitive=False)(video_id):
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

    async def _receive_file(self, body: Body, form: VideoForm, incoming: IncomingObject, video_id: UUID) -> Received:
        file = _File(incoming)
        async for chunk in self._chunks(body):
            for data in form.feed(chunk):
                await file.write(data)
                if file.size > self._limits.max_bytes:
                    raise self._too_large()
        form.close()
        return await file.finish(video_id, form.filename or "")

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

    def _record(self, request: ASGIRequest, received: Received) -> tuple[str, bytes]:
        with _connections():
            video = video_create(
                video_id=received.video_id,
                owner=default_owner(),
                filename=received.filename,
                size_bytes=received.stored.size,
                etag=received.stored.etag,
                container=received.container,
                sha256=received.sha256,
                then=self._on_uploaded,
            )
            return reverse("video-detail", args=[video.id]), JSONRenderer().render(video_document(video, request))


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

    async def finish(self, video_id: UUID, filename: str) -> Received:
        if not self.size:
            raise wrong_field(FIELD, "the file is empty", code="empty_file")
        container = self._container or _container(self._head)
        stored = await self._incoming.finish()
        return Received(
            video_id=video_id,
            filename=filename,
            container=container,
            sha256=self._sha256.hexdigest(),
            stored=stored,
        )


class _ClientGoneError(Exception):
    pass


@contextmanager
def _connections() -> Iterator[None]:
    """Do for this thread's database connection what Django does around a request."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def _is_unknown(video_id: UUID) -> bool:
    """Whether a row that failed to be written is really not there: the answer to a COMMIT can get lost."""
    try:
        with _connections():
            return not Video.objects.filter(id=video_id).exists()
    except DatabaseError:
        return False


def _stalled() -> Problem:
    return Problem(status=408, code="upload_stalled", detail="The client stopped sending.", retryable=True)


def _container(head: bytes) -> str:
    family = sniff(head)
    if family is None:
        raise wrong_field(FIELD, "the file is not a video in a container that is accepted", code="not_a_video")
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
