import os

import pytest

from execution.ffmpeg import Stopped
from workers.lease.control import StepControl, StopReason
from workers.node.flags import SharedFlag


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_step_is_not_to_stop_at_first() -> None:
    assert not StepControl(SharedFlag()).is_set()


def test_movement_is_counted() -> None:
    control = StepControl(SharedFlag())
    before = control.movements
    control.moved(100)
    assert control.movements > before


def test_movement_after_the_order_to_stop_raises() -> None:
    control = StepControl(SharedFlag())
    control.stop(StopReason.LEASE_LOST)
    with pytest.raises(Stopped):
        control.moved()


def test_the_first_reason_stays() -> None:
    control = StepControl(SharedFlag())
    control.stop(StopReason.LEASE_LOST)
    control.stop(StopReason.UNCONFIRMED)
    assert control.reason is StopReason.LEASE_LOST


def test_a_draining_node_stops_its_steps() -> None:
    draining = SharedFlag()
    control = StepControl(draining)
    draining.set()
    assert control.is_set()
    assert control.reason is StopReason.DRAINING


def test_a_forked_child_sees_a_flag_that_its_parent_raises_later() -> None:
    flag = SharedFlag()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reader, 1)
        os._exit(0 if flag.is_set() else 1)
    flag.set()
    os.write(writer, b"!")
    assert os.waitpid(child, 0)[1] == 0
    os.close(reader)
    os.close(writer)


def test_a_step_whose_rest_fits_the_grace_period_goes_on_while_the_node_drains() -> None:
    draining = SharedFlag()
    clock = Clock()
    control = StepControl(draining, grace_seconds=10, clock=clock)
    clock.now += 60
    control.advanced(99, 100)
    draining.set()
    assert not control.is_set()


def test_a_step_whose_rest_does_not_fit_stops_at_once() -> None:
    draining = SharedFlag()
    clock = Clock()
    control = StepControl(draining, grace_seconds=10, clock=clock)
    clock.now += 60
    control.advanced(10, 100)
    draining.set()
    assert control.reason is StopReason.DRAINING


def test_a_step_that_breaks_its_promise_stops_when_the_grace_period_is_over() -> None:
    draining = SharedFlag()
    clock = Clock()
    control = StepControl(draining, grace_seconds=10, clock=clock)
    clock.now += 1
    control.advanced(999, 1000)
    draining.set()
    assert not control.is_set()
    clock.now += 9.9
    assert not control.is_set()
    clock.now += 0.2
    assert control.is_set()


def test_an_urgent_order_to_drain_leaves_no_time_for_what_would_fit() -> None:
    draining = SharedFlag()
    control = StepControl(draining, grace_seconds=60)
    control.advanced(99, 100)
    draining.set()
    assert not control.is_set()
    draining.set(urgent=True)
    assert control.reason is StopReason.DRAINING


def test_a_step_that_published_stops_at_its_time_unless_that_restarts() -> None:
    clock = Clock()
    control = StepControl(SharedFlag(), max_seconds=60, clock=clock)
    clock.now += 100
    assert not control.is_set(), "all its work would be lost"
    control.restart_time()
    control.published()
    clock.now += 60
    assert not control.is_set()
    clock.now += 1
    assert control.reason is StopReason.OVERTIME
