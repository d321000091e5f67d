"""The whole product in one Compose file: what its schema cannot say."""

import re

import pytest

from configuration import EncodeConfig
from embedded.home import REPOSITORY
from tests.unit.deployment.reading import SETTINGS, compose, seconds, stages

SERVICES = compose()["services"]
WORKERS = ["worker-cpu", "worker-gpu"]
OURS = ["prepare", "api", "dispatcher", *WORKERS]


def test_nothing_is_missing() -> None:
    assert set(SERVICES) == {"postgresql", "redis-tickets", "redis-cache", "seaweedfs", *OURS}


@pytest.mark.parametrize("name", WORKERS)
def test_any_number_of_workers_fit_on_one_machine(name: str) -> None:
    worker = SERVICES[name]
    assert not {"container_name", "hostname", "ports"} & set(worker)
    assert "TRANSCODER_NODE_NAME" not in worker["environment"]  # the container's own name, which is unique
    assert all(":" not in volume for volume in worker["volumes"])  # nothing shared: one anonymous volume each


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_that_is_stopped_has_time_to_finish_or_release(name: str) -> None:
    worker = SERVICES[name]
    grace = worker["environment"]["TRANSCODER_DRAIN_GRACE_SECONDS"]
    assert grace > EncodeConfig().chunk_work_seconds, "a chunk that has just started is finished, too"
    assert seconds(worker["stop_grace_period"]) >= grace + 15


@pytest.mark.parametrize("name", WORKERS)
def test_what_opens_files_of_strangers_reaches_nothing_outside(name: str) -> None:
    assert SERVICES[name]["networks"] == ["inside"]
    assert compose()["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_gpu_workers_reserve_devices_with_what_nvenc_needs() -> None:
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu", "compute", "video", "utility"]}


def test_tickets_are_never_evicted_and_caches_are() -> None:
    policies = {name: SERVICES[name]["command"][-1] for name in ("redis-tickets", "redis-cache")}
    assert policies == {"redis-tickets": "noeviction", "redis-cache": "allkeys-lru"}


def test_what_is_built_has_a_target() -> None:
    for service in SERVICES.values():
        if "build" in service:
            assert service["build"]["target"] in stages()
            assert service["image"] == f"vodmill/{service['build']['target']}"


def test_every_setting_is_one_and_no_secret_is_written_down() -> None:
    text = (REPOSITORY / "docker-compose.gpu.yml").read_text()
    assert set(re.findall(r"TRANSCODER_\w+", text)) <= SETTINGS
    for name, value in SERVICES["worker-gpu"]["environment"].items():
        if name.endswith(("_KEY", "DATABASE_URL", "BROKER_URL", "CACHE_URL")):
            assert re.search(r"\$\{\w+:\?", value), name
