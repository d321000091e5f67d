"""Containers of one machine try its devices one after the other, each for itself."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

from configuration import GpuConfig
from coordination.locks import Locks
from coordination.server import Server
from embedded.servers import Redis
from gpu.devices import Device, DeviceKind, DeviceState, Survey, Verdict
from gpu.inventory import Inventory
from gpu.trials import Outcome, Trials
from transcoding.encoders import VideoEncoder

CONTAINERS = 4


class _Driver(Trials):
    """Counts the trials of each device that run at the same time."""

    def __init__(self) -> None:
        self.running: Counter[str] = Counter()
        self.max_running: Counter[str] = Counter()
        self.done: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def attempt(self, encoder: VideoEncoder, device: Device, *, on_poll: Callable[[], None] = lambda: None) -> Outcome:
        on_poll()
        with self._lock:
            self.running[device.uuid] += 1
            self.max_running[device.uuid] = max(self.max_running[device.uuid], self.running[device.uuid])
        time.sleep(0.02)
        with self._lock:
            self.running[device.uuid] -= 1
            self.done[device.uuid, encoder.ffmpeg_name] += 1
        verdict = Verdict(encoder=encoder.ffmpeg_name, available=True, reason="", driver="570", ffmpeg_version="9")
        return Outcome(verdict=verdict)


class _Telemetry:
    def __init__(self, *devices: Device) -> None:
        self._devices = devices

    def survey(self) -> Survey:
        return Survey(devices=tuple(DeviceState(device=each) for each in self._devices))


def _containers(driver: _Driver, locks: Callable[[], Locks], *devices: Device, config: GpuConfig) -> None:
    """Start them all at once, each with everything to try, and wait for them."""

    def container(_: int) -> None:
        inventory = Inventory(telemetry=_Telemetry(*devices), trials=driver, locks=locks(), config=config)
        inventory.refresh()
        for trial in list(inventory.untried()):
            inventory.attempt(trial)

    with ThreadPoolExecutor(CONTAINERS) as pool:
        list(pool.map(container, range(CONTAINERS)))


def _devices() -> tuple[Device, Device]:
    one = Device(index=0, uuid=uuid4().hex, name="Tesla T4", kind=DeviceKind.NVIDIA, driver="570")
    return one, replace(one, index=1, uuid=uuid4().hex)


def test_one_device_is_tried_by_one_container_at_a_time_and_by_each_in_the_end(redis: Redis) -> None:
    driver, devices = _Driver(), _devices()
    patient = GpuConfig(gpu_trial_seconds=60)
    _containers(driver, lambda: Locks(Server(redis.cache_url, timeout_seconds=60)), *devices, config=patient)
    assert driver.max_running == {device.uuid: 1 for device in devices}
    assert len(driver.done) == 6
    assert set(driver.done.values()) == {CONTAINERS}


def test_without_redis_each_container_tries_at_once() -> None:
    driver, devices = _Driver(), _devices()
    _containers(driver, lambda: Locks(None), *devices, config=GpuConfig())
    assert set(driver.done.values()) == {CONTAINERS}


def test_a_turn_that_does_not_come_is_not_waited_for_and_reports_go_on_meanwhile(redis: Redis) -> None:
    driver, (device, _) = _Driver(), _devices()
    locks = Locks(Server(redis.cache_url, timeout_seconds=60), expiry_seconds=60)
    inventory = Inventory(
        telemetry=_Telemetry(device), trials=driver, locks=locks, config=GpuConfig(gpu_trial_seconds=1)
    )
    inventory.refresh()
    polled: list[int] = []
    with locks.held(f"gpu-trial:{device.uuid}"):
        outcome = inventory.attempt(next(inventory.untried()), on_poll=lambda: polled.append(driver.done.total()))
    assert outcome.verdict.available
    assert len(polled) > 1
