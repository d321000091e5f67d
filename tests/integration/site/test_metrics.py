"""/metrics of the API: refused without the token, and correct."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from embedded.home import REPOSITORY
from gpu.devices import Device, DeviceKind, DeviceState, Reading, SlotLimits
from gpu.services import DeviceDescription, device_report
from jobs.leasing.nodes import node_register
from jobs.leasing.steps import step_begin
from jobs.lifecycle.services import job_cancel
from observability.metrics import METRICS, BuildInfo
from operations.metrics_export import DatabaseMetrics
from relay.metrics import METERS
from storage.wiring import store_from
from tests.rows import a_job, a_video, claimed

TOKEN = "t0ken"


@pytest.fixture
def client(settings: Settings) -> Client:
    metrics = replace(settings.TRANSCODER.metrics, metrics_token=TOKEN)
    settings.TRANSCODER = replace(settings.TRANSCODER, metrics=metrics)
    return Client(headers={"host": "10.1.2.3", "authorization": f"Bearer {TOKEN}"})


def _values(client: Client) -> dict[str, float]:
    """Read all samples by name and labels."""
    text = client.get("/metrics").content.decode()
    return {
        sample.name + "".join(f",{name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_token_is_required(client: Client, settings: Settings) -> None:
    assert Client().get("/metrics").status_code == 401
    settings.TRANSCODER = configured.TRANSCODER
    settings.TRANSCODER = replace(settings.TRANSCODER, metrics=replace(settings.TRANSCODER.metrics, metrics_token=""))
    assert Client(headers={"authorization": "Bearer "}).get("/metrics").status_code != 200


@pytest.mark.django_db
def test_gauges_of_queues_jobs_and_nodes_match_the_rows(client: Client) -> None:
    node_register(name="n1", queues=["cpu"], slots=3, pid=1, info={})
    a_job()
    step_begin(claim=claimed(node="n1"))
    values = _values(client)
    assert values["vodmill_steps,queue=cpu,state=ready"] == 5
    assert values["vodmill_steps,queue=cpu,state=running"] == 1
    assert values["vodmill_jobs_queue_depth,queue=cpu"] == 5
    assert values["vodmill_jobs_queue_depth,queue=gpu"] == 0, "an empty queue is a zero, not a gap"
    assert 0 <= values["vodmill_oldest_ready_step_seconds,queue=cpu"] < 60
    assert values["vodmill_jobs_in_progress,state=processing"] == 1
    assert values["vodmill_worker_slots,queue=cpu"] == 3
    assert values["vodmill_worker_active,queue=cpu,state=active"] == 1


@pytest.mark.django_db(transaction=True)
def test_jobs_are_counted_on_commit(client: Client) -> None:
    before = _values(client)
    job = a_job(a_video(), codec="h264")
    step_begin(claim=claimed())
    job_cancel(owner=job.owner, job_id=job.id)
    after = _values(client)
    grown = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    assert grown["vodmill_jobs_created_total,codec=h264"] == 1
    assert grown["vodmill_jobs_completed_total,outcome=cancelled"] == 1
    assert grown["vodmill_job_queue_time_seconds_count"] == 1
    assert grown["vodmill_job_duration_seconds_count,outcome=cancelled"] == 1


@pytest.mark.django_db
def test_requests_are_counted_by_route(client: Client) -> None:
    missing = "/api/v1/videos/00000000-0000-0000-0000-000000000000"
    before = _values(client)
    for path in (missing, "/nothing/here"):
        client.get(path, headers={"host": "testserver"})
    after = _values(client)
    routes = {
        name for name in after if name.startswith("vodmill_http_requests_total") and after[name] != before.get(name)
    }
    assert len(routes) == 2
    assert not any("0000" in name for name in routes), "labels contain no URLs"
    assert any("route=none" in name for name in routes)


@pytest.mark.django_db
def test_unknown_readings_of_devices_are_left_out(client: Client) -> None:
    device = Device(index=0, uuid="GPU-1", name="A card", kind=DeviceKind.NVIDIA)
    state = DeviceState(device=device, reading=Reading(memory_used_mb=512, utilization_percent=0))
    limits = SlotLimits(device=3, system=None)
    device_report(node="n1", machine="m1", descriptions=[DeviceDescription(state=state, limits=limits)])
    values = _values(client)
    labels = ",gpu=0,node=n1,uuid=GPU-1"
    assert values[f"vodmill_gpu_memory_used_bytes{labels}"] == 512 * 2**20
    assert values[f"vodmill_gpu_utilization_percent{labels}"] == 0
    assert f"vodmill_gpu_temperature_celsius{labels}" not in values
    assert values["vodmill_gpu_slots_used,uuid=GPU-1"] == 0


@pytest.mark.django_db
def test_the_store_is_counted(client: Client, s3_server: object) -> None:
    store = store_from(configured.TRANSCODER.storage)
    store.prepare()
    before = _values(client)
    store.put("videos/metrics/a", b"x" * 1000, "text/plain")
    assert store.get("videos/metrics/a") == b"x" * 1000
    after = _values(client)
    for name, amount in {
        "vodmill_storage_bytes_transferred_total,direction=up": 1000,
        "vodmill_storage_bytes_transferred_total,direction=down": 1000,
        "vodmill_storage_operations_total,operation=PutObject,outcome=2xx": 1,
        "vodmill_storage_operations_total,operation=GetObject,outcome=2xx": 1,
    }.items():
        assert after[name] - before.get(name, 0) == amount, name


@pytest.mark.django_db
def test_the_docs_list_exactly_the_exported_metrics() -> None:
    shown = {name: (metric.kind, set(metric.labels)) for name, metric in METRICS.items()}
    shown[BuildInfo.name] = ("gauge", set(BuildInfo.labels))
    for family in (*DatabaseMetrics(silence_seconds=20).collect(), *METERS.collect()):
        shown[family.name] = ("gauge", set(family._labelnames))  # type: ignore[attr-defined]
    row = re.compile(r"^\| `(vodmill_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
    text = (Path(REPOSITORY) / "docs" / "metrics.md").read_text()
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in row.findall(text)}
    assert documented == shown
