"""GPU workers beside the rig: two nodes of two processes each, on a machine whose drivers are our own."""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2

from embedded.product import Worker
from embedded.stack import API_KEY
from tests.drivers.machine import FFMPEG, Event, GpuMachine
from tests.drivers.nvml import Card
from tests.faults.rig import Rig

DEVICES = 2
DEVICE_SLOTS = 6
SYSTEM_SLOTS = 7
ENCODERS = ("h264_nvenc", "hevc_nvenc", "av1_nvenc")
SETTINGS = {
    "TRANSCODER_WORKER_QUEUE": "gpu",
    "TRANSCODER_FFMPEG_PATH": FFMPEG,
    "TRANSCODER_GPU_SLOTS_PER_DEVICE": str(DEVICE_SLOTS),
    "TRANSCODER_GPU_SYSTEM_SLOTS": str(SYSTEM_SLOTS),
    "TRANSCODER_GPU_SET_ASIDE_SECONDS": "600",  # until a test has it tried again
}


class GpuNode(Worker):
    name = "worker-gpu-1"
    slots = 2


class SecondGpuNode(GpuNode):
    name = "worker-gpu-2"


class Gpus:
    """Faults of GPU workers and their devices, and what the drivers saw."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.machine = GpuMachine(rig.home.folder / "gpus", devices=DEVICES)
        self.machine.nvml.show(
            *(Card(uuid=f"GPU-{number}", name="NVIDIA GeForce RTX 4090") for number in range(DEVICES))
        )
        # The drivers are stubs that write down what is done with them, which nothing in a jail can.
        own = {**SETTINGS, **self.machine.environ, "TRANSCODER_ISOLATION": "none"}
        self.nodes = (
            GpuNode(rig.home, {**rig.node_environ("gpu-one"), **own}),
            SecondGpuNode(rig.home, {**rig.node_environ("gpu-two"), **own}),
        )

    def drivers(self, **settings: object) -> None:
        """Have drivers that limit nothing but by these settings."""
        self.machine.set(system_sessions=0, **settings)

    def mend(self) -> None:
        """Undo every fault, start what is not there, and have tried again what was set aside."""
        self.drivers()
        for node in self.nodes:
            node.start()
        if not self._verified():
            self.try_again()

    def heal(self) -> None:
        """Mend, and wait until every device has verified its encoder to each of the nodes."""
        self.mend()
        for node in self.nodes:
            node.wait_ready()
        self.rig.until(self._verified, 300, lambda: f"not verified: {self._reports()}")

    def try_again(self) -> None:
        """Have every node try its devices, as `manage.py gpu_trial` orders it."""
        self.rig.all("UPDATE gpu_devicereport SET trial_requested = true RETURNING id")

    def _verified(self) -> bool:
        ((count,),) = self.rig.all(
            "SELECT count(*) FROM gpu_devicereport WHERE verdicts ?& %s AND error = ''"
            " AND (verdicts->'h264_nvenc'->>'available')::boolean AND breakers->'h264_nvenc'->>'until' IS NULL"
            " AND reported_at > now() - interval '10 seconds'",
            list(ENCODERS),
        )
        return bool(count == DEVICES * len(self.nodes))

    def _reports(self) -> list[tuple[Any, ...]]:
        return self.rig.all("SELECT node, uuid, error, verdicts, breakers FROM gpu_devicereport")

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        self.rig.all("DELETE FROM gpu_devicereport RETURNING id")  # of nodes that were killed

    # What can be seen.

    def status(self) -> dict[str, Any]:
        """The answer of `GET /api/v1/system/gpu/status`."""
        key = {"Authorization": f"Bearer {self.rig.home.find_secret(API_KEY)}"}
        answer = httpx2.get(f"{self.rig.api.url}/api/v1/system/gpu/status", headers=key, trust_env=False, timeout=120)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def slots_used(self) -> dict[str, int]:
        """Sessions by device, as the status shows them."""
        return {device["uuid"]: device["slots"]["used"] for device in self.status()["devices"]}

    def encodes(self, width: int, height: int) -> list[Event]:
        """Calls that reached the drivers for frames of this size, which trials do not have."""
        return [
            event for event in self.machine.events("encode") if (event["width"], event["height"]) == (width, height)
        ]

    def max_at_once(self, pids: set[int]) -> tuple[int, int]:
        """The most sessions that these processes had open at once: on one device, and on all of them."""
        now: Counter[int] = Counter()
        on_device = on_system = 0
        for event in self.machine.events():
            if event["pid"] in pids and event["event"] in {"open", "close"}:
                now[event["device"]] += 1 if event["event"] == "open" else -1
                on_device = max(on_device, *now.values())
                on_system = max(on_system, now.total())
        return on_device, on_system

    @contextmanager
    def taken_by_others(self) -> Iterator[None]:
        """No session is left on the whole machine, for programs that are not ours have them."""
        with ExitStack() as held:
            file = held.enter_context((self.machine.folder / "sessions" / "system-0").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
            self.machine.set(system_sessions=1)
            yield
            self.drivers()


def metadata_of(rig: Rig, job: str) -> dict[str, Any]:
    (found,) = rig.one("SELECT metadata FROM jobs_job WHERE id = %s", job)
    return dict(found)


def chunks_of(rig: Rig, job: str) -> Sequence[tuple[Any, ...]]:
    """Queue, state, attempt, failures and error code of all chunks that a job ever had."""
    return rig.all(
        "SELECT queue, state, attempt, failures, error_code FROM jobs_step WHERE job_id = %s AND kind = 'chunk'"
        " ORDER BY created_at, ordinal",
        job,
    )
