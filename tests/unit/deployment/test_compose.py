"""The whole product in one Compose file: what its schema cannot say."""

import re
from typing import Any

import pytest
import yaml

from configuration import EncodeConfig
from embedded.home import REPOSITORY
from tests.unit.deployment.reading import SETTINGS, compose, seconds, stages

SERVICES = compose()["services"]
ENCODERS = ["worker-cpu", "worker-gpu"]
WORKERS = [*ENCODERS, "worker-transfer", "worker-live"]
INGEST = ["ingest", "ingest-hooks"]
RELAYS = ["relay", "relay-gpu"]
OURS = ["prepare", "api", "dispatcher", *WORKERS, *RELAYS, *INGEST]
OTHERS = ["postgresql", "redis-tickets", "redis-cache", "seaweedfs", "prometheus"]
IMAGE_VOLUMES = {
    "postgresql": "/var/lib/postgresql/data",
    "redis-tickets": "/data",
    "redis-cache": "/data",
    "seaweedfs": "/data",
    "prometheus": "/prometheus",
}
"""Paths that the images of others declare as volumes. What mounts nothing there gets an anonymous one."""


def test_nothing_is_missing() -> None:
    assert set(SERVICES) == {*OURS, *OTHERS}


@pytest.mark.parametrize("name", WORKERS)
def test_any_number_of_workers_fit_on_one_machine(name: str) -> None:
    worker = SERVICES[name]
    assert not {"container_name", "hostname", "ports"} & set(worker)
    assert "TRANSCODER_NODE_NAME" not in worker["environment"]  # the container's own name, which is unique
    assert worker["volumes"] == ["scratch:/var/lib/vodmill"]  # shared: each has folders of its own there


@pytest.mark.parametrize("name", [*ENCODERS, "worker-transfer"])
def test_a_worker_that_is_stopped_has_time_to_finish_or_release(name: str) -> None:
    worker = SERVICES[name]
    grace = worker["environment"]["TRANSCODER_DRAIN_GRACE_SECONDS"]
    assert grace > EncodeConfig().chunk_work_seconds, "a chunk that has just started is finished, too"
    assert seconds(worker["stop_grace_period"]) >= grace + 15


@pytest.mark.parametrize("name", ENCODERS)
def test_what_opens_files_of_strangers_reaches_nothing_outside(name: str) -> None:
    assert SERVICES[name]["networks"] == ["inside"]
    assert compose()["networks"]["inside"] == {"internal": True}


def test_what_imports_and_delivers_has_a_way_out_and_no_other_work() -> None:
    assert SERVICES["worker-transfer"]["networks"] == ["inside", "outside"]
    assert "TRANSCODER_WORKER_QUEUE" not in SERVICES["worker-transfer"]["environment"]  # the image says it


@pytest.mark.parametrize("name", [*OURS, *OTHERS])
def test_containers_have_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["DAC_OVERRIDE"] if name == "seaweedfs" else [])
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] is (name != "prometheus")


def mounts(service: dict[str, Any]) -> set[str]:
    """The paths at which something is mounted, volumes and tmpfs."""
    volumes = (
        volume.split(":")[1] if ":" in volume else f"anonymous {volume}" for volume in service.get("volumes", [])
    )
    return {*volumes, *(tmpfs.split(":")[0] for tmpfs in service["tmpfs"])}


@pytest.mark.parametrize("name", [*OURS, *OTHERS])
def test_no_volume_is_anonymous(name: str) -> None:
    found = mounts(SERVICES[name])
    assert not [path for path in found if path.startswith("anonymous")]
    assert IMAGE_VOLUMES.get(name, "/var/lib/vodmill") in found
    named = {volume.split(":")[0] for volume in SERVICES[name].get("volumes", [])}
    assert named <= set(compose()["volumes"])


def test_no_image_of_ours_declares_a_volume() -> None:
    assert "VOLUME" not in {word for stage in stages().values() for word, _ in stage}


def test_players_reach_the_api_and_nothing_else() -> None:
    assert "${TRANSCODER_PLAYBACK_DELIVERY:-proxy}" in SERVICES["api"]["environment"].values()
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"api", "prometheus", "ingest", *RELAYS}
    assert all(port.startswith("127.0.0.1:") for port in published["prometheus"])
    assert all(port.startswith("${API_BIND:-127.0.0.1}:") for port in published["api"])  # it speaks plain HTTP
    assert published["ingest"] == ["${INGEST_BIND:-127.0.0.1}:${INGEST_PORT:-1935}:1935"]  # keys in plain text
    assert all(port.startswith("${RELAY_BIND:-127.0.0.1}:") for name in RELAYS for port in published[name])


