"""PUT /api/v1/uploads/{id}/parts/{n}, as an ASGI application in front of Django, where clients cannot reach the store.

A part is received as a whole before it is sent on: it is no larger than the part of a form, and the slots of
the process and the stall timeout of the client are those of forms, too.
"""

import asyncio
import base64
import binascii
import hashlib
import io
import logging
import re
from dataclasses import dataclass
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from rest_framework.renderers import JSONRenderer

from access.callers import Caller
from access.rates import admit_caller, check_part_rate
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
    send_json,
)
from api.problems import Problem, any_problem_of, invalid_field
from api.request_log import describe_request
from api.turns import Turns
from storage.errors import UploadNotFound
from storage.parts import PartBuffer
from storage.protocol import Bytes, ObjectStore
from videos.models import Upload
from videos.uploads.incoming import StallTimeout
from videos.uploads.limits import OpenLimits
from videos.uploads.selectors import refuse_over, refuse_parts, upload_of
from videos.uploads.services import part_size, upload_renew
from videos.uploads.slots import UploadSlots, check_head

ROUTE = "/api/v1/uploads/{upload_id}/parts/{number}"
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PATH = re.compile(rf"/api/v1/uploads/({_UUID})/parts/([0-9]{{1,100}})")
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]{1,60}):")

log = logging.getLogger(__name__)


class PartRoute:
    """ASGI application that takes parts of uploads and passes all other requests on."""

    def __init__(
        self,
        app: App,
        *,
        store: ObjectStore,
        open_limits: OpenLimits,
        turns: Turns,
        slots: UploadSlots,
    ) -> None:
        self._app = app
        self._store = store
        self._limits = slots.limits
        self._open_limits = open_limits
        self._turns = turns
        self._slots = slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = _PATH.fullmatch(path_below_prefix(scope)) if scope["type"] == "http" else None
        if named is None or scope["method"] != "PUT":
            await self._app(scope, receive, send)
            return
        describe_request(scope, route=ROUTE)
        body = Body(receive)
        try:
            response = await self._take(scope, body, UUID(named[1]), int(named[2]))
        except _ClientGoneError:
            log.info("part broken off by the client", extra={"event": "part_broken_off"})
        except Exception as error:  # noqa: BLE001 - the last line of defence: whatever it is, the client gets a problem
            await refuse(scope, body, send, any_problem_of(error))
        else:
            await send_json(send, 200, response, {})

    async def _take(self, scope: Scope, body: Body, upload_id: UUID, number: int) -> bytes:
        request = ASGIRequest(scope, io.BytesIO())
        check_head(scope, request, self._limits)
        promised = _promised(scope)
        await self._slots.refuse_early(scope)
        async with self._turns.turn(scope):
            caller = await in_thread(admit_caller, scope, AccessScope.VIDEOS_WRITE)
            upload = await in_thread(self._upload, caller, upload_id)
        size = part_size(upload, number)
        _check_length(scope, size, number)
        with self._slots.taken(caller.owner.id):
            data = await self._receive(body, size, number)
            etag = await asyncio.wrap_future(self._slots.pool.submit(self._store_part, upload, number, data, promised))
        return JSONRenderer().render({"number": number, "size": size, "etag": etag})

    def _upload(self, caller: Caller, upload_id: UUID) -> Upload:
        """Return the upload of a caller, if parts of it may still arrive. Raises Problem."""
        check_part_rate(caller)
        upload = upload_of(caller.owner, upload_id)
        refuse_parts(upload)
        refuse_over(upload)
        upload_renew(upload=upload, limits=self._open_limits)
        return upload

    async def _receive(self, body: Body, size: int, number: int) -> memoryview:
        stall_timeout = StallTimeout(self._limits)
        data = PartBuffer(size)
        while not body.ended:
            message = await stall_timeout.wait(body)
            if message["type"] == "http.disconnect":
                raise _ClientGoneError
            if body.size > size:
                raise _wrong_size(number, size)
            data.take(memoryview(message.get("body", b"")))
        if len(data) < size:
            raise _wrong_size(number, size)
        return data.data

    def _store_part(self, upload: Upload, number: int, data: Bytes, promised: "Promised | None") -> str:
        if promised and hashlib.new(promised.algorithm, data).digest() != promised.digest:
            detail = f"does not match the body: part {number} was damaged on its way"
            raise invalid_field(promised.header, detail, code="part_damaged")
        try:
            return self._store.put_part(upload.key, upload.multipart_id, number, data)
        except UploadNotFound as error:
            detail = "The upload was completed or aborted in the meantime."
            raise Problem(status=409, code="upload_over", detail=detail) from error


@dataclass(frozen=True, slots=True)
class Promised:
    """The digest of a part that its client computed."""

    header: str
    algorithm: str
    digest: bytes


def _promised(scope: Scope) -> Promised | None:
    """Read `Content-Digest` (RFC 9530), or `Content-MD5`. Raises Problem (422) for one that is none."""
    if text := header(scope, b"content-digest"):
        matched = _DIGEST.search(text)
        if matched:  # other algorithms may stand beside it, or alone, and need not be known
            return Promised("Content-Digest", "sha256", _decoded("Content-Digest", matched[1], 32))
    if text := header(scope, b"content-md5"):
        return Promised("Content-MD5", "md5", _decoded("Content-MD5", text, 16))
    return None


def _decoded(name: str, text: str, length: int) -> bytes:
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != length:
        raise invalid_field(name, f"must be the base64 of {length} bytes")
    return digest


def _check_length(scope: Scope, size: int, number: int) -> None:
    length = declared_length(scope)
    if length is None:
        detail = f"Content-Length is required: part {number} has {size} bytes."
        raise Problem(status=411, code="length_required", detail=detail)
    if length != size:
        raise _wrong_size(number, size)


def _wrong_size(number: int, size: int) -> Problem:
    return invalid_field("Content-Length", f"part {number} must have {size} bytes", code="wrong_part_size")


class _ClientGoneError(Exception):
    pass
