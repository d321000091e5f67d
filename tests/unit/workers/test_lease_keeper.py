import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from configuration import LeaseConfig
from workers.lease.control import StepControl, StopReason
from workers.lease.keeper import LeaseKeeper, RenewalFailed
from workers.node.flags import SharedFlag

SHORT = LeaseConfig(lease_seconds=6, lease_renew_seconds=0.1, lease_stop_fraction=0.2)
"""What must end after 1.2 s of silence has almost 5 s more before its lease ends, however busy the machine is."""


@dataclass
class FakeRenewal:
    """Answers what it is told to, and counts how often it was asked."""

    answer: Callable[[], bool] = lambda: True
    calls: int = 0
    closed: bool = False
    severed: threading.Event = field(default_factory=threading.Event)

    def renew(self) -> bool:
        self.calls += 1
        return self.answer()

    def close(self) -> None:
        self.closed = True

    def sever(self) -> None:
        self.severed.set()


def away() -> bool:
    raise RenewalFailed("no answer")


def keep(
    renewal: FakeRenewal,
    control: StepControl,
    *,
    seconds: float,
    moving: bool = True,
    enforce: Callable[[StopReason], None] = lambda _: None,
) -> float:
    """Let a step run until it must stop or the time is over. Returns how long it ran."""
    started = time.monotonic()
    with LeaseKeeper(renewal=renewal, control=control, config=SHORT, enforce=enforce):
        while time.monotonic() - started < seconds and not control.is_set():
            if moving:
                control._movements += 1
            time.sleep(0.01)
    return time.monotonic() - started


def test_a_moving_step_is_renewed_again_and_again() -> None:
    renewal, control = FakeRenewal(), StepControl(SharedFlag())
    keep(renewal, control, seconds=1)
    assert renewal.calls >= 5
    assert control.reason is None
    assert renewal.closed


def test_a_step_that_stands_still_is_not_renewed_and_stops_before_its_lease_ends() -> None:
    renewal, control = FakeRenewal(), StepControl(SharedFlag())
    ran = keep(renewal, control, seconds=30, moving=False)
    assert renewal.calls == 0
    assert control.reason is StopReason.UNPROVABLE
    assert ran < SHORT.lease_seconds


def test_a_lost_lease_stops_the_step_at_once() -> None:
    control = StepControl(SharedFlag())
    ran = keep(FakeRenewal(answer=lambda: False), control, seconds=30)
    assert control.reason is StopReason.LEASE_LOST
    assert ran < SHORT.lease_seconds * SHORT.lease_stop_fraction + 3


def test_a_lease_that_cannot_be_proven_stops_the_step_before_it_ends() -> None:
    renewal, control = FakeRenewal(answer=away), StepControl(SharedFlag())
    ran = keep(renewal, control, seconds=30)
    assert control.reason is StopReason.UNPROVABLE
    assert SHORT.lease_seconds * SHORT.lease_stop_fraction <= ran < SHORT.lease_seconds
    assert renewal.calls > 10, "renewing is tried more often while it fails"


def test_a_short_silence_of_the_database_is_survived() -> None:
    failures_left = 5

    def answer() -> bool:
        nonlocal failures_left
        failures_left -= 1
        return away() if failures_left >= 0 else True

    renewal, control = FakeRenewal(answer=answer), StepControl(SharedFlag())
    keep(renewal, control, seconds=1.5)
    assert failures_left < 0
    assert control.reason is None


def test_a_database_that_never_answers_stops_the_step_in_time_and_is_not_waited_for() -> None:
    renewal, control = FakeRenewal(), StepControl(SharedFlag())
    enforced: list[StopReason] = []

    def wait_for_ever() -> bool:
        assert renewal.severed.wait(60)
        return away()

    renewal.answer = wait_for_ever
    ran = keep(renewal, control, seconds=30, enforce=enforced.append)
    assert control.reason is StopReason.UNPROVABLE
    assert ran < SHORT.lease_seconds
    assert enforced == [StopReason.UNPROVABLE]
    assert renewal.closed
