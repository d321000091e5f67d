"""Contents of the images. There is no Docker here: what can be known without it."""

import json
import re
from pathlib import Path

import pytest

from embedded.home import REPOSITORY
from tests.unit.deployment.reading import SETTINGS, instructions, stages

NOT_SHIPPED = {"embedded", "tests", "benchmarks"}
QUEUES = {"worker-cpu": "cpu", "worker-transfer": "transfer", "worker-gpu": "gpu"}
PROGRAMS = {"api": "python", "ingest": "sh"} | dict.fromkeys(QUEUES, "python")


def allowed() -> set[str]:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    return {line.removeprefix("!") for line in lines if line.startswith("!")}


def copied() -> list[str]:
    """Paths that the Dockerfile copies out of the working tree."""
    sources = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from=" not in rest]
    return [source for each in sources for source in each]


def test_exactly_the_product_is_let_in() -> None:
    packages = {marker.parent.name for marker in REPOSITORY.glob("*/__init__.py")} - NOT_SHIPPED
    assert allowed() == packages | {"manage.py", "LICENSE", "requirements/runtime.txt"}


def test_every_file_that_is_copied_exists_and_is_let_in() -> None:
    for source in copied():
        assert (REPOSITORY / source).exists()
        assert source == "." or {source, source.partition("/")[0]} & allowed()


def test_every_package_is_locked_with_its_hash() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert installs
    assert all("--require-hashes" in install and install.endswith("-r /tmp/runtime.txt") for install in installs)
    locked = Path(REPOSITORY, "requirements/runtime.txt").read_text()
    names = re.findall(r"^([a-z0-9.-]+)(?:\[[a-z,-]+\])?==", locked, flags=re.MULTILINE)
    assert len(names) == len(re.findall(r"==.*\\\n\s+--hash=sha256:", locked))


def test_no_address_but_the_names_of_two_images() -> None:
    text = (REPOSITORY / "Dockerfile").read_text()
    assert "://" not in text
    assert re.findall(r"^ARG \w+=(.*)$", text, flags=re.MULTILINE) == [
        "debian:bookworm-slim",
        "nvidia/cuda:12.8.1-base-ubuntu24.04",
    ]
    bases = {rest.split()[0] for word, rest in instructions() if word == "FROM"}
    assert bases - set(stages()) == {"${DEBIAN_IMAGE}", "${CUDA_IMAGE}"}


@pytest.mark.parametrize(("target", "program"), PROGRAMS.items())
def test_a_target_is_nobody_important_and_reaps_what_it_starts(target: str, program: str) -> None:
    stage = stages()[target]
    last = dict(stage)
    assert last["USER"] == "10001:10001"
    assert json.loads(last["ENTRYPOINT"])[0] == "/usr/bin/tini"
    assert json.loads(last["CMD"])[0] == program
    installed = " ".join(rest for word, rest in stage if word == "RUN")
    assert {"ffmpeg", "tini", "python3"} <= set(installed.split())


def environ(target: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(rest for word, rest in stages()[target] if word == "ENV")))


def test_the_gpu_worker_requests_what_nvenc_needs() -> None:
    assert environ("worker-gpu")["NVIDIA_DRIVER_CAPABILITIES"] == "compute,video,utility"


@pytest.mark.parametrize(("target", "queue"), QUEUES.items())
def test_the_image_of_a_worker_serves_one_queue(target: str, queue: str) -> None:
    assert environ(target)["TRANSCODER_WORKER_QUEUE"] == queue


def test_every_setting_is_one() -> None:
    text = (REPOSITORY / "Dockerfile").read_text()
    assert set(re.findall(r"TRANSCODER_\w+", text)) <= SETTINGS
