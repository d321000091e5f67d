"""The real pynvml with a stub library: all results and failures of a driver become values."""

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
SURVEY_SCRIPT = Path(__file__).with_name("surveyor.py")
CARDS = [Card(uuid=f"GPU-{number}", used=number * 1_000) for number in range(4)]


class SurveyProcess:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def survey(self, *, timeout: float = 60) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{timeout}\n")
        stdin.flush()
        survey: dict[str, Any] = json.loads(stdout.readline())
        return survey

    def errors(self) -> list[str]:
        return [each["error"] for each in self.survey()["devices"]]


@contextmanager
def survey_process(environment: dict[str, str]) -> Iterator[SurveyProcess]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY), **environment}
    with subprocess.Popen([sys.executable, str(SURVEY_SCRIPT)], env=environ, cwd=REPOSITORY, **pipes) as process:
        yield SurveyProcess(process)
        process.kill()


@pytest.fixture
def surveyor(driver: Driver) -> Iterator[SurveyProcess]:
    driver.show(*CARDS)
    with survey_process(driver.environment()) as surveyor:
        yield surveyor


def candidates_of(survey: dict[str, Any]) -> list[Candidate]:
    return [
        Candidate(
            uuid=each["device"]["uuid"],
            index=each["device"]["index"],
            reading=Reading(**each["reading"]),
            encoders=frozenset({"h264_nvenc"}),
            free_slots=4,
            healthy=not each["error"],
        )
        for each in survey["devices"]
    ]


def test_devices_and_readings_are_read_from_the_driver(driver: Driver, surveyor: SurveyProcess) -> None:
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
    (found,) = surveyor.survey()["devices"]
    device = Device(index=0, uuid="GPU-a", name="NVIDIA L4", kind=DeviceKind.NVIDIA, driver="570.86.10")
    assert Device(**{**found["device"], "kind": DeviceKind(found["device"]["kind"])}) == device
    assert Reading(**found["reading"]) == Reading(
        memory_total_mb=23_034,
        memory_used_mb=1_034,
        memory_free_mb=22_000,
        utilization_percent=37,
        encoder_percent=64,
        sessions=5,
        temperature_c=58,
        power_watts=61.25,
    )


def test_four_devices_are_numbered_as_by_the_driver(surveyor: SurveyProcess) -> None:
    survey = surveyor.survey()
    assert [(each["device"]["index"], each["device"]["uuid"]) for each in survey["devices"]] == [
        (number, f"GPU-{number}") for number in range(4)
    ]
    assert survey["reasons"] == []


def test_unsupported_values_are_unknown(driver: Driver, surveyor: SurveyProcess) -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ("total", "used", "utilization", "encoder", "sessions", "temperature", "milliwatts")
    )
    driver.show(Card(uuid="GPU-0", **nothing), Card(uuid="GPU-1", status="mig"))
    blind, mig = surveyor.survey()["devices"]
    assert Reading(**blind["reading"]) == Reading()
    assert Reading(**mig["reading"]) == Reading(memory_total_mb=16_000, memory_used_mb=1_000, memory_free_mb=15_000)
    assert (blind["error"], mig["error"]) == ("", "")


def test_impossible_numbers_are_unknown(driver: Driver, surveyor: SurveyProcess) -> None:
    driver.show(Card(uuid="GPU-0", total=2**44 - 1, used=0, utilization=4_294_967_295))
    (found,) = surveyor.survey()["devices"]
    assert found["reading"]["memory_total_mb"] is None
    assert found["reading"]["utilization_percent"] is None


@pytest.mark.parametrize("status", ["lost", "gone"])
def test_a_lost_device_has_an_error_until_it_returns(driver: Driver, surveyor: SurveyProcess, status: str) -> None:
    surveyor.survey()
    driver.show(*CARDS[:2], Card(uuid="GPU-2", status=status), CARDS[3])
    survey = surveyor.survey()
    errors = {each["device"]["uuid"]: each["error"] for each in survey["devices"]}
    assert "GPU is lost" in errors.pop("GPU-2")
    assert errors == dict.fromkeys(("GPU-0", "GPU-1", "GPU-3"), "")
    driver.show(*CARDS)
    assert surveyor.errors() == [""] * 4


def test_a_device_that_is_no_longer_listed_has_an_error(driver: Driver, surveyor: SurveyProcess) -> None:
    surveyor.survey()
    driver.show(*CARDS[:3])
    assert surveyor.errors() == ["", "", "", "no longer listed by the driver"]


def test_a_lost_device_is_not_chosen_again(driver: Driver, surveyor: SurveyProcess) -> None:
    chosen = choose(candidates_of(surveyor.survey()))
    assert chosen is not None
    assert chosen.uuid == "GPU-0"
    driver.show(Card(uuid="GPU-0", status="lost"), *CARDS[1:])
    instead = choose(candidates_of(surveyor.survey()))
    assert instead is not None
    assert instead.uuid == "GPU-1"


@pytest.mark.parametrize(("code", "words"), [(9, "Driver Not Loaded"), (18, "version mismatch"), (999, "Unknown")])
def test_a_driver_that_fails_is_a_reason(driver: Driver, surveyor: SurveyProcess, code: int, words: str) -> None:
    surveyor.survey()
    driver.show(*CARDS, init=code)
    survey = surveyor.survey()
    assert survey["reasons"] == []  # NVML stays initialized
    driver.show(Card(uuid="GPU-0", status="lost"), init=code)
    surveyor.survey()
    survey = surveyor.survey()
    assert len(survey["reasons"]) == 1
    assert words in survey["reasons"][0]
    assert all(words in each["error"] for each in survey["devices"])
    driver.show(*CARDS)
    assert surveyor.errors() == [""] * 4


@pytest.mark.skipif(find_library("nvidia-ml") is not None, reason="this machine has a driver")
def test_a_missing_library_is_a_reason() -> None:
    with survey_process({}) as surveyor:
        assert surveyor.survey() == {"devices": [], "reasons": ["NVML: NVML Shared Library Not Found"]}


def test_a_hung_driver_is_not_called_again(driver: Driver, surveyor: SurveyProcess) -> None:
    first = surveyor.survey()
    driver.show(*CARDS[:2], Card(uuid="GPU-2", status="hang"), CARDS[3])
    for timeout in (0.3, 60, 60):  # only the first is waited for
        survey = surveyor.survey(timeout=timeout)
        assert [each["error"] for each in survey["devices"]] == ["the driver does not respond"] * 4
        assert [each["device"] for each in survey["devices"]] == [each["device"] for each in first["devices"]]
        assert survey["reasons"] == ["the driver does not respond"]
        assert choose(candidates_of(survey)) is None


def test_the_command_lists_devices_and_verdicts(driver: Driver) -> None:
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
