import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from execution.ffmpeg import Stopped
from tests.unit.workers.virtual_time import VirtualTime
from workers.lease.control import StepControl, StopReason
from workers.lease.keeper import Clock, LeaseKeeper, RenewalFailed
from workers.lease.terms import LeaseTerms
from workers.node.flags import SharedFlag

TERMS = LeaseTerms(lease_seconds=60, renew_seconds=10, stop_fraction=0.5)
MUST_STOP_AFTER = 30


@dataclass
class FakeRenewal:
    """Answers as configured, and counts its calls."""

    answer: Callable[[], bool] = lambda: True
    calls: int = 0
    closed: bool = False
    aborted: threading.Event = field(default_factory=threading.Event)

    def renew(self) -> bool:
        self.calls += 1
        return self.answer()

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted.set()


def no_answer() -> bool:
    raise RenewalFailed("no answer")


def keep(
    renewal: FakeRenewal,
    control: StepControl,
    *,
    seconds: float = 1000,
    moving: bool = True,
    time: VirtualTime | None = None,
    enforce: Callable[[StopReason], None] = lambda _: None,
) -> float:
    """Let a step run until it must stop or the time is over. Returns how long it ran."""
    time = time or VirtualTime()

    def stops() -> bool:
        if moving:
            with suppress(Stopped):
                control.moved()
        return control.is_set()

    with LeaseKeeper(renewal=renewal, control=control, terms=TERMS, enforce=enforce, clock=Clock(time, time.wait)):
        return time.pass_until(stops, seconds=seconds, threads="lease-")


def test_a_moving_step_is_renewed_again_and_again() -> None:
    renewal, control = FakeRenewal(), StepControl(SharedFlag())
    keep(renewal, control, seconds=1000)
    assert renewal.calls in {99, 100}
    assert control.reason is None
    assert renewal.closed


def test_a_step_that_stands_still_is_not_renewed_and_stops_before_its_lease_ends() -> None:
    renewal, control = FakeRenewal(), StepControl(SharedFlag())
    ran = keep(renewal, control, moving=False)
    assert renewal.calls == 0
    assert control.reason is StopReason.UNCONFIRMED
    assert ran == MUST_STOP_AFTER


def test_a_lost_lease_stops_the_step_at_once() -> None:
    control = StepControl(SharedFlag())
    ran = keep(FakeRenewal(answer=lambda: False), control)
    assert control.reason is StopReason.LEASE_LOST
    assert ran == TERMS.renew_seconds


def test_a_lease_that_cannot_be_confirmed_stops_the_step_before_it_ends() -> None:
    renewal, control = FakeRenewal(answer=no_answer), StepControl(SharedFlag())
    ran = keep(renewal, control)
    assert control.reason is StopReason.UNCONFIRMED
    assert ran == MUST_STOP_AFTER
    assert renewal.calls >= 8, "renewing is tried more often while it fails"


def test_a_short_silence_of_the_database_is_survived() -> None:
    failures_left = 5

    def answer() -> bool:
        nonlocal failures_left
        failures_left -= 1
        return no_answer() if failures_left >= 0 else True

    renewal, control = FakeRenewal(answer=answer), StepControl(SharedFlag())
    keep(renewal, control)
    assert failures_left < 0
    assert control.reason is None


def test_a_database_that_never_answers_stops_the_step_in_time_and_is_not_waited_for() -> None:
    renewal, control, time = FakeRenewal(), StepControl(SharedFlag()), VirtualTime()
    enforced: list[StopReason] = []

    def wait_for_ever() -> bool:
        assert time.wait(renewal.aborted)
        return no_answer()

    renewal.answer = wait_for_ever
    ran = keep(renewal, control, time=time, enforce=enforced.append)
    assert control.reason is StopReason.UNCONFIRMED
    assert ran == MUST_STOP_AFTER
    assert enforced == [StopReason.UNCONFIRMED]
    assert renewal.closed
