"""Clients that upload large files at the same time through the API, and the memory that they cost it.

    python -m tests.faults.soak_uploads --protocols parts tus --clients 4 --megabytes 2048 [--parallel 1]

In parts, a client sends `--parallel` of them at a time; by tus, the file in one request. Each protocol has an API
process of its own. Fails where that grows by `MAX_GROWTH_MB` or more, or a file is not whole.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
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
MB = 1_000_000
_HEAD = bytes.fromhex("0000001c") + b"ftypisom" + bytes(16)
_WARM_UP_BYTES = 25 * MIB

Sender = Callable[[httpx2.Client, int], tuple[str, str]]
"""Sends a file of so many bytes; returns the id of the video, and the digest of the file."""


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
    options.add_argument("--protocols", nargs="+", choices=("parts", "tus"), default=["parts", "tus"])
    chosen = options.parse_args()
    senders: dict[str, Sender] = {"parts": partial(_send_parts, parallel=chosen.parallel), "tus": _send_by_tus}
    passed = [_run(chosen, protocol, senders[protocol]) for protocol in chosen.protocols]
    return 0 if all(passed) else 1


def _run(chosen: argparse.Namespace, protocol: str, sender: Sender) -> bool:
    with locked_home(f"{os.getpid()}-soak") as home:
        stack = _stack(home)
        try:
            stack.start(print)
            sys.stdout.write(f"{protocol}: ")
            return _soak(stack, chosen.clients, chosen.megabytes * MIB, sender)
        finally:
            stack.close()


def _stack(home: Home) -> ApiAlone:
    home.port("api")
    return ApiAlone(home, durable=False, environ={"PATH": os.environ["PATH"], "TRANSCODER_MAX_OWNER_UPLOADS": "64"})


def _soak(stack: ApiAlone, clients: int, size: int, sender: Sender) -> bool:
    with closing(stack.client()) as known:
        key = known.api_key
        _upload(stack.api.url, key, _WARM_UP_BYTES, sender)  # what is loaded on first use counts as the start
        before = _memory(stack, "VmRSS")
        _reset_peak(stack)
        started = time.monotonic()
        with ThreadPoolExecutor(clients) as threads:
            digests = dict(threads.map(lambda _: _upload(stack.api.url, key, size, sender), range(clients)))
    seconds = time.monotonic() - started
    grown = (_memory(stack, "VmHWM") - before) / MB
    store = store_from(load(stack.api.environ()).storage)
    whole = all(_digest(store.open(source_key(UUID(video_id)))) == digest for video_id, digest in digests.items())
    rate = clients * size / MIB / seconds
    sys.stdout.write(
        f"{clients} clients, {size // MIB} MiB each: {rate:.0f} MiB/s,"
        f" the API grew by {grown:.0f} MB (goal: below {MAX_GROWTH_MB}), files whole: {whole}\n"
    )
    return whole and grown < MAX_GROWTH_MB


def _upload(url: str, key: str, size: int, sender: Sender) -> tuple[str, str]:
    """Upload a file; return the id of the video, and the digest of the file."""
    headers = {"X-API-Key": key}
    with httpx2.Client(base_url=url, headers=headers, trust_env=False, timeout=600) as api:
        return sender(api, size)


class File:
    """A file that is made while it is read: a header, and random bytes that repeat."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._block = os.urandom(64 * MIB)

    def read(self, start: int, length: int) -> bytes:
        """Return bytes of it, at most 16 MiB."""
        length = min(length, self.size - start)
        position = start // 4096 % (len(self._block) - 16 * MIB)
        return (_HEAD if start == 0 else b"") + self._block[position : position + length - len(_HEAD) * (start == 0)]

    def blocks(self, length: int) -> Iterator[bytes]:
        """Read all of it in blocks of this length."""
        return (self.read(start, length) for start in range(0, self.size, length))


def _send_parts(api: httpx2.Client, size: int, *, parallel: int) -> tuple[str, str]:
    """Upload through the API's route of parts."""
    file = File(size)
    upload: dict[str, Any] = _answer(api.post("/api/v1/uploads", json={"size": size}))
    path, length = urlsplit(upload["url"]).path, upload["part_size"]

    def send(number: int) -> None:
        _answer(api.put(f"{path}/parts/{number}", content=file.read((number - 1) * length, length)))

    with ThreadPoolExecutor(parallel) as threads:
        for _ in threads.map(send, range(1, upload["part_count"] + 1)):
            pass
    done = _answer(api.post(f"{path}/complete", json={}))
    return done["video_id"], _digest(file.blocks(length))


def _send_by_tus(api: httpx2.Client, size: int) -> tuple[str, str]:
    """Upload by tus, in one PATCH."""
    file = File(size)
    version = {"Tus-Resumable": "1.0.0"}
    opened = api.post("/api/v1/uploads/tus", headers={**version, "Upload-Length": str(size)})
    path = opened.raise_for_status().headers["Location"]
    body = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "Content-Length": str(size)}
    api.patch(path, headers={**version, **body}, content=file.blocks(MIB)).raise_for_status()
    upload = _answer(api.get(path.replace("/tus", "")))
    return upload["video_id"], _digest(file.blocks(MIB))


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
