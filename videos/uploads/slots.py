"""Admission of requests that send bytes of videos: checks before the first byte, and the slots of one process."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest

from access.parties import known_owner
from api.asgi import Scope, header
from api.problems import Problem, over_limit, unavailable
from api.refusals import MAX_PAUSE_SECONDS
from api.views import check_query
from storage.stream import UploadPool
from videos.uploads.limits import UploadLimits

THREADS = 16
RETRY_AFTER_SECONDS = 5


def check_head(scope: Scope, request: ASGIRequest, limits: UploadLimits) -> None:
    """Check everything about a request that is the same for all of these. Raises Problem."""
    request.get_host()  # raises for a host that is not ours
    check_query(request.GET, frozenset())
    if limits.https_only and not request.is_secure():
        raise Problem(status=403, code="https_required", detail="Uploads are accepted over HTTPS only.")
    if header(scope, b"content-encoding") not in (None, "identity"):
        raise Problem(status=415, code="unsupported_media_type", detail="The body must not be compressed.")


class UploadSlots:
    """Slots of requests that send bytes, in one process: so many in all, and so many of one owner.

    `pool` has the threads that send parts to the store, which all of these requests share.
    """

    def __init__(self, limits: UploadLimits) -> None:
        self.limits = limits
        self.pool = UploadPool(THREADS, memory_bytes=limits.memory_bytes)
        self.under_way: set[asyncio.Task[None]] = set()
        """Requests for which the server waits at its end."""
        self._taken: Counter[UUID] = Counter()

    async def refuse_early(self, scope: Scope) -> None:
        """Refuse an owner who has enough uploads before any work, and not at once: its clients may come in hundreds."""
        owner_id = known_owner(scope)
        if owner_id and (refusal := self._owner_refusal(owner_id)):
            await asyncio.sleep(MAX_PAUSE_SECONDS)
            raise refusal

    @contextmanager
    def taken(self, owner_id: UUID) -> Iterator[None]:
        """Occupy one of the process's upload slots. Raises Problem if all are in use, or all that an owner may have."""
        if refusal := self._owner_refusal(owner_id):
            raise refusal
        if self._taken.total() >= self.limits.max_uploads:
            raise unavailable("too_many_uploads", "As many videos as can be taken at a time are being uploaded.")
        self._taken[owner_id] += 1
        try:
            yield
        finally:
            self._taken[owner_id] -= 1
            self._taken += Counter()  # drops owners without uploads

    def _owner_refusal(self, owner_id: UUID) -> Problem | None:
        if self._taken[owner_id] < self.limits.max_owner_uploads:
            return None
        detail = f"{self.limits.max_owner_uploads} of your uploads are running, which is the most at a time."
        return over_limit("too_many_uploads", detail, retry_after_seconds=RETRY_AFTER_SECONDS)
