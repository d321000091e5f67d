"""Clients that upload large files at the same time, in parts through the API, and the memory that they cost it.

    python -m tests.faults.soak_uploads --clients 4 --megabytes 2048 [--parallel 1]

A client sends `--parallel` parts at a time. Fails where the API grows by `MAX_GROWTH_MB` or more, or a file is not
whole.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx2

from configuration import load
from embedded.home import Home
from embedded.product import Api
from embedded.stack import Stack
from storage.keys import source_key
from storage.wiring import store_from
from tests.servers import locked_home

MAX_GROWTH_MB = 150
MIB = 1 << 20
_HEAD = bytes.fromhex("0000001c") + b"ftypisom" + bytes(16)
_WARM_UP_BYTES = 25 * MIB


class ApiAlone(Stack):
    """The servers and the API, and nobody who would look at what was uploaded."""

    @property
    def product(self) -> tuple[Api, ...]:
        return (self.api,)


def main() -> int:
    """Run the uploads, print what they cost, and return 1 if that was too much."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--clients", type=int, default=4)
    options.add_argument("--megabytes", type=int, default=2048, help="size of the file of each client")
    options.add_argument("--parallel", type=int, default=1, help="parts that a client sends at a time")
    chosen = options.parse_args()
    with locked_home(f"{os.getpid()}-soak") as home:
        stack = _stack(home)
        try:
            stack.start(print)
            return _soak(stack, chosen.clients, chosen.megabytes * MIB, chosen.parallel)
        finally:
            stack.close()


def _stack(home: Home) -> ApiAlone:
    home.port("api")
    return ApiAlone(home, durable=False, environ={"PATH": os.environ["PATH"], "TRANSCODER_MAX_OWNER_UPLOADS": "64"})


def _soak(stack: ApiAlone, clients: int, size: int, parallel: int) -> int:
    with closing(stack.client()) as known:
        key = known.api_key
        _upload(stack.api.url, key, _WARM_UP_BYTES, parallel)  # what is loaded on first use counts as the start
        before = _memory(stack, "VmRSS")
        _reset_peak(stack)
        started = time.monotonic()
        with ThreadPoolExecutor(clients) as threads:
            digests = dict(threads.map(lambda _: _upload(stack.api.url, key, size, parallel), range(clients)))
    seconds = time.monotonic() - started
    grown = (_memory(stack, "VmHWM") - before) / MIB
    store = store_from(load(stack.api.environ()).storage)
    whole = all(_digest(store.open(source_key(UUID(video_id)))) == digest for video_id, digest in digests.items())
    rate = clients * size / MIB / seconds
    sys.stdout.write(
        f"{clients} clients, {size // MIB} MiB each, {parallel} parts at a time: {rate:.0f} MiB/s,"
        f" the API grew by {grown:.0f} MiB (goal: below {MAX_GROWTH_MB}), files whole: {whole}\n"
    )
    return 0 if whole and grown < MAX_GROWTH_MB else 1


def _upload(url: str, key: str, size: int, parallel: int) -> tuple[str, str]:
    """Upload a file through the API's route of parts; return the id of the video, and the digest of the file."""
    headers = {"X-API-Key": key}
    block = os.urandom(64 * MIB)

    def data(number: int, length: int) -> bytes:
        start = number * 4096 % (len(block) - length)
        return (_HEAD if number == 1 else b"") + block[start : start + length - (len(_HEAD) if number == 1 else 0)]

    with httpx2.Client(base_url=url, headers=headers, trust_env=False, timeout=600) as api:
        upload: dict[str, Any] = _answer(api.post("/api/v1/uploads", json={"size": size}))
        path = urlsplit(upload["url"]).path
        lengths = {
            number: min(upload["part_size"], size - (number - 1) * upload["part_size"])
            for number in range(1, upload["part_count"] + 1)
        }
        with ThreadPoolExecutor(parallel) as threads:
            sent = threads.map(
                lambda part: _answer(api.put(f"{path}/parts/{part[0]}", content=data(*part))), lengths.items()
            )
            for _ in sent:
                pass
        done = _answer(api.post(f"{path}/complete", json={}))
    return done["video_id"], _digest(data(*part) for part in lengths.items())


def _answer(response: httpx2.Response) -> dict[str, Any]:
    if not response.is_success:
        raise RuntimeError(response.text)
    document: dict[str, Any] = response.json()
    return document


def _digest(blocks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def _reset_peak(stack: ApiAlone) -> None:
    """Let VmHWM start at what is used now (proc(5), clear_refs)."""
    Path(f"/proc/{_pid(stack)}/clear_refs").write_text("5")


def _memory(stack: ApiAlone, name: str) -> int:
    """Return a value of the API process in bytes, by its name in /proc/PID/status."""
    lines = Path(f"/proc/{_pid(stack)}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _pid(stack: ApiAlone) -> int:
    identity = stack.api.identity
    if identity is None:
        raise RuntimeError("the API was not started")
    return identity.pid


if __name__ == "__main__":
    sys.exit(main())
