from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from gpu.breaker import Breaker
from gpu.devices import Device, DeviceKind, DeviceState, FailureKind, Reading, SlotLimits, Verdict
from gpu.models import DeviceReport
from gpu.selection import choose
from gpu.selectors import (
    NodeDevice,
    candidates,
    device_indexes_known,
    devices_known,
    devices_live,
    max_encoder_sessions,
    nodes_with_free_slots,
)
from gpu.services import (
    DeviceDescription,
    device_forget,
    device_pop_trial_request,
    device_record_failure,
    device_record_success,
    device_record_trial,
    device_report,
    device_request_trials,
)

pytestmark = pytest.mark.django_db
SILENCE = 20.0
READING = Reading(memory_total_mb=16_000, memory_used_mb=1_000, memory_free_mb=15_000, utilization_percent=10)


def a_verdict(encoder: str, *, available: bool = True) -> Verdict:
    reason = "" if available else "No capable devices found"
    return Verdict(encoder=encoder, available=available, reason=reason, driver="570.1", ffmpeg_version="9.0.2")


def described(
    index: int = 0, *, slots: int = 4, system: int | None = None, error: str = "", available: bool = True
) -> DeviceDescription:
    device = Device(index=index, uuid=f"GPU-{index}", name="Tesla T4", kind=DeviceKind.NVIDIA, driver="570.1")
    names = ("h264_nvenc", "hevc_nvenc")
    return DeviceDescription(
        state=DeviceState(device=device, reading=READING, error=error),
        limits=SlotLimits(device=slots, system=system),
        verdicts={name: a_verdict(name, available=available) for name in names},
    )


def report(*devices: DeviceDescription, node: str = "n1", machine: str = "m1") -> None:
    device_report(node=node, machine=machine, descriptions=devices)


def live() -> list[NodeDevice]:
    return devices_live(silence_seconds=SILENCE)


def the_device() -> NodeDevice:
    (device,) = live()
    return device


def fail(times: int = 1, kind: FailureKind = FailureKind.ENCODER_REFUSED) -> None:
    for _ in range(times):
        device_record_failure(node="n1", uuid="GPU-0", encoder="h264_nvenc", kind=kind, pause_seconds=60)


def age(seconds: float) -> None:
    DeviceReport.objects.update(reported_at=F("reported_at") - timedelta(seconds=seconds))


def test_a_report_is_read_as_it_was_written() -> None:
    report(described(2, slots=3, system=8))
    device = the_device()
    assert device.device == described(2).state.device
    assert device.reading == READING
    assert device.verdicts["h264_nvenc"] == a_verdict("h264_nvenc")
    assert (device.node, device.machine, device.slots, device.system_slots) == ("n1", "m1", 3, 8)
    assert device.usable_encoders == {"h264_nvenc", "hevc_nvenc"}
    assert device.silent_seconds < SILENCE


def test_a_report_replaces_the_one_before() -> None:
    report(described(0), described(1))
    report(described(1, slots=9))
    assert [(each.device.index, each.slots) for each in live()] == [(1, 9)]
    device_forget(node="n1")
    assert live() == []


def test_unknown_fields_of_newer_nodes_are_ignored() -> None:
    report(described())
    DeviceReport.objects.update(reading={"memory_free_mb": 7, "flux": 1}, verdicts={"h264_nvenc": {"available": True}})
    assert the_device().reading == Reading(memory_free_mb=7)
    assert the_device().usable_encoders == {"h264_nvenc"}


def test_a_device_without_usable_encoders_has_no_slots() -> None:
    report(described(available=False))
    assert the_device().slots == 0
    assert the_device().usable_encoders == frozenset()


def test_a_device_with_an_error_has_no_usable_encoders() -> None:
    report(described(error="GPU is lost"))
    assert the_device().usable_encoders == frozenset()
    assert max_encoder_sessions("h264_nvenc", silence_seconds=SILENCE) is None


def test_reports_of_a_silent_node_are_deleted_after_a_while() -> None:
    report(described())
    age(60)
    assert live() == []
    assert [each.silent_seconds > SILENCE for each in devices_known()] == [True]
    assert device_indexes_known() == {0}
    age(600)
    assert devices_known() == []
    report(described(1), node="n2")
    assert DeviceReport.objects.count() == 1


def test_the_largest_session_limit_is_returned() -> None:
    report(described(0, slots=3), described(1, slots=16, system=8))
    report(described(2, slots=5), node="n2")
    assert max_encoder_sessions("h264_nvenc", silence_seconds=SILENCE) == 8
    assert max_encoder_sessions("h264_nvenc", silence_seconds=SILENCE, index=2) == 5
    assert max_encoder_sessions("h264_nvenc", silence_seconds=SILENCE, index=7) is None
    assert max_encoder_sessions("av1_nvenc", silence_seconds=SILENCE) is None


def test_three_refusals_set_one_encoder_aside() -> None:
    report(described())
    fail(2)
    assert the_device().usable_encoders == {"h264_nvenc", "hevc_nvenc"}
    fail()
    assert the_device().usable_encoders == {"hevc_nvenc"}
    assert the_device().due == frozenset()
    report(described())
    assert the_device().usable_encoders == {"hevc_nvenc"}


