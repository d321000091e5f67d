"""Room for another broadcast: limits of the installation and of owners, their quotas, and slots of live workers."""

from django.db import connection

from api.problems import Problem
from jobs.leasing.nodes import slots_alive
from jobs.models import Step
from jobs.rules.steps import LIVE_QUEUE
from jobs.rules.transitions import StepState
from jobs.wiring import job_policy
from livestreams.models import Livestream
from livestreams.selectors import on_air
from livestreams.services.refusals import Refused
from livestreams.states import RefusalCode
from livestreams.wiring import livestream_config
from videos.usage.quotas import quota_check

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('livestreams: admission', 0))"


def broadcast_admit(livestream: Livestream) -> None:
    """Check that a live stream may begin a broadcast; others that begin wait until the transaction ends.

    Raises Refused.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
    config = livestream_config()
    if on_air().count() >= config.live_max_streams:
        detail = f"{config.live_max_streams} live streams are on the air, which is the most of this installation."
        raise Refused(RefusalCode.TOO_MANY_STREAMS, detail)
    if on_air().filter(livestream__owner=livestream.owner_id).count() >= config.live_max_streams_per_owner:
        detail = (
            f"{config.live_max_streams_per_owner} of your live streams are on the air, which is the most at a time."
        )
        raise Refused(RefusalCode.TOO_MANY_STREAMS_OF_OWNER, detail)
    _check_quota(livestream)
    if slots_free() < 1:
        raise Refused(RefusalCode.NO_CAPACITY, "No live worker has room for another stream.")


def slots_free() -> int:
    """Count the slots of live workers that no stream has or waits for."""
    waiting = Step.objects.filter(queue=LIVE_QUEUE, state__in=(StepState.READY, StepState.DELAYED)).count()
    return slots_alive(queue=LIVE_QUEUE, silence_seconds=job_policy().silence_seconds) - waiting


def _check_quota(livestream: Livestream) -> None:
    try:
        quota_check(livestream.owner_id, source=livestream.record)
    except Problem as problem:
        raise Refused(RefusalCode.QUOTA_EXCEEDED, problem.detail) from problem
