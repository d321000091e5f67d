"""Publishers that are refused, or dropped, and why: RTMP gives them no reason, so we note it for the stream's owner."""

import logging
from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Now

from events.types import EventType
from livestreams.models import Livestream, Refusal
from livestreams.services.changes import livestream_event
from livestreams.states import RefusalCode

log = logging.getLogger(__name__)

_SAME_SECONDS = 60
"""Time within which refusals of one kind are one row and one event: encoders try again every few seconds."""


class Refused(Exception):
    """A publisher is not let in."""

    def __init__(self, code: RefusalCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def refusal_record(*, livestream: Livestream, code: RefusalCode, detail: str, address: str) -> None:
    """Note a refusal of a locked live stream. `address`: that of the publisher."""
    same = Refusal.objects.filter(
        livestream=livestream,
        code=code,
        publisher_address=address,
        last_at__gt=Now() - timedelta(seconds=_SAME_SECONDS),
    )
    newest = same.order_by("-last_at").values_list("id", flat=True).first()
    if newest is not None:
        Refusal.objects.filter(id=newest).update(count=F("count") + 1, last_at=Now(), detail=detail)
        return
    Refusal.objects.create(livestream=livestream, code=code, detail=detail, publisher_address=address)
    data = {"error": {"code": code.value, "detail": detail}, "publisher_address": address}
    livestream_event(livestream, EventType.LIVESTREAM_PUBLISH_REFUSED, data=data)
    said = {"event": "publish_refused", "livestream": str(livestream.id), "code": code.value}
    log.warning("publisher refused: %s", detail, extra=said)