def test_all_encoders_of_a_lost_device_are_set_aside_at_once() -> None:
    report(described())
    fail(kind=FailureKind.DEVICE_LOST)
    assert the_device().usable_encoders == frozenset()


def test_one_job_alone_cannot_take_a_device_from_all_others() -> None:
    """It says that the device is lost, as ffmpeg does when a file has taken it over: trials decide at once."""
    report(described())
    fail(kind=FailureKind.DEVICE_LOST)
    assert device_pop_trial_request(node="n1")
    for encoder in ("h264_nvenc", "hevc_nvenc"):
        device_record_trial(node="n1", uuid="GPU-0", encoder=encoder, passed=True, pause_seconds=60)
    assert the_device().usable_encoders == {"h264_nvenc", "hevc_nvenc"}


def test_a_device_that_jobs_lose_again_and_again_is_left_alone_for_its_pause() -> None:
    report(described())
    for requested in (True, True, False):
        fail(kind=FailureKind.DEVICE_LOST)
        assert device_pop_trial_request(node="n1") == requested
    device_record_success(node="n1", uuid="GPU-0", encoder="h264_nvenc")
    fail(kind=FailureKind.DEVICE_LOST)
    assert device_pop_trial_request(node="n1")


def test_refusals_request_no_trial() -> None:
    report(described())
    fail(3)
    assert not device_pop_trial_request(node="n1")


def test_a_passed_trial_closes_the_breaker_until_the_next_failure() -> None:
    report(described())
    fail(3)
    device_record_trial(node="n1", uuid="GPU-0", encoder="h264_nvenc", passed=True, pause_seconds=60)
    assert the_device().usable_encoders == {"h264_nvenc", "hevc_nvenc"}
    fail()
    assert the_device().usable_encoders == {"hevc_nvenc"}


def test_success_resets_the_count_of_failures() -> None:
    report(described())
    fail(2)
    device_record_success(node="n1", uuid="GPU-0", encoder="h264_nvenc")
    assert the_device().breakers == {}
    fail(2)
    assert "h264_nvenc" in the_device().usable_encoders


def test_a_failed_trial_is_due_again_after_its_pause() -> None:
    report(described())
    device_record_trial(node="n1", uuid="GPU-0", encoder="h264_nvenc", passed=False, pause_seconds=0)
    device = the_device()
    assert device.due == {"h264_nvenc"}
    assert device.usable_encoders == {"hevc_nvenc"}
    assert device.breakers["h264_nvenc"].failures == 1


def test_an_unavailable_encoder_without_a_pause_is_due_at_once() -> None:
    report(described(available=False))
    assert the_device().due == {"h264_nvenc", "hevc_nvenc"}
    device_record_trial(node="n1", uuid="GPU-0", encoder="h264_nvenc", passed=False, pause_seconds=60)
    assert the_device().due == {"hevc_nvenc"}


def test_failures_of_an_unknown_device_are_not_recorded() -> None:
    fail()
    report(described())
    assert the_device().breakers.get("h264_nvenc", Breaker()) == Breaker()


def test_a_trial_request_is_popped_once() -> None:
    report(described(0), described(1))
    report(described(0), node="n2")
    assert device_request_trials(node="n1") == 2
    assert device_pop_trial_request(node="n1")
    assert not device_pop_trial_request(node="n1")
    assert not device_pop_trial_request(node="n2")
    assert device_request_trials() == 3
    assert device_pop_trial_request(node="n2")


def test_slots_used_by_other_nodes_count() -> None:
    report(described(0, slots=4), described(1, slots=4))
    report(described(0, slots=4), node="n2")
    (first, second) = candidates(live(), node="n1", used={"GPU-0": 3})
    assert (first.used_slots, first.free_slots) == (3, 1)
    assert (second.used_slots, second.free_slots) == (0, 4)
    chosen = choose([first, second])
    assert chosen == second


def test_consumer_cards_of_a_machine_share_one_limit() -> None:
    report(described(0, slots=8, system=8), described(1, slots=8, system=8), described(2, slots=16))
    report(described(3, slots=8, system=8), node="n2")
    report(described(4, slots=8, system=8), node="n3", machine="m2")
    free = {
        each.uuid: each.free_slots
        for node in ("n1", "n3")
        for each in candidates(live(), node=node, used={"GPU-0": 2, "GPU-3": 5, "GPU-2": 1})
    }
    assert free == {"GPU-0": 1, "GPU-1": 1, "GPU-2": 15, "GPU-4": 8}


def test_nodes_with_a_free_slot_on_a_working_device() -> None:
    report(described(0, slots=4), described(1, slots=4))
    report(described(1, slots=4), node="n2")
    report(described(2, slots=4, available=False), described(3, error="GPU is lost"), node="n3")
    used = {"GPU-1": 4, "GPU-0": 3}
    assert nodes_with_free_slots(silence_seconds=SILENCE, used={}) == {"n1", "n2"}
    assert nodes_with_free_slots(silence_seconds=SILENCE, used=used) == {"n1"}
    assert nodes_with_free_slots(silence_seconds=SILENCE, used={**used, "GPU-0": 4}) == frozenset()
    age(SILENCE + 1)
    assert nodes_with_free_slots(silence_seconds=SILENCE, used={}) == frozenset()
