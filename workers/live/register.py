"""The rows of a broadcast, as an attempt reads and writes them: fenced by its claim, and repeated while that holds."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connection

from jobs.leasing.claim import Claim
from jobs.leasing.steps import step_complete, step_publish
from livestreams.services import attempts
from livestreams.services.attempts import Control
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition
from videos.runs import RunFacts
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write

Answer = TypeVar("Answer")


class Register:
    """The rows that one claim may write."""

    def __init__(self, claim: Claim, control: StepControl) -> None:
        self._claim = claim
        self._control = control
        self._live = False

    @property
    def claim(self) -> Claim:
        """The claim, which has its generation once there is a plan."""
        return self._claim

    def begin(self) -> Control:
        """Read what the broadcast is to do, for the first time."""
        return self._write(lambda: attempts.broadcast_control(claim=self._claim))

    def look(self) -> Control | None:
        """Read what the broadcast is to do. None: the database does not answer at the moment."""
        return self._try(lambda: attempts.broadcast_control(claim=self._claim))

    def ready(self) -> None:
        """Say that a reader waits at the ingest server: the publisher may be let in."""
        self._write(lambda: attempts.reader_ready(claim=self._claim))

    def plan(self, plan: EncodePlan) -> tuple[Generation, Sequence[Rendition]]:
        """Store the plan, or find the one that an attempt before has stored."""
        generation, renditions, self._claim = self._write(lambda: attempts.broadcast_plan(claim=self._claim, plan=plan))
        return generation, renditions

    def period(self, first_segment: int, starts_at: datetime) -> None:
        """Begin a period: the first frame of this segment arrived at that time."""
        self._write(lambda: attempts.period_begin(claim=self._claim, first_segment=first_segment, starts_at=starts_at))

    def publish(self, runs: Sequence[RunFacts], segments: int) -> None:
        """Publish runs; with them, so many segments are published."""
        self._write(lambda: step_publish(claim=self._claim, runs=runs, units_done=segments))
        self._control.published()
        if not self._live:
            self._write(lambda: attempts.broadcast_live(claim=self._claim))
            self._live = True

    def health(self, health: Mapping[str, Any]) -> None:
        """Note how the stream is, if the database answers."""
        self._try(lambda: attempts.health_record(claim=self._claim, health=health))

    def lost(self) -> None:
        """Say that nothing comes from the publisher any more."""
        self._try(lambda: attempts.publisher_lost(claim=self._claim))

    def restored(self) -> None:
        """Say that it has come back."""
        self._try(lambda: attempts.publisher_restored(claim=self._claim))

    def expire(self, keep_from_segment: int) -> Sequence[str]:
        """Forget the segments before this one where nothing is recorded, and return the keys of their objects."""
        keys = self._try(lambda: attempts.window_expire(claim=self._claim, keep_from_segment=keep_from_segment))
        return keys or ()

    def close(self, total_frames: int, result: Mapping[str, object]) -> None:
        """End the broadcast after so many frames."""
        self._write(lambda: attempts.broadcast_close(claim=self._claim, total_frames=total_frames))
        self._write(lambda: step_complete(claim=self._claim, result=result))

    def fail(self, code: str, detail: str) -> None:
        """End the broadcast without a recording."""
        self._write(lambda: attempts.broadcast_fail(claim=self._claim, code=code, detail=detail))

    def _write(self, write: Callable[[], Answer]) -> Answer:
        return retry_write(write, self._control)

    @staticmethod
    def _try(call: Callable[[], Answer]) -> Answer | None:
        try:
            return call()
        except (OperationalError, InterfaceError):
            connection.close()
            return None
