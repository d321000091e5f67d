"""The Idempotency-Key of an upload."""

import logging
import math
import time

from django.db import DatabaseError

from access.callers import Caller
from access.idempotency import (
    HEADER,
    RENEW_SECONDS,
    Claim,
    StoredResponse,
    checked_key,
    claim_or_response,
    claim_release,
    claim_renew,
    fingerprint_of,
)
from api.asgi import (
    Scope,
    declared_length,
    header,
    in_thread,
)
from videos.uploads.form import VideoForm

log = logging.getLogger(__name__)

PATH = "/api/v1/videos/upload"


class UploadIdempotency:
    """Idempotency-Key of one upload, if it has one, claimed as soon as the file's name has arrived.

    Two uploads are the same request when their names and declared lengths are: the rest of a body can be compared only
    after all of it was sent again.
    """

    def __init__(self, scope: Scope, caller: Caller) -> None:
        self._scope = scope
        self._caller = caller
        self._key = checked_key(header(scope, HEADER.lower().encode()))
        self._renewed_at = -math.inf
        self.claim: Claim | None = None

    async def keep(self, form: VideoForm) -> None:
        """Claim the key as soon as possible, and renew the claim now and then.

        Raises:
            AnsweredBeforeError: the same request was answered before.
            Problem: another request has the key.
        """
        if self._key is None or form.filename is None or time.monotonic() - self._renewed_at < RENEW_SECONDS:
            return
        self._renewed_at = time.monotonic()
        await in_thread(self._claim_or_renew, form.filename)

    def _claim_or_renew(self, filename: str) -> None:
        if self.claim:
            claim_renew(self.claim)
            return
        fingerprint = fingerprint_of(["POST", PATH, filename, str(declared_length(self._scope))])
        found = claim_or_response(owner=self._caller.owner, key=self._key or "", fingerprint=fingerprint)
        if isinstance(found, StoredResponse):
            raise AnsweredBeforeError(found)
        self.claim = found

    async def release(self) -> None:
        """Release the key of a failed upload. A claim that cannot be released expires."""
        if self.claim:
            try:
                await in_thread(claim_release, self.claim)
            except DatabaseError as error:
                log.warning("claim not released: %s", error, extra={"event": "claim_not_released"})


class AnsweredBeforeError(Exception):
    """The same request was answered before."""

    def __init__(self, response: StoredResponse) -> None:
        super().__init__()
        self.response = response
