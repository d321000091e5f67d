"""The real pynvml on a library of ours: whatever a driver says is a value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest

from gpu.devices import Device, DeviceKind, Reading
from gpu.selection import Candidate, choose
from tests.drivers.nvml import Card, Driver

REPOSITORY = Path(__file__).resolve().parents[3]
SURVEYOR = Path(__file__).with_name("surveyor.py")
CARDS = [Card(uuid=f"GPU-{number}", used=number * 1_000) for number in range(4)]


class Surveyor:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def look(self, *, patience: float = 60) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{patience}\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(stdout.readline())
        return answer

    def errors(self) -> list[str]:
        return [each["error"] for each in self.look()["seen"]]


@contextmanager
def a_surveyor(environment: dict[str, str]) -> Iterator[Surveyor]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY), **environment}
    with subprocess.Popen([sys.executable, str(SURVEYOR)], env=environ, cwd=REPOSITORY, **pipes) as process:
        yield Surveyor(process)
        process.kill()


@pytest.fixture
def surveyor(driver: Driver) -> Iterator[Surveyor]:
    driver.show(*CARDS)
    with a_surveyor(driver.environment()) as surveyor:
        yield surveyor


def the_candidates(survey: dict[str, Any]) -> list[Candidate]:
    return [
        Candidate(
            uuid=each["device"]["uuid"],
            index=each["device"]["index"],
            reading=Reading(**each["reading"]),
            encoders=frozenset({"h264_nvenc"}),
            free_slots=4,
            healthy=not each["error"],
        )
        for each in survey["seen"]
    ]


def test_devices_and_readings_are_what_the_driver_says(driver: Driver, surveyor: Surveyor) -> None:
    driver.show(
        Card(
            uuid="GPU-a",
            name="NVIDIA L4",
            total=23_034,
            used=1_034,
            utilization=37,
            encoder=64,
            sessions=5,
            temperature=58,
            milliwatts=61_250,
        )
    )
    (seen,) = surveyor.look()["seen"]
    device = Device(index=0, uuid="GPU-a", name="NVIDIA L4", kind=DeviceKind.NVIDIA, driver="570.86.10")
    assert Device(**{**seen["device"], "kind": DeviceKind(seen["device"]["kind"])}) == device
    assert Reading(**seen["reading"]) == Reading(
        memory_total_mb=23_034,
        memory_used_mb=1_034,
        memory_free_mb=22_000,
        utilization_percent=37,
        encoder_percent=64,
        sessions=5,
        temperature_c=58,
        power_watts=61.25,
    )


def test_four_devices_are_numbered_as_the_driver_does(surveyor: Surveyor) -> None:
    survey = surveyor.look()
    assert [(each["device"]["index"], each["device"]["uuid"]) for each in survey["seen"]] == [
        (number, f"GPU-{number}") for number in range(4)
    ]
    assert survey["reasons"] == []


def test_what_is_not_supported_is_unknown(driver: Driver, surveyor: Surveyor) -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ("total", "used", "utilization", "encoder", "sessions", "temperature", "milliwatts")
    )
    driver.show(Card(uuid="GPU-0", **nothing), Card(uuid="GPU-1", status="mig"))
    blind, mig = surveyor.look()["seen"]
    assert Reading(**blind["reading"]) == Reading()
    assert Reading(**mig["reading"]) == Reading(memory_total_mb=16_000, memory_used_mb=1_000, memory_free_mb=15_000)
    assert (blind["error"], mig["error"]) == ("", "")


def test_numbers_that_cannot_be_are_unknown(driver: Driver, surveyor: Surveyor) -> None:
    driver.show(Card(uuid="GPU-0", total=2**44 - 1, used=0, utilization=4_294_967_295))
    (seen,) = surveyor.look()["seen"]
    assert seen["reading"]["memory_total_mb"] is None
    assert seen["reading"]["utilization_percent"] is None


@pytest.mark.parametrize("status", ["lost", "gone"])
def test_a_device_that_is_lost_is_still_shown_and_comes_back(driver: Driver, surveyor: Surveyor, status: str) -> None:
    surveyor.look()
    driver.show(*CARDS[:2], Card(uuid="GPU-2", status=status), CARDS[3])
    survey = surveyor.look()
    errors = {each["device"]["uuid"]: each["error"] for each in survey["seen"]}
    assert "GPU is lost" in errors.pop("GPU-2")
    assert errors == dict.fromkeys(("GPU-0", "GPU-1", "GPU-3"), "")
    driver.show(*CARDS)
    assert surveyor.errors() == [""] * 4


def test_a_device_that_is_listed_no_more_is_still_shown(driver: Driver, surveyor: Surveyor) -> None:
    surveyor.look()
    driver.show(*CARDS[:3])
    assert surveyor.errors() == ["", "", "", "the driver shows it no more"]


def test_a_device_lost_between_choice_and_use_is_not_chosen_again(driver: Driver, surveyor: Surveyor) -> None:
    chosen = choose(the_candidates(surveyor.look()))
    assert chosen is not None
    assert chosen.uuid == "GPU-0"
    driver.show(Card(uuid="GPU-0", status="lost"), *CARDS[1:])
    instead = choose(the_candidates(surveyor.look()))
    assert instead is not None
    assert instead.uuid == "GPU-1"


@pytest.mark.parametrize(("code", "words"), [(9, "Driver Not Loaded"), (18, "version mismatch"), (999, "Unknown")])
def test_a_driver_that_cannot_be_asked_is_a_reason(driver: Driver, surveyor: Surveyor, code: int, words: str) -> None:
    surveyor.look()
    driver.show(*CARDS, init=code)
    survey = surveyor.look()
    assert survey["reasons"] == []  # what has begun goes on
    driver.show(Card(uuid="GPU-0", status="lost"), init=code)
    surveyor.look()
    survey = surveyor.look()
    assert len(survey["reasons"]) == 1
    assert words in survey["reasons"][0]
    assert all(words in each["error"] for each in survey["seen"])
    driver.show(*CARDS)
    assert surveyor.errors() == [""] * 4


@pytest.mark.skipif(find_library("nvidia-ml") is not None, reason="this machine has a driver")
def test_a_missing_library_is_a_reason() -> None:
    with a_surveyor({}) as surveyor:
        assert surveyor.look() == {"seen": [], "reasons": ["NVML: NVML Shared Library Not Found"]}


def test_a_driver_that_hangs_is_left_alone(driver: Driver, surveyor: Surveyor) -> None:
    first = surveyor.look()
    driver.show(*CARDS[:2], Card(uuid="GPU-2", status="hang"), CARDS[3])
    for patience in (0.3, 60, 60):  # only the first is waited for
        survey = surveyor.look(patience=patience)
        assert [each["error"] for each in survey["seen"]] == ["the driver does not answer"] * 4
        assert [each["device"] for each in survey["seen"]] == [each["device"] for each in first["seen"]]
        assert survey["reasons"] == ["the driver does not answer"]
        assert choose(the_candidates(survey)) is None


def test_the_command_lists_devices_and_says_what_of_them_works(driver: Driver) -> None:
    driver.show(Card(uuid="GPU-a", name="NVIDIA L4", used=4_000, encoder=None), Card(uuid="GPU-b", status="lost"))
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "transcoder_site.settings", **driver.environment()}
    argv = [sys.executable, "manage.py", "gpu_list"]
    listed = subprocess.run(argv, env=environ, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    head, first, condition, *verdicts, second, error = listed.stdout.splitlines()
    assert head == "2 devices"
    assert first == "0  NVIDIA L4  GPU-a  driver 570.86.10"
    assert condition == "   12000 of 16000 MiB free, 0 % used, encoder - %, 0 sessions, 40 C"
    assert [verdict.split(":")[0].strip() for verdict in verdicts] == ["h264_nvenc", "hevc_nvenc", "av1_nvenc"]
    assert second == "1  Tesla T4  GPU-b  driver 570.86.10"
    assert error == "   GPU is lost"
