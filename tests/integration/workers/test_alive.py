"""A real worker with an unavailable broker, then with frozen children: only the second is its own fault."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.fixtures import Settings

from configuration import RankConfig
from embedded.home import REPOSITORY
from embedded.servers import Redis
from jobs.dispatching.tickets import ticket_send
from jobs.lifecycle.inspection import inspect_request
from tests.rows import an_uploaded_video

TIMEOUT_SECONDS = 2
SETTINGS = {
    "TRANSCODER_CONSUMER_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
    "TRANSCODER_NODE_HEARTBEAT_SECONDS": "0.2",
    "TRANSCODER_NODE_NAME": "listener",
    "TRANSCODER_WORKER_SLOTS": "2",
}


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def worker(transactional_db: None, redis: Redis, tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    url = urlsplit(os.environ["TRANSCODER_DATABASE_URL"])
    environment = {
        **os.environ,
        **SETTINGS,
        "DJANGO_SETTINGS_MODULE": "transcoder_site.settings",
        "TRANSCODER_DATABASE_URL": urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}")),
        "TRANSCODER_SCRATCH_PATH": str(tmp_path),
        "TRANSCODER_METRICS_PORT": str(port),
    }
    work = ["-m", "celery", "-A", "transcoder_site", "worker", "--without-gossip", "--without-mingle"]
    process = subprocess.Popen(
        [sys.executable, *work], cwd=REPOSITORY, env=environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _until(done: Callable[[], bool], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_a_worker_is_alive_as_long_as_it_takes_what_is_sent_to_it(
    worker: subprocess.Popen[bytes], redis: Redis, tmp_path: Path, settings: Settings, port: int
) -> None:
    settings.TRANSCODER = replace(
        settings.TRANSCODER, execution=replace(settings.TRANSCODER.execution, scratch_path=str(tmp_path))
    )
    assert _until(_alive), "it starts"
    inspect_request(video=an_uploaded_video(), priority=50, rank=RankConfig())
    ticket_send("transfer")  # which it takes too, and looks into both of its queues
    time.sleep(TIMEOUT_SECONDS + 0.5)
    assert _until(_alive), "it has answered itself"
    redis.close()
    try:
        time.sleep(TIMEOUT_SECONDS + 0.5)
        assert _until(_alive), "an unavailable broker is no reason to kill its workers"
    finally:
        redis.start()
        redis.wait_ready()
    counted = 'vodmill_steps_run_total{kind="inspect",outcome="failed",queue="cpu"} 1.0'
    assert _until(lambda: counted in _get(port, "/metrics")[1]), "what a child counts is shown by its parent"
    for child in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGSTOP)
    assert _until(lambda: not _alive()), "its parent lives and nothing is done"
    with pytest.raises(CommandError, match="takes no tickets any more"):
        call_command("worker_alive")
    assert _get(port, "/healthz") == (503, "takes no tickets any more\n")


def _get(port: int, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def _alive() -> bool:
    try:
        call_command("worker_alive")
    except CommandError:
        return False
    return True