@pytest.mark.parametrize("name", RELAYS)
def test_the_relay_runs_where_it_is_wanted_and_listens_where_it_is_probed(name: str) -> None:
    relay = SERVICES[name]
    assert relay["profiles"] == [{"relay": "live", "relay-gpu": "live-gpu"}[name]]
    port = relay["environment"]["TRANSCODER_RELAY_PORT"]
    assert relay["environment"]["TRANSCODER_RELAY_HOST"] == "0.0.0.0"  # noqa: S104 - of the container
    assert relay["ports"][0].endswith(f":{port}")
    assert f"127.0.0.1:{port}/readyz" in relay["healthcheck"]["test"][-1]
    assert seconds(relay["stop_grace_period"]) >= relay["environment"]["TRANSCODER_DRAIN_GRACE_SECONDS"] + 15


def test_hooks_of_the_ingest_server_are_reached_by_it_alone() -> None:
    hooks = SERVICES["ingest-hooks"]
    assert hooks["network_mode"] == "service:ingest"  # they listen on its loopback
    assert not {"ports", "networks"} & set(hooks)
    assert not {"TRANSCODER_INGEST_HOOKS_HOST", "TRANSCODER_INGEST_HOOKS_PORT"} & set(hooks["environment"])
    assert hooks["depends_on"]["ingest"]["restart"], "its network goes with the container of the ingest server"


def test_the_ingest_server_has_its_own_secret_and_no_other() -> None:
    environment = SERVICES["ingest"]["environment"]
    assert set(environment) == {"TRANSCODER_INGEST_SECRET", "TRANSCODER_INGEST_ADDRESS"}
    secret = environment["TRANSCODER_INGEST_SECRET"]
    holders = {name for name in OURS if "TRANSCODER_INGEST_SECRET" in SERVICES[name]["environment"]}
    assert holders == {"ingest", "ingest-hooks", "worker-live"}
    assert {SERVICES[name]["environment"]["TRANSCODER_INGEST_SECRET"] for name in holders} == {secret}
    assert "TRANSCODER_LIVE_RTMP_URL" in SERVICES["api"]["environment"]


def test_live_workers_serve_their_queue_and_send_streams_on() -> None:
    live = SERVICES["worker-live"]
    assert live["environment"]["TRANSCODER_WORKER_QUEUE"] == "live"
    assert live["networks"] == ["inside", "outside"]
    assert {SERVICES[name]["profiles"][0] for name in ("worker-live", *INGEST)} == {"live"}


def test_the_metrics_of_every_process_are_read() -> None:
    scraped = yaml.safe_load((REPOSITORY / "monitoring/prometheus.yml").read_text())["scrape_configs"]
    found = {name: one["port"] for each in scraped for one in each["dns_sd_configs"] for name in one["names"]}
    assert found.pop("api") == 8000
    assert {found.pop(name) for name in RELAYS} == {SERVICES["relay"]["environment"]["TRANSCODER_RELAY_PORT"]}
    assert found == {
        name: SERVICES[name]["environment"]["TRANSCODER_METRICS_PORT"] for name in ["dispatcher", *WORKERS]
    }
    token = {each["authorization"]["credentials_file"] for each in scraped}
    assert token == {f"/run/secrets/{secret}" for secret in SERVICES["prometheus"]["secrets"]}
    assert compose()["secrets"] == {"metrics_token": {"environment": "TRANSCODER_METRICS_TOKEN"}}


def test_alerts_are_about_metrics_that_there_are() -> None:
    config = yaml.safe_load((REPOSITORY / "monitoring/prometheus.yml").read_text())
    mounted = {each["target"]: each["source"] for each in SERVICES["prometheus"]["configs"]}
    assert {mounted[path] for path in config["rule_files"]} == {"alerts"}
    groups = yaml.safe_load((REPOSITORY / compose()["configs"]["alerts"]["file"]).read_text())["groups"]
    rules = [rule["expr"] for group in groups for rule in group["rules"]]
    documented = set(re.findall(r"`(vodmill_\w+)`", (REPOSITORY / "docs/metrics.md").read_text()))
    assert all(set(re.findall(r"vodmill_\w+", rule)) <= documented for rule in rules)


@pytest.mark.parametrize("name", OTHERS)
def test_the_image_of_others_can_be_replaced(name: str) -> None:
    assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[a-z/]+:[a-z0-9.-]+\}", SERVICES[name]["image"])


@pytest.mark.parametrize("name", ["worker-gpu", "relay-gpu"])
def test_what_encodes_on_gpus_reserves_devices_with_what_nvenc_needs(name: str) -> None:
    (device,) = SERVICES[name]["deploy"]["resources"]["reservations"]["devices"]
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
    for service in OURS:
        for name, value in SERVICES[service]["environment"].items():
            if service in [*WORKERS, *RELAYS, *INGEST] and name == "TRANSCODER_SECRET_KEY":
                assert value == ""
            elif name.endswith(("_KEY", "DATABASE_URL", "BROKER_URL", "CACHE_URL")):
                assert re.search(r"\$\{\w+:\?", value), name
