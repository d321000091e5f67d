"""The reporter's process of a GPU worker, with a stub driver and real trial encodes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection

from configuration import Config
from gpu.models import DeviceReport
from gpu.reporting import ReporterProcess
from gpu.selectors import NodeDevice, devices_live
from gpu.services import device_request_trials
from gpu.telemetry.render_nodes import machine_id
from tests.drivers.machine import FFMPEG, GpuMachine
from tests.drivers.nvml import Card, Driver
from workers.node.consumer_probe import LastActivity
from workers.node.flags import SharedFlag
from workers.node.heartbeat import NodeKeeper


def _keeper(config: Config, name: str) -> NodeKeeper:
    return NodeKeeper(config, name, draining=SharedFlag(), last_activity=LastActivity(), ending=Event())


CARDS = [Card(uuid=f"GPU-{number}", name="NVIDIA H200") for number in range(4)]
ENCODERS = {"h264_nvenc", "hevc_nvenc", "av1_nvenc"}


@pytest.fixture
def machine(driver: Driver, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment of a worker's process: the stub driver, and this test's database."""
    url = urlsplit(os.environ["TRANSCODER_DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    monkeypatch.setenv("TRANSCODER_DATABASE_URL", urlunsplit(url))
    monkeypatch.setenv("TRANSCODER_NODE_HEARTBEAT_SECONDS", "0.2")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "transcoder_site.settings")
    for name, value in driver.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def reporter(machine: None) -> Iterator[ReporterProcess]:
    reporter = ReporterProcess("n1")
    yield reporter
    reporter.close()


def wait_for(condition: Callable[[list[NodeDevice]], bool]) -> list[NodeDevice]:
    deadline = time.monotonic() + 120
    while not condition(devices := devices_live(silence_seconds=60)):
        assert time.monotonic() < deadline, devices
        time.sleep(0.05)
    return devices


def everything_tried(devices: list[NodeDevice]) -> bool:
    return len(devices) == len(CARDS) and all(set(each.verdicts) == set(each.breakers) == ENCODERS for each in devices)


def test_those_of_a_relay_take_no_jobs(driver: Driver, machine: None) -> None:
    driver.show(*CARDS[:1])
    reporter = ReporterProcess("relay-1", takes_jobs=False)
    try:
        reporter.ensure_running()
        assert [each.takes_jobs for each in wait_for(bool)] == [False]
    finally:
        reporter.close()


def restarted(reporter: ReporterProcess) -> bool:
    """Call this repeatedly, as each heartbeat does: a killed process may take a while to end."""
    reporter.ensure_running()
    return True


def pid_of(reporter: ReporterProcess) -> int:
    assert reporter.pid is not None
    return reporter.pid


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has an NVIDIA driver")
def test_devices_are_reported_tried_lost_and_deleted(driver: Driver, reporter: ReporterProcess) -> None:
    driver.show(*CARDS)
    reporter.ensure_running()
    for number, each in enumerate(wait_for(everything_tried)):
        assert (each.node, each.machine, each.device.uuid) == ("n1", machine_id(), f"GPU-{number}")
        assert each.slots == 0
        assert each.usable_encoders == frozenset()
        for verdict in each.verdicts.values():
            assert "Cannot load libcuda.so.1" in verdict.reason

    driver.show(*CARDS[:3], Card(uuid="GPU-3", status="lost"))
    wait_for(lambda devices: devices[-1].error == "GPU is lost" and not devices[-1].verdicts)

    os.kill(pid_of(reporter), signal.SIGKILL)
    driver.show(*CARDS[:2])
    DeviceReport.objects.update(verdicts={})
    wait_for(lambda devices: restarted(reporter) and len(devices) == 2 and bool(devices[0].verdicts))

    before = wait_for(lambda devices: all(len(each.breakers) == 3 for each in devices))[0].breakers
    assert device_request_trials() == 2
    wait_for(lambda devices: all(each.failures > before[name].failures for name, each in devices[0].breakers.items()))

    driver.show(*CARDS[:1], Card(uuid="GPU-1", status="hang"))
    reporter.close()
    assert devices_live(silence_seconds=60) == []
    assert not Path(f"/proc/{pid_of(reporter)}").exists()


def test_an_encoder_that_passes_its_trial_is_available(
    driver: Driver, reporter: ReporterProcess, monkeypatch: pytest.MonkeyPatch, servers: object, tmp_path: Path
) -> None:
    gpus = GpuMachine(tmp_path / "gpus", devices=1)
    libraries = [driver.environment(), gpus.environ]
    monkeypatch.setenv("LD_LIBRARY_PATH", ":".join(each["LD_LIBRARY_PATH"] for each in libraries))
    monkeypatch.setenv("TRANSCODER_FFMPEG_PATH", FFMPEG)
    monkeypatch.setenv("TRANSCODER_ISOLATION", "none")  # the stub drivers write down what is done with them
    driver.show(Card(uuid="GPU-0"))
    reporter.ensure_running()
    (device,) = wait_for(lambda devices: len(devices) == 1 and set(devices[0].verdicts) == ENCODERS)
    assert device.usable_encoders == {"h264_nvenc"}
    assert device.slots == 16
    assert device.verdicts["av1_nvenc"].reason == "this ffmpeg was built without it"


def test_a_gpu_worker_has_its_devices_reported_until_it_ends(driver: Driver, machine: None) -> None:
    driver.show(CARDS[0])
    config: Config = settings.TRANSCODER
    on_gpu = replace(config, worker=replace(config.worker, worker_queue="gpu"))
    keeper = _keeper(on_gpu, "n1")
    keeper.start()
    try:
        wait_for(lambda devices: [(each.node, each.device.uuid) for each in devices] == [("n1", "GPU-0")])
    finally:
        keeper.close()
    assert devices_live(silence_seconds=60) == []
    assert not _keeper(config, "n2").reports_devices
    assert not _keeper(replace(on_gpu, gpu=replace(config.gpu, enable_gpu=False)), "n3").reports_devices
