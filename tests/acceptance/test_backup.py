"""A backup is taken amid work and restored into an empty installation, which then has and does the same."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx2
import psycopg
import pytest

from configuration import load
from embedded.client import Client, Json
from embedded.home import REPOSITORY, Home
from embedded.stack import Stack
from execution.daemons import poll_until
from storage.keys import source_key, video_prefix
from storage.wiring import store_from
from tests.acceptance.conftest import SHORT_TIMES
from tests.acceptance.playing import Player, finished
from tests.pacing import PacedFfmpeg
from tests.servers import locked_home

SCRIPT_SECONDS = 300


@pytest.fixture
def empty(home: Home, ffmpeg: PacedFfmpeg) -> Iterator[Stack]:
    """Another installation with the same secret key, of which only the servers run."""
    with locked_home(f"{os.getpid()}-restored") as fresh:
        fresh.store_secret("django", home.secret("django"))
        fresh.port("api")
        environ = {"PATH": os.environ["PATH"], **ffmpeg.environ, **SHORT_TIMES}
        stack = Stack(fresh, durable=False, environ=environ)
        try:
            for server in stack.servers:
                server.start()
                server.wait_ready()
            yield stack
        finally:
            stack.close()


def script(name: str, folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(REPOSITORY / "scripts" / name), str(folder)]
    return subprocess.run(
        command, env=dict(environ), capture_output=True, text=True, timeout=SCRIPT_SECONDS, check=False
    )


def digests(playback: Json) -> dict[str, str]:
    """SHA-256 of every object that a player gets, by its path below the generation."""
    with closing(Player()) as player:
        found = {}
        for name, url in player.renditions(playback["hls_url"]).items():
            playlist = player.playlist(url)
            for object_url in (playlist.init, *playlist.segments):
                data = player.get(object_url).content
                found[f"{name}/{object_url.rpartition('/')[2]}"] = hashlib.sha256(data).hexdigest()
        return found


@pytest.fixture
def running(stack: Stack, client: Client, ffmpeg: PacedFfmpeg) -> tuple[Stack, Client, PacedFfmpeg]:
    return stack, client, ffmpeg


def test_a_restored_installation_has_and_does_the_same(
    running: tuple[Stack, Client, PacedFfmpeg], empty: Stack, clip: Path, tmp_path: Path
) -> None:
    stack, client, ffmpeg = running
    backup = tmp_path / "backup"
    before = store_from(load(stack.worker.environ()).storage)
    done = client.upload(clip, lambda _: None)
    assert finished(client, client.transcode(done["id"], {"preset": "ultrafast"}))["state"] == "completed"
    expected = digests(client.playback(done["id"]))
    unfinished = client.upload(clip, lambda _: None)
    ffmpeg.pace(1)
    try:
        job = client.transcode(unfinished["id"], {"preset": "ultrafast"})
        assert poll_until(lambda: bool(client.job(job["id"])["progress"]), 300), "it is amid its work"
        orphan = uuid4()  # its upload was complete, and its row not yet written
        before.put(source_key(orphan), b"a source", "video/mp4")

        taken = script("backup", backup, stack.worker.environ())
        assert taken.returncode == 0, taken.stderr
        assert "objects" in taken.stdout
        again = script("backup", backup, stack.worker.environ())
        assert again.returncode == 0, again.stderr
    finally:
        ffmpeg.pace(0)
    assert {path.stat().st_mode & 0o077 for path in backup.rglob("*")} == {0}

    later = client.upload(clip, lambda _: None)
    assert client.playback(done["id"])["hls_url"], "the first installation is not disturbed"

    restored = script("restore", backup, empty.worker.environ())
    assert restored.returncode == 0, restored.stderr + restored.stdout
    assert "the store has every object that a row names" in restored.stdout
    twice = script("restore", backup, empty.worker.environ())
    assert twice.returncode != 0, "a database that is not empty is left alone"

    empty.start()
    with closing(Client(empty.api.url, client.api_key)) as after:  # the key is in the database
        assert digests(after.playback(done["id"])) == expected
        old_path = client.playback(done["id"])["hls_url"].removeprefix(stack.api.url)
        assert httpx2.get(f"{empty.api.url}{old_path}", trust_env=False).status_code == 200, "URLs still work"
        completed = finished(after, after.job(job["id"]))
        assert completed["state"] == "completed", completed["error"]
        assert digests(after.playback(unfinished["id"]))
        assert (
            httpx2.get(
                f"{empty.api.url}/api/v1/videos/{later['id']}", headers={"X-API-Key": client.api_key}, trust_env=False
            ).status_code
            == 404
        )
    store = store_from(load(empty.worker.environ()).storage)
    assert [stored.key for stored in store.list(video_prefix(orphan))] == [source_key(orphan)], (
        "the janitor's, in a day"
    )

    victim = next(store.list(f"{video_prefix(done['id'])}g1/")).key
    store.delete([victim])
    verified = subprocess.run(
        [".venv/bin/python", "manage.py", "store_verify"],
        cwd=REPOSITORY,
        env=dict(empty.worker.environ()),
        capture_output=True,
        text=True,
        timeout=SCRIPT_SECONDS,
        check=False,
    )
    assert verified.returncode != 0
    assert verified.stdout == f"missing: {victim}\n"


def test_no_password_is_in_the_arguments_of_a_process(stack: Stack) -> None:
    with psycopg.connect(stack.postgresql.url) as connection:
        assert connection.info.password
    shown = subprocess.run(
        [str(REPOSITORY / "scripts/with-database"), "sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline; echo $PGDATABASE"],
        env=dict(stack.worker.environ()),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert stack.home.secret("postgresql") not in shown
    assert shown.endswith("vodmill\n")
