"""The configuration that `ingest_configuration` prints, as nginx itself reads it."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from embedded.service import find_program
from livestreams.nginx import SECRET_HEADER
from tests.ingest_process import a_certificate

SECRET = "secret-of-ingest-servers"


@pytest.fixture
def with_secret(settings: Settings) -> None:
    config = settings.TRANSCODER
    settings.TRANSCODER = replace(config, livestreams=replace(config.livestreams, ingest_secret=SECRET))


def _printed(folder: Path, *options: str) -> str:
    printed = folder / "nginx.conf"
    with printed.open("w") as file:
        call_command(
            "ingest_configuration",
            "--address=10.0.0.7:1935",
            f"--folder={folder}",
            *options,
            stdout=file,
        )
    return printed.read_text()


@pytest.mark.usefixtures("with_secret")
def test_nginx_accepts_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = a_certificate(tmp_path)
    tls = (f"--certificate={certificate.chain}", f"--certificate-key={certificate.key}")

    printed = _printed(tmp_path, f"--port={_free_port()}", f"--tls-port={_free_port()}", *tls)

    program = find_program("nginx")
    assert program
    checked = subprocess.run(
        [program, "-t", "-e", "stderr", "-c", tmp_path / "nginx.conf"],
        env={**os.environ, "LANG": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert f"proxy_set_header {SECRET_HEADER} {SECRET};" in printed
    assert "proxy_set_header X-Vodmill-Ingest-Address 10.0.0.7:1935;" in printed


def test_without_a_secret_nothing_is_printed(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="TRANSCODER_INGEST_SECRET is empty"):
        _printed(tmp_path)


@pytest.mark.usefixtures("with_secret")
def test_half_a_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--certificate-key"):
        _printed(tmp_path, "--certificate=/somewhere.pem")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
