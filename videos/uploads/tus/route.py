"""tus 1.0 at /api/v1/uploads/tus, as an ASGI application in front of Django.

No server for Python fits: those that are maintained keep files in a folder, or belong to another framework. Here the
bytes go into the multipart upload of the row while they arrive, as those of forms do, and any process can go on.
"""

import asyncio
import io
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NamedTuple
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.urls import reverse

from access.callers import Caller
from access.idempotency import HEADER
from access.rates import admit_caller, check_part_rate, check_read_rate
from access.scopes import Scope as AccessScope
from api.asgi import App, Body, Receive, Scope, Send, declared_length, in_thread, path_below_prefix, refuse
from api.problems import Problem, any_problem_of, invalid_field, not_found
from api.request_log import describe_request
from api.turns import Turns
from storage.protocol import ObjectStore
from videos.models import Upload
from videos.states import UploadState
from videos.uploads.limits import OpenLimits
from videos.uploads.services import upload_abort, upload_renew
from videos.uploads.slots import UploadSlots, check_head
from videos.uploads.tus import protocol
from videos.uploads.tus.locks import tus_upload_of, upload_lock
from videos.uploads.tus.protocol import Checksum, Headers
from videos.uploads.tus.request import AppendRequest, ClientGoneError
from videos.usage.quotas import bytes_left

PATH = "/api/v1/uploads/tus"
ROUTE = f"{PATH}/{{upload_id}}"

TusOpens = Callable[[Caller, Mapping[str, Any], int | None, str | None], Upload]
"""Opens an upload: checks its fields, and takes its size in bytes, if known, and the Idempotency-Key.

A repeated request gets the upload of the first one. Raises Problem, and REST framework's ValidationError.
"""
Completes = Callable[[Upload], Upload]
"""Makes a video of an upload of which all is there."""

log = logging.getLogger(__name__)


class TusAnswer(NamedTuple):
    """A response without a body."""

    status: int
    headers: Mapping[str, str]


