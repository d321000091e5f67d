"""The process that a GPU worker has beside it, with a driver of ours and real trial encodes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from gpu.machine import machine_id
from gpu.models import DeviceReport
from gpu.reporting import ReporterProcess
from gpu.selectors import NodeDevice, devices_live
from gpu.services import device_order_trials
from tests.drivers.nvml import Card, Driver

CARDS = [Card(uuid=f"GPU-{number}", name="NVIDIA H200") for number in range(4)]
ENCODERS = {"h264_nvenc", "hevc_nvenc", "av1_nvenc"}


@pytest.fixture
def reporter(driver: Driver, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReporterProcess]:
    url = urlsplit(os.environ["TRANSCODER_DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    monkeypatch.setenv("TRANSCODER_DATABASE_URL", urlunsplit(url))
    monkeypatch.setenv("TRANSCODER_NODE_HEARTBEAT_SECONDS", "0.2")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "transcoder_site.settings")
    for name, value in driver.environment().items():
        monkeypatch.setenv(name, value)
    reporter = ReporterProcess("n1")
    yield reporter
    reporter.close()


def wait_for(condition: Callable[[list[NodeDevice]], bool]) -> list[NodeDevice]:
    deadline = time.monotonic() + 60
    while not condition(devices := devices_live(silence_seconds=60)):
        assert time.monotonic() < deadline, devices
        time.sleep(0.05)
    return devices


def everything_tried(devices: list[NodeDevice]) -> bool:
    return len(devices) == len(CARDS) and all(set(each.verdicts) == set(each.breakers) == ENCODERS for each in devices)


def pid_of(reporter: ReporterProcess) -> int:
    process = reporter._companion._process
    assert process is not None
    return process.pid


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has an NVIDIA driver")
def test_devices_are_reported_tried_lost_and_forgotten(driver: Driver, reporter: ReporterProcess) -> None:
    driver.show(*CARDS)
    reporter.look()
    for number, each in enumerate(wait_for(everything_tried)):
        assert (each.node, each.machine, each.device.uuid) == ("n1", machine_id(), f"GPU-{number}")
        assert each.slots == 0
        assert each.proven == frozenset()
        for verdict in each.verdicts.values():
            assert "Cannot load libcuda.so.1" in verdict.reason

    driver.show(*CARDS[:3], Card(uuid="GPU-3", status="lost"))
    wait_for(lambda devices: devices[-1].error == "GPU is lost" and not devices[-1].verdicts)

    os.kill(pid_of(reporter), signal.SIGKILL)
    driver.show(*CARDS[:2])
    DeviceReport.objects.update(verdicts={})
    reporter.look()  # it may not be buried yet
    wait_for(lambda devices: reporter.look() is None and len(devices) == 2 and bool(devices[0].verdicts))

    before = wait_for(lambda devices: all(len(each.breakers) == 3 for each in devices))[0].breakers
    assert device_order_trials() == 2
    wait_for(lambda devices: all(each.failures > before[name].failures for name, each in devices[0].breakers.items()))

    driver.show(*CARDS[:1], Card(uuid="GPU-1", status="hang"))
    reporter.close()
    assert devices_live(silence_seconds=60) == []
    assert not Path(f"/proc/{pid_of(reporter)}").exists()
