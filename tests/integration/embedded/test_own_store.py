"""`make run` with a store of the user's own."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from embedded.home import Home
from embedded.servers import SeaweedFS
from embedded.stack import Stack
from execution.daemons import DaemonError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def a_stack(home: Home, settings: Mapping[str, str]) -> Stack:
    return Stack(home, durable=False, environ={"PATH": os.environ["PATH"], **settings})


def test_without_one_the_product_uses_the_server_that_is_started(home: Home) -> None:
    stack = a_stack(home, {"TRANSCODER_S3_ACCESS_KEY": "of another program"})
    assert stack.worker.environ()["TRANSCODER_S3_ENDPOINT_URL"] == stack.seaweedfs.endpoint_url
    assert stack.worker.environ()["TRANSCODER_S3_ACCESS_KEY"] == stack.seaweedfs.access_key


def test_a_named_store_is_passed_on_as_it_is(home: Home) -> None:
    own = {"TRANSCODER_S3_BUCKET": "mine", "TRANSCODER_S3_REGION": "eu-central-1"}
    environ = a_stack(home, own).worker.environ()
    assert {name: environ[name] for name in environ if "_S3_" in name} == own


def test_a_store_that_cannot_be_used_stops_the_start_before_anything_runs(home: Home, s3_server: SeaweedFS) -> None:
    own = {
        "TRANSCODER_S3_ENDPOINT_URL": s3_server.endpoint_url,
        "TRANSCODER_S3_ACCESS_KEY": s3_server.access_key,
        "TRANSCODER_S3_SECRET_KEY": "wrong",
    }
    stack = a_stack(home, own)
    with pytest.raises(DaemonError, match=r"your store cannot be used: .*TRANSCODER_S3_SECRET_KEY"):
        stack.start()
    assert not any(service.running() for service in (*stack.servers, *stack.product))


def test_a_good_store_is_checked_and_its_server_is_not_started(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr("embedded.stack._start", lambda service, _report: started.append(service.name))
    monkeypatch.setattr(Stack, "_prepare", lambda *_: None)
    own = {"TRANSCODER_STORAGE": "local", "TRANSCODER_LOCAL_STORAGE_PATH": str(tmp_path / "store")}
    reported: list[str] = []
    a_stack(home, own).start(reported.append)
    assert started == ["postgresql", "redis", "api", "dispatcher", "worker"]
    assert reported == ["checking your store"]
