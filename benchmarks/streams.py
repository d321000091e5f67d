"""A thousand event streams of one API process while jobs run: memory per stream, and a check of what each received."""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from benchmarks.running import generated_film, home, report, running
from embedded.client import Client
from embedded.stack import Stack

CLIENTS = 1000
JOBS = 20
SECONDS = 60
_CONNECT_SECONDS = 10
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LOGGED = "SELECT transaction, id FROM events_event WHERE (transaction, id) > (%s, %s) ORDER BY transaction, id"
_LAST = "SELECT coalesce(max(transaction), 0), coalesce(max(id), 0) FROM events_event"


def measure(options: argparse.Namespace) -> str:  # noqa: ARG001 - the signature of all measurements
    """Return the table. Raises RuntimeError unless every client received the log, each event once and in order."""
    stack = Stack(home(), environ={**os.environ, "TRANSCODER_RATE_READ_PER_MINUTE": "100000000"})
    source = generated_film(20, size="320x180", audio=True)
    with running(stack), closing(stack.client()) as client:
        identity = stack.api.identity
        if identity is None:
            raise RuntimeError("the API does not run")
        video = client.upload(source, lambda _: None)["id"]
        with psycopg.connect(stack.postgresql.url, autocommit=True) as database:
            events, memory = asyncio.run(_follow(stack.api.url, client, video, database, identity.pid))
    grown = (memory[1] - memory[0]) / CLIENTS / 1024
    return "\n".join(
        (
            f"{CLIENTS} clients of one process for {SECONDS} s, {JOBS} jobs.\n",
            "| | |\n|---|---|",
            f"| events that every client received, each once and in order | {len(events)} |",
            f"| resident memory of the API, before and with all of them | {_mib(memory[0])}, {_mib(memory[1])} |",
            f"| per client | {grown:.0f} KiB |",
        )
    )


async def _follow(
    url: str, client: Client, video: str, database: psycopg.Connection[tuple[int, int]], pid: int
) -> tuple[list[str], tuple[int, int]]:
    before = _resident(pid)
    mark = database.execute(_LAST).fetchone() or (0, 0)
    target = urlsplit(url)
    clients = [
        asyncio.create_task(_listen(str(target.hostname), target.port or 80, client.api_key)) for _ in range(CLIENTS)
    ]
    report(f"{CLIENTS} clients connect")
    await asyncio.sleep(_CONNECT_SECONDS)
    ends = time.monotonic() + SECONDS
    for _ in range(JOBS):
        await asyncio.to_thread(client.transcode, video, {"preset": "ultrafast"})
        await asyncio.sleep(0.5 * SECONDS / JOBS)
    await asyncio.sleep(max(0.0, ends - time.monotonic()))
    with_all = _resident(pid)
    streams = [await _received(task) for task in clients]
    await asyncio.sleep(1)
    logged = [f"{transaction}-{number}" for transaction, number in database.execute(_LOGGED, mark).fetchall()]
    return _agreed(streams, logged), (before, with_all)


async def _listen(host: str, port: int, key: str) -> list[str]:
    """Collect the ids of the events of one stream until the task is cancelled."""
    reader, writer = await asyncio.open_connection(host, port)
    request = f"GET /api/v1/events HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {key}\r\n\r\n"
    writer.write(request.encode())
    ids = []
    try:
        while line := await reader.readline():
            if line.startswith(b"id: "):
                ids.append(line[4:].strip().decode())
    except asyncio.CancelledError:
        pass  # return the ids received so far
    finally:
        writer.close()
    return ids


async def _received(task: asyncio.Task[list[str]]) -> list[str]:
    task.cancel()
    return await task


def _agreed(streams: Sequence[Sequence[str]], logged: Sequence[str]) -> list[str]:
    """Return the events of the stream that received the fewest. The last events may still be in flight to some.

    Raises RuntimeError unless every stream is a part of the log without gaps.
    """
    shortest = min(streams, key=len)
    start = logged.index(shortest[0]) if shortest else 0
    wrong = sum(list(ids) != list(logged[start : start + len(ids)]) for ids in streams)
    if wrong or not shortest:
        raise RuntimeError(f"{wrong} of {len(streams)} streams differ from the log; the shortest has {len(shortest)}")
    return list(shortest)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
