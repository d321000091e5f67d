"""The servers of one test run: private, started when a test first needs them, ended with the run.

Every run has a folder and ports of its own, so that several runs in one working tree do not meet. A run that was
killed leaves its folder and perhaps its servers; the next run that starts servers ends and removes them.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from embedded.home import REPOSITORY, Home, read_json
from embedded.servers import PostgreSQL, Redis, SeaweedFS
from embedded.service import Service
from embedded.stack import Stack
from execution import daemons
from execution.daemons import Identity

RUNS = REPOSITORY / ".vodmill" / "test"
SECRET_KEY = "only-for-tests-" * 4


S = TypeVar("S", bound=Service)


class ServersOfThisRun:
    """Servers by kind. Their ports are known before they run, because Django reads its settings once."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self.home = self._held.enter_context(locked_home(str(os.getpid())))
        self.postgresql = PostgreSQL(self.home, durable=False)
        self.redis = Redis(self.home)
        self.seaweedfs = SeaweedFS(self.home)
        atexit.register(self.close)

    def environment(self) -> dict[str, str]:
        """Build the settings of a process that uses these servers."""
        return {
            "TRANSCODER_SECRET_KEY": SECRET_KEY,
            "TRANSCODER_HTTPS": "false",
            "TRANSCODER_ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
            "TRANSCODER_DATABASE_URL": self.postgresql.administrator_url,
            "TRANSCODER_BROKER_URL": self.redis.url,
            "TRANSCODER_CACHE_URL": self.redis.cache_url,
            "TRANSCODER_ENABLE_CACHE": "false",  # most tests roll back what they write, which no cache can know
            "TRANSCODER_RATE_READ_PER_MINUTE": "0",
            "TRANSCODER_RATE_WRITE_PER_MINUTE": "0",
            "TRANSCODER_RATE_UPLOAD_PER_MINUTE": "0",
            "TRANSCODER_RATE_PLAN_PER_MINUTE": "0",
            "TRANSCODER_RATE_ADDRESS_PER_MINUTE": "0",
            "TRANSCODER_RATE_PLAY_PER_MINUTE": "0",
            "TRANSCODER_S3_ENDPOINT_URL": self.seaweedfs.endpoint_url,
            "TRANSCODER_S3_ACCESS_KEY": self.seaweedfs.access_key,
            "TRANSCODER_S3_SECRET_KEY": self.seaweedfs.secret_key,
            "TRANSCODER_THUMBNAILS": "false",  # tests of jobs count the steps and the objects of jobs
            "TRANSCODER_SCRATCH_PATH": str(self.home.folder / "scratch"),
        }

    def started(self, server: S) -> S:
        """Start a server and wait until it is ready."""
        server.start()
        server.wait_ready()
        return server

    def clear_killed(self) -> None:
        """Remove the folders of killed runs. Those in use are locked."""
        with _alone():
            for folder in RUNS.iterdir():
                if folder.is_dir() and folder != self.home.folder:
                    with suppress(BlockingIOError), Home(folder).locked():
                        _clear(Home(folder))

    def close(self) -> None:
        """Stop the started servers and remove the folder. Does nothing in a forked child."""
        if self.home.folder.name == str(os.getpid()):
            _clear(self.home)
            self._held.close()


@cache
def servers_of_this_run() -> ServersOfThisRun:
    """Return the only instance, so that settings and fixtures use the same ports."""
    return ServersOfThisRun()


@contextmanager
def locked_home(name: str) -> Iterator[Home]:
    """Make a folder of this run, which no other run removes as long as it is locked. Names begin with the run's pid."""
    home = Home(RUNS / name)
    with ExitStack() as held:
        with _alone():
            held.enter_context(home.locked())
        yield home


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other run makes or removes folders: one that has just been made is not locked yet."""
    RUNS.mkdir(parents=True, exist_ok=True)
    with (RUNS / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _clear(home: Home) -> None:
    for identity in map(read_json, (home.folder / "run").glob("*.json")):
        if identity:  # nodes that no Stack knows of are there too
            daemons.stop(Identity(identity["pid"], identity["started"]), grace_seconds=1)
    Stack(home).close()
    shutil.rmtree(home.folder, ignore_errors=True)


def tier(path: Path) -> str:
    """Return the tier of a test file: the first folder below tests/."""
    return path.relative_to(REPOSITORY / "tests").parts[0]