class TusRoute:
    """ASGI application that handles tus uploads and passes all other requests on."""

    def __init__(  # noqa: PLR0913 - all that it works with, by name
        self,
        app: App,
        *,
        store: ObjectStore,
        open_limits: OpenLimits,
        turns: Turns,
        slots: UploadSlots,
        opens: TusOpens,
        completes: Completes,
    ) -> None:
        self._app = app
        self._store = store
        self._limits = slots.limits
        self._open_limits = open_limits
        self._turns = turns
        self._slots = slots
        self._opens = opens
        self._completes = completes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = path_below_prefix(scope) if scope["type"] == "http" else ""
        if path != PATH and not path.startswith(f"{PATH}/"):
            await self._app(scope, receive, send)
            return
        name = path.removeprefix(PATH).removeprefix("/")
        describe_request(scope, route=ROUTE if name else PATH)
        request = asyncio.ensure_future(self._answer(scope, receive, send, name))
        self._slots.under_way.add(request)
        request.add_done_callback(self._slots.under_way.discard)
        await request

    async def _answer(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        body = Body(receive)
        headers = _headers(scope)
        # Clients without PATCH and DELETE send POST with this header. The CSRF check sees the method that counts.
        scope = {**scope, "method": headers.get("x-http-method-override", scope["method"]).upper()}
        try:
            answer = await self._handle(scope, headers, body, name)
        except ClientGoneError:
            log.info("tus request broken off by the client", extra={"event": "upload_broken_off"})
        except Exception as error:  # noqa: BLE001 - the last line of defence: whatever it is, the client gets a problem
            problem = any_problem_of(error)
            spoken = {"Tus-Resumable": protocol.VERSION, "Cache-Control": "no-store", **problem.headers}
            await refuse(scope, body, send, replace(problem, headers=spoken))
        else:
            await _send(send, answer)

    async def _handle(self, scope: Scope, headers: Headers, body: Body, name: str) -> TusAnswer:
        method = scope["method"]
        if method == "OPTIONS":
            return TusAnswer(204, protocol.options(self._limits.max_bytes))
        allowed = {"HEAD": self._head, "PATCH": self._patch, "DELETE": self._delete} if name else {"POST": self._post}
        if method not in allowed:
            raise _not_allowed(method, ("OPTIONS", *allowed))
        protocol.check_version(headers)
        check_head(scope, ASGIRequest(scope, io.BytesIO()), self._limits)
        return await allowed[method](scope, headers, body, name)

    async def _caller(self, scope: Scope, check_rate: Callable[[Caller], None]) -> Caller:
        def admit() -> Caller:
            caller = admit_caller(scope, AccessScope.VIDEOS_WRITE)
            check_rate(caller)
            return caller

        async with self._turns.turn(scope):
            return await in_thread(admit)

    async def _post(self, scope: Scope, headers: Headers, body: Body, _: str) -> TusAnswer:
        size = protocol.declared_size(headers)
        if size == 0:
            raise invalid_field("Upload-Length", "the file is empty", code="empty_file")
        fields = protocol.upload_fields(headers)
        length = _body_length(scope, headers)
        if length != 0:
            protocol.check_body_type(headers)
        checksum = Checksum.from_header(headers)
        caller = await self._caller(scope, check_part_rate)
        async with self._turns.turn(scope):
            upload = await in_thread(self._opens, caller, fields, size, headers.get(HEADER.lower()))
        if length != 0:
            upload = await self._append(scope, body, caller, upload.id, offset=upload.received_bytes, checksum=checksum)
        location = reverse("tus-upload", args=[upload.id])
        return TusAnswer(201, {"Location": location, **_progress(upload)})

    async def _patch(self, scope: Scope, headers: Headers, body: Body, name: str) -> TusAnswer:
        offset = protocol.body_offset(headers)
        checksum, size = Checksum.from_header(headers), protocol.later_size(headers)
        await self._slots.refuse_early(scope)
        caller = await self._caller(scope, check_part_rate)
        upload = await self._append(scope, body, caller, _id(name), offset=offset, checksum=checksum, size=size)
        return TusAnswer(204, _progress(upload))

    async def _head(self, scope: Scope, _: Headers, __: Body, name: str) -> TusAnswer:
        caller = await self._caller(scope, check_read_rate)
        upload = await in_thread(tus_upload_of, caller.owner, _id(name))
        if upload.state == UploadState.OPEN and upload.received_bytes == upload.size_bytes:
            upload = await self._completed(scope, upload)  # the process that took its last byte was killed
        length = (
            {"Upload-Defer-Length": "1"} if upload.size_bytes is None else {"Upload-Length": str(upload.size_bytes)}
        )
        labels = {"Upload-Metadata": metadata} if (metadata := protocol.metadata_header(_fields(upload))) else {}
        return TusAnswer(200, {"Cache-Control": "no-store", **length, **labels, **_progress(upload)})

    async def _delete(self, scope: Scope, _: Headers, __: Body, name: str) -> TusAnswer:
        caller = await self._caller(scope, check_part_rate)

        def abort() -> None:
            upload = tus_upload_of(caller.owner, _id(name))
            upload_abort(owner=caller.owner, upload_id=upload.id, store=self._store)

        await in_thread(abort)
        return TusAnswer(204, {"Tus-Resumable": protocol.VERSION})

    async def _append(  # noqa: PLR0913 - a request and what it is about
        self,
        scope: Scope,
        body: Body,
        caller: Caller,
        upload_id: UUID,
        *,
        offset: int,
        checksum: Checksum | None,
        size: int | None = None,
    ) -> Upload:
        length = declared_length(scope)

        def lock() -> tuple[Upload, OpenLimits]:
            upload = upload_lock(
                owner=caller.owner,
                upload_id=upload_id,
                offset=offset,
                length=length,
                size_bytes=size,
                limits=self._open_limits,
            )
            upload_renew(upload=upload, limits=self._open_limits)
            return upload, _within_quota(upload, self._open_limits)

        with self._slots.taken(caller.owner.id):
            async with self._turns.turn(scope):
                upload, open_limits = await in_thread(lock)
            request = AppendRequest(
                upload,
                checksum=checksum,
                store=self._store,
                pool=self._slots.pool,
                limits=self._limits,
                open_limits=open_limits,
            )
            stored = await request.run(body)
            upload.received_bytes = stored.received_bytes
            if stored.received_bytes == upload.size_bytes:
                upload = await self._completed(scope, upload)
        return upload

    async def _completed(self, scope: Scope, upload: Upload) -> Upload:
        async with self._turns.turn(scope):
            return await in_thread(self._completes, upload)


def _within_quota(upload: Upload, limits: OpenLimits) -> OpenLimits:
    """Limit an upload of unknown size to what its owner has room for. Others have reserved theirs."""
    left = bytes_left(upload.owner_id) if upload.size_bytes is None else None
    return limits if left is None else replace(limits, max_bytes=min(limits.max_bytes, upload.received_bytes + left))


def _headers(scope: Scope) -> Headers:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def _body_length(scope: Scope, headers: Headers) -> int | None:
    """Return the length of a body; None: it is chunked."""
    return None if "transfer-encoding" in headers else declared_length(scope) or 0


def _id(name: str) -> UUID:
    if not _UUID.fullmatch(name):
        raise not_found("upload")
    return UUID(name)


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _progress(upload: Upload) -> dict[str, str]:
    open_until = {"Upload-Expires": protocol.http_date(upload.expires_at)} if upload.state == UploadState.OPEN else {}
    return {"Tus-Resumable": protocol.VERSION, "Upload-Offset": str(upload.received_bytes), **open_until}


def _fields(upload: Upload) -> dict[str, Any]:
    return {
        "filename": upload.filename,
        "external_id": upload.external_id,
        "metadata": upload.client_metadata or None,
        "checksum": f"sha256:{upload.sha256}" if upload.sha256 else "",
        "loudness": upload.measure_loudness or None,
    }


def _not_allowed(method: str, allowed: tuple[str, ...]) -> Problem:
    detail = f'Method "{method[:20]}" not allowed.'
    return Problem(status=405, code="method_not_allowed", detail=detail, headers={"Allow": ", ".join(allowed)})


async def _send(send: Send, answer: TusAnswer) -> None:
    length = {} if answer.status == HTTPStatus.NO_CONTENT else {"Content-Length": "0"}
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in {**answer.headers, **length}.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": b""})
