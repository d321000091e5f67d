"""Metrics of real processes: those of docs/metrics.md, and every series that is known in advance at zero."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from standardwebhooks.webhooks import Webhook

from access.services import default_owner
from embedded.home import REPOSITORY
from embedded.servers import Redis
from events.models import FanOut
from events.webhooks.services import endpoint_create
from observability.version import VERSION
from tests.conformance import published
from tests.integration.jobs.test_event_documents import everything_happens
from tests.receiver import a_receiver

WORKER = ("-m", "celery", "-A", "transcoder_site", "worker", "--without-gossip", "--without-mingle")
DISPATCHER = ("manage.py", "dispatcher")
SECONDS = 120.0
AT_ZERO = {
    WORKER: {
        ("vodmill_steps_run_total", ("cpu", "purge", "failed")),
        ("vodmill_encodes_total", ("libx264", "failed")),
        ("vodmill_storage_operations_total", ("PutObject", "no answer")),
        ("vodmill_jobs_completed_total", ("failed",)),
    },
    DISPATCHER: {
        ("vodmill_webhook_deliveries_total", ("failed",)),
        ("vodmill_jobs_completed_total", ("cancelled",)),
        ("vodmill_storage_operations_total", ("DeleteObjects", "5xx")),
        ("vodmill_gpu_fallbacks_total", ("no_gpu",)),
    },
}


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running(command: tuple[str, ...], folder: Path, port: int, **settings: str) -> Iterator[Path]:
    """Run a process of the platform; its log."""
    url = urlsplit(os.environ["TRANSCODER_DATABASE_URL"])
    folder.mkdir()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "transcoder_site.settings",
        "TRANSCODER_DATABASE_URL": urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}")),
        "TRANSCODER_SCRATCH_PATH": str(folder),
        "TRANSCODER_METRICS_PORT": str(port),
        **settings,
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=REPOSITORY, env=environment, start_new_session=True, stderr=output
        )
    try:
        yield log
        assert process.poll() is None, log.read_text()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def scraped(port: int) -> str:
    """Return what a process exports; empty before it listens."""
    with suppress(ConnectionError), closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as session:
        session.request("GET", "/metrics")
        return session.getresponse().read().decode()
    return ""


def documented() -> set[str]:
    text = (Path(REPOSITORY) / "docs" / "metrics.md").read_text()
    return set(re.findall(r"^\| `(vodmill_\w+)` \|", text, re.MULTILINE))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", [WORKER, DISPATCHER], ids=["worker", "dispatcher"])
def test_a_process_exports_what_the_docs_list_from_its_start(
    command: tuple[str, ...], redis: Redis, s3_server: object, tmp_path: Path, port: int
) -> None:
    with running(command, tmp_path / "a", port):
        until(lambda: scraped(port))
        families = list(text_string_to_metric_families(scraped(port)))
    ours = [family for family in families if family.name.startswith("vodmill_")]
    counters = {f"{family.name}_total" if family.type == "counter" else family.name for family in ours}
    assert counters <= documented()
    (build,) = (family for family in ours if family.name == "vodmill_build_info")
    assert build.samples[0].labels["version"] == VERSION
    samples = {
        (sample.name, frozenset(sample.labels.values())): sample.value for family in ours for sample in family.samples
    }
    for name, labels in AT_ZERO[command]:
        assert samples.get((name, frozenset(labels))) == 0, (name, labels)


@pytest.mark.django_db(transaction=True)
def test_a_second_process_with_the_same_port_works_without_metrics(
    redis: Redis, s3_server: object, tmp_path: Path, port: int
) -> None:
    with running(DISPATCHER, tmp_path / "a", port):
        until(lambda: scraped(port))
        with running(DISPATCHER, tmp_path / "b", port) as log:
            until(lambda: "metrics_port_unavailable" in log.read_text())
            until(lambda: list((tmp_path / "b").rglob("dispatcher-*.json")))
        assert "vodmill_build_info" in scraped(port)


@pytest.mark.django_db(transaction=True)
def test_a_dispatcher_delivers_what_happened_with_urls_that_work(
    redis: Redis, s3_server: object, tmp_path: Path, port: int, client: Client
) -> None:
    """And counts it; the API plays what it has signed."""
    with a_receiver() as receiver:
        endpoint = endpoint_create(owner=default_owner(), url=receiver.url("/status/200"), types=["job.completed"])
        settings = {"TRANSCODER_WEBHOOK_NETWORKS": "127.0.0.0/8", "TRANSCODER_PUBLIC_URL": "https://video.example"}
        with running(DISPATCHER, tmp_path / "a", port, **settings):
            until(FanOut.objects.exists)
            job = everything_happens(default_owner())
            until(lambda: len(receiver.requests) == 2)  # of another job everything was deleted
            received = [Webhook(endpoint.secret).verify(body, headers) for _, headers, body in receiver.requests]
            for each in received:
                published().check_event(each)
            (document,) = (each for each in received if each["data"]["job_id"] == str(job.id))
            hls = document["data"]["playback"]["hls_url"]
            assert client.get(hls.removeprefix("https://video.example")).status_code == 200
            until(lambda: 'vodmill_webhook_deliveries_total{outcome="delivered"} 0.0' not in scraped(port))
