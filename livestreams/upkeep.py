"""Parts of the janitor and of the dispatcher that look after live streams."""

from datetime import timedelta

from django.db.models.functions import Now

from livestreams.models import Refusal
from livestreams.services.watch import broadcasts_watch
from livestreams.wiring import event_days

_AT_A_TIME = 5000


def refusals_expire() -> int:
    """Delete refusals as old as events that expire. Return their number."""
    old = Refusal.objects.filter(last_at__lt=Now() - timedelta(days=event_days())).order_by("last_at")
    ids = list(old.values_list("id", flat=True)[:_AT_A_TIME])
    return Refusal.objects.filter(id__in=ids).delete()[0]


PARTS = (refusals_expire,)
WATCHES = (broadcasts_watch,)
