"""A hostile owner in a process of its own: everything that a key can start, at once, until SIGTERM.

`python -m benchmarks.hostile URL KEY VIDEO JOB DOOMED`: the addresses of an inspected video, of a planned job, and of a
video with many jobs, which is deleted in the middle. Prints the statuses of its answers, by attack, as JSON.
"""

import asyncio
import json
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from urllib.parse import urlsplit

KEYS = 300
STREAMS = 400
UPLOADS = 40
HALF_SENT = 300
FLOODS = 10
"""Connections that send the next request of a kind as soon as the last one is answered."""
DELETE_AFTER_SECONDS = 2.0
ATTACKING = "attacking"
"""Printed once everything runs."""
ADDRESS = "127.0.0.2"
"""Its own address, as that of another machine would be."""
_PAUSE_SECONDS = 0.2
_FORM = (
    b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'
    + bytes.fromhex("0000001c")
    + b"ftypisom"
    + bytes(16)
)

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The things that are attacked, and the answers by attack."""

    host: str
    port: int
    video: str
    job: str
    doomed: str
    keys: list[str]
    answers: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    async def connect(self) -> Connection:
        return await asyncio.open_connection(self.host, self.port, local_addr=(ADDRESS, 0))

    def head(self, method: str, path: str, key: str, *more: str) -> bytes:
        lines = (f"{method} {path} HTTP/1.1", f"Host: {self.host}", f"X-API-Key: {key}", *more)
        return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"

    def request(self, method: str, path: str, key: str, body: object = None) -> bytes:
        if body is None:
            return self.head(method, path, key)
        text = json.dumps(body).encode()
        return self.head(method, path, key, "Content-Type: application/json", f"Content-Length: {len(text)}") + text


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read a response with a length. Raises the errors of a connection that is closed before."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    length = next((int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")), 0)
    return int(lines[0].split()[1]), await reader.readexactly(length)


async def _flood(target: Target, name: str, requests: Callable[[], bytes]) -> None:
    """Send one request after another over one connection; over a new one where it is closed."""
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await target.connect()
            try:
                while True:
                    writer.write(requests())
                    status, _ = await _answer(reader)
                    target.answers[name][str(status)] += 1
            finally:
                writer.close()
        target.answers[name]["closed"] += 1
        await asyncio.sleep(_PAUSE_SECONDS)


async def _make_keys(target: Target) -> None:
    """Make keys until the rate of the owner is used up: from then on refusals pause, and close the connection."""
    reader, writer = await target.connect()
    for number in range(KEYS):
        body = {"name": f"k{number}", "scopes": ["admin"]}
        writer.write(target.request("POST", "/api/v1/keys", target.keys[0], body))
        status, document = await _answer(reader)
        target.answers["keys"][str(status)] += 1
        if status == 201:  # noqa: PLR2004 - created
            target.keys.append(json.loads(document)["key"])
        if status == 429:  # noqa: PLR2004 - too many requests
            break
    writer.close()


async def _stream(target: Target, key: str) -> None:
    """Open an event stream and read it; again when it is refused."""
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await target.connect()
            try:
                writer.write(target.head("GET", "/api/v1/events", key))
                head = await reader.readuntil(b"\r\n\r\n")
                target.answers["streams"][head.decode("latin-1").split()[1]] += 1
                while await reader.read(1 << 16):
                    pass
            finally:
                writer.close()
        await asyncio.sleep(_PAUSE_SECONDS)


async def _trickle(target: Target, key: str) -> None:
    """Send an upload one byte at a time; another when it is refused."""
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await target.connect()
            try:
                more = ("Content-Type: multipart/form-data; boundary=b", "Content-Length: 1000000")
                writer.write(target.head("POST", "/api/v1/videos/upload", key, *more) + _FORM)
                reading = asyncio.ensure_future(_answer(reader))
                while not reading.done():
                    writer.write(b"\0")
                    await asyncio.wait([reading], timeout=_PAUSE_SECONDS)
                status, _ = await reading
                target.answers["uploads"][str(status)] += 1
            finally:
                writer.close()
        await asyncio.sleep(_PAUSE_SECONDS)


async def _half_send(target: Target) -> None:
    """Send half a head, and again when the connection is closed."""
    while True:
        with suppress(OSError):
            reader, writer = await target.connect()
            writer.write(b"GET /api/v1/jobs HTTP/1.1\r\nHost: x\r\n")
            received = await reader.read()
            target.answers["half sent"][(received.decode("latin-1").split() or ["", "closed"])[1]] += 1
            writer.close()
        await asyncio.sleep(_PAUSE_SECONDS)


async def _delete(target: Target) -> None:
    await asyncio.sleep(DELETE_AFTER_SECONDS)
    loop = asyncio.get_running_loop()
    while True:
        reader, writer = await target.connect()
        started = loop.time()
        writer.write(target.request("DELETE", f"/api/v1/videos/{target.doomed}", target.keys[0]))
        status, _ = await _answer(reader)
        writer.close()
        target.answers["delete"][str(status)] += 1
        if status != 429:  # noqa: PLR2004 - its own floods have used up the rate
            target.answers["delete"]["milliseconds"] = round(1000 * (loop.time() - started))
            return
        await asyncio.sleep(_PAUSE_SECONDS)


def _floods(target: Target) -> dict[str, Callable[[], bytes]]:
    keys = cycle(target.keys)
    number = iter(range(10**9))
    transcode = f"/api/v1/videos/{target.video}/transcode"
    urgent, dry = {"priority": 100, "preset": "ultrafast"}, {"dry_run": True, "output_format": "mp4"}
    return {
        "plans": lambda: target.request("GET", f"/api/v1/jobs/{target.job}/plan?limit=100", next(keys)),
        "dry runs": lambda: target.request("POST", f"{transcode}?limit=100", next(keys), dry),
        "jobs": lambda: target.request("POST", transcode, next(keys), urgent),
        # A query that was not asked before is in no cache.
        "lists": lambda: target.request(
            "GET", f"/api/v1/jobs?limit=100&created_after=2026-01-01T00:00:00.{next(number) % 10**6:06}Z", next(keys)
        ),
    }


async def attack(target: Target) -> None:
    """Start everything, and go on until SIGTERM; the deletion ends by itself."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await _make_keys(target)
    loops: list[Awaitable[None]] = [_flood(target, *each) for each in _floods(target).items() for _ in range(FLOODS)]
    keys = cycle(target.keys)
    loops += [_stream(target, next(keys)) for _ in range(STREAMS)]
    loops += [_trickle(target, next(keys)) for _ in range(UPLOADS)]
    loops += [_half_send(target) for _ in range(HALF_SENT)]
    tasks = [asyncio.ensure_future(each) for each in loops]
    deleting = asyncio.ensure_future(_delete(target))
    sys.stdout.write(f"{ATTACKING}\n")
    sys.stdout.flush()
    await over.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await deleting  # its owner's other requests went first


def main() -> None:
    url, key, video, job, doomed = sys.argv[1:]
    where = urlsplit(url)
    target = Target(host=where.hostname or "", port=where.port or 80, video=video, job=job, doomed=doomed, keys=[key])
    asyncio.run(attack(target))
    sys.stdout.write(json.dumps({name: dict(statuses) for name, statuses in target.answers.items()}) + "\n")


if __name__ == "__main__":
    main()
