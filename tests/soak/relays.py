"""A relay beside the servers that it needs, and what it holds of its machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from embedded.product import Product
from embedded.stack import API_KEY, Stack
from execution.process import descendant_pids, is_running, processor_seconds
from tests.servers import locked_home

SETTINGS = {
    "TRANSCODER_SOURCE_NETWORKS": "127.0.0.0/8",
    "TRANSCODER_ENABLE_GPU": "false",
    "TRANSCODER_RELAY_FALLBACK": "cpu",
    "TRANSCODER_DATABASE_POOL_SIZE": "3",
    "TRANSCODER_RELAY_START_SECONDS": "60",
    "TRANSCODER_RATE_LIVE_PER_MINUTE": "0",
    "TRANSCODER_RELAY_MAX_SESSIONS_PER_OWNER": "16",
    "TRANSCODER_RELAY_MAX_SESSIONS_PER_HOST": "16",
}
MIB = 1 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_OPEN = """SELECT engine, state, viewers, drift_ms, restarts, silence_ms, decode_errors, reconnects, dropped_viewers
FROM relay_livesession WHERE ended_at IS NULL ORDER BY source_url"""
_ENDED = "SELECT end_code, count(*) AS number FROM relay_livesession WHERE ended_at IS NOT NULL GROUP BY 1 ORDER BY 2"
_DROPPED = "SELECT coalesce(sum(dropped_viewers), 0) AS number FROM relay_livesession"


class RelayAlone(Stack):
    """PostgreSQL, Redis and a relay: nobody else works on this machine."""

    @property
    def product(self) -> tuple[Product, ...]:
        return (self.relay,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Resources of a relay and its processes at a time. Memory is resident, in bytes."""

    server: int
    remuxes: int
    ffmpegs: int
    files: int
    threads: int
    processes: int

    def line(self) -> str:
        return (
            f"server {self.server / MIB:.1f} MiB, remux processes {self.remuxes / MIB:.1f} MiB,"
            f" ffmpeg {self.ffmpegs / MIB:.1f} MiB, {self.files} descriptors, {self.threads} threads,"
            f" {self.processes} processes"
        )


class Relay:
    """A relay that runs, with a key for its streams."""

    def __init__(self, stack: RelayAlone, key: str) -> None:
        identity = stack.relay.identity
        if identity is None:
            raise RuntimeError("the relay was not started")
        self.pid = identity.pid
        self.port = stack.relay.ports()[0]
        self.key = key
        self._database_url = stack.postgresql.url

    def held(self) -> Held:
        """Measure what it holds now."""
        memory = {"remux": 0, "ffmpeg": 0}
        pids = descendant_pids(self.pid)
        for pid in pids:
            memory["ffmpeg" if "ffmpeg" in _program(pid) else "remux"] += resident(pid)
        root = Path("/proc", str(self.pid))
        return Held(
            server=resident(self.pid),
            remuxes=memory["remux"],
            ffmpegs=memory["ffmpeg"],
            files=len(list((root / "fd").iterdir())),
            threads=len(list((root / "task").iterdir())),
            processes=len(pids),
        )

    def processor_seconds(self) -> float:
        """Return the seconds of processor time of it and of all processes that it ever had."""
        return processor_seconds(self.pid)

    def sessions(self) -> list[dict[str, object]]:
        """List the sessions that run, with their counts."""
        return self._rows(_OPEN)

    def ends(self) -> Mapping[str, int]:
        """Count the sessions that have ended, by the code of their end."""
        return {str(row["end_code"]): int(str(row["number"])) for row in self._rows(_ENDED)}

    def dropped(self) -> int:
        """Count the viewers that were dropped."""
        return int(str(self._rows(_DROPPED)[0]["number"]))

    def _rows(self, query: str) -> list[dict[str, object]]:
        with psycopg.connect(self._database_url, row_factory=dict_row) as database:
            return database.execute(query).fetchall()


@contextmanager
def running_relay(name: str, settings: Mapping[str, str] | None = None) -> Iterator[Relay]:
    """Start a relay with servers of its own, and end them afterwards. Fails if a process of it is left."""
    with locked_home(f"{os.getpid()}-{name}") as home:
        home.port("relay")  # any free one: the usual one may be somebody's
        store = {"TRANSCODER_STORAGE": "local", "TRANSCODER_LOCAL_STORAGE_PATH": str(home.folder / "store")}
        environ = {"PATH": os.environ["PATH"], **store, **SETTINGS, **(settings or {})}
        stack = RelayAlone(home, durable=False, environ=environ)
        try:
            stack.start(print)
            stack.client().close()  # makes a key
            relay = Relay(stack, home.find_secret(API_KEY) or "")
            yield relay
            pids = [relay.pid, *descendant_pids(relay.pid)]
        finally:
            stack.close()
        if left := [pid for pid in pids if is_running(pid)]:
            raise RuntimeError(f"processes of the relay are left: {left}")


def wait_for(happens: Callable[[], bool], *, seconds: float) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes; 0: it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].decode(errors="replace")
    except OSError:
        return ""
