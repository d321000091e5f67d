"""Large files to and from the store: parallel parts against one stream, and against boto3's own transfers."""

import argparse
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from boto3.session import Session
from botocore.config import Config

from benchmarks.link import BYTES_PER_SECOND, ROUND_TRIP_SECONDS
from benchmarks.ratios import HEADER, measure_pairs
from benchmarks.running import FILES, home, report
from configuration.sections import StorageConfig
from embedded.home import REPOSITORY, Home
from embedded.ports import LOOPBACK
from embedded.servers import SeaweedFS
from execution import daemons
from storage.s3 import S3Config, S3Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECTIONS = (1, 4, 10, 16)
_MB = 1_000_000
_BLOCK = 1 << 20
_KEY = "videos/benchmark"
_DEFAULTS = StorageConfig()
_READY_SECONDS = 30
_RATE_BYTES = 200 * _MB


def measure(options: argparse.Namespace) -> str:
    """Return the tables."""
    bench_home = home()
    server = SeaweedFS(bench_home)
    try:
        server.start()
        server.wait_ready()
        near = S3Config(
            bucket=server.bucket,
            region="us-east-1",
            endpoint_url=server.endpoint_url,
            access_key=server.access_key,
            secret_key=server.secret_key,
        )
        _store(near).prepare()
        source = _random_file(options.transfer_mb * _MB)
        with _link(bench_home, server.endpoint_url) as endpoint_url:
            far = replace(near, endpoint_url=endpoint_url)
            tables = [*_against_one_stream(far, source), *_by_connections(far, source)]
        return "\n".join((*tables, *_against_boto3(near, source, options.pairs)))
    finally:
        server.close()


def _against_one_stream(config: S3Config, source: Path) -> Iterator[str]:
    store, client = _store(config), _client(config)
    size = source.stat().st_size
    yield (
        f"A file of {size / _MB:.0f} MB over a link of {ROUND_TRIP_SECONDS * 1000:.0f} ms round trip that passes"
        f" {BYTES_PER_SECOND / _MB:.0f} MB/s for each connection, with {_DEFAULTS.parallel_parts} parts at a time.\n"
    )
    yield "| | one stream | in parts | ratio | memory of one in parts |\n|---|---|---|---|---|"
    with source.open("rb") as body:
        one_up = _seconds(lambda: client.put_object(Bucket=config.bucket, Key=_KEY, Body=body))
    one_down = _seconds(lambda: _download(client, config.bucket))
    up, up_peak = _seconds_and_peak(lambda: store.put_file(_KEY, source, "video/mp4"))
    down, down_peak = _seconds_and_peak(lambda: store.fetch(_KEY, FILES / "back"))
    for name, one, parts, peak in (("up", one_up, up, up_peak), ("down", one_down, down, down_peak)):
        row = f"| {name} | {one:.1f} s | {parts:.1f} s | {one / parts:.1f} | +{peak / _MB:.0f} MB |"
        report(row)
        yield row


def _by_connections(config: S3Config, source: Path) -> Iterator[str]:
    """With the beginning of the file: it is the rate that counts, and that there are parts for all connections."""
    part = FILES / "part"
    with source.open("rb") as whole, part.open("wb") as file:
        file.write(whole.read(_RATE_BYTES))
    size = part.stat().st_size
    yield f"\nThe same link with {size / _MB:.0f} MB, by parts at a time:\n"
    yield "| parts at a time | up | down |\n|---|---|---|"
    for connections in CONNECTIONS:
        store = _store(config, connections)
        up = _seconds(partial(store.put_file, _KEY, part, "video/mp4"))
        down = _seconds(partial(store.fetch, _KEY, FILES / "back"))
        row = f"| {connections} | {size / _MB / up:.0f} MB/s | {size / _MB / down:.0f} MB/s |"
        report(row)
        yield row


def _against_boto3(config: S3Config, source: Path, pairs: int) -> Iterator[str]:
    """On loopback, with the client and the settings that boto3 has by default."""
    store = _store(config)
    client = Session(config.access_key, config.secret_key, region_name=config.region).client(
        "s3", endpoint_url=config.endpoint_url
    )
    name, back = str(source), str(FILES / "back")
    yield "\nThe same file on loopback, compared with `upload_file` and `download_file` of boto3:\n"
    yield HEADER
    yield measure_pairs(
        "up: in parts / boto3",
        lambda: _seconds(lambda: store.put_file(_KEY, source, "video/mp4")),
        lambda: _seconds(lambda: client.upload_file(name, config.bucket, _KEY)),
        pairs=pairs,
        report=report,
    ).line()
    yield measure_pairs(
        "down: in parts / boto3",
        lambda: _seconds(lambda: store.fetch(_KEY, FILES / "back")),
        lambda: _seconds(lambda: client.download_file(config.bucket, _KEY, back)),
        pairs=pairs,
        report=report,
    ).line()


def _store(config: S3Config, parallel_parts: int = _DEFAULTS.parallel_parts) -> S3Store:
    return S3Store(config, part_bytes=_DEFAULTS.upload_part_bytes, parallel_parts=parallel_parts)


def _client(config: S3Config) -> "S3Client":
    """Build a client that sends and reads one stream."""
    plain = Config(s3={"payload_signing_enabled": False}, request_checksum_calculation="when_required")
    session = Session(config.access_key, config.secret_key, region_name=config.region)
    return session.client("s3", endpoint_url=config.endpoint_url, config=plain)


def _download(client: "S3Client", bucket: str) -> None:
    body = client.get_object(Bucket=bucket, Key=_KEY)["Body"]
    with (FILES / "back").open("wb") as file:
        for block in body.iter_chunks(_BLOCK):
            file.write(block)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _seconds_and_peak(work: Callable[[], object]) -> tuple[float, int]:
    """Return also how many bytes of memory this process had more than before, at its peak."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    before = _resident("VmRSS")
    seconds = _seconds(work)
    return seconds, max(0, _resident("VmHWM") - before)


def _resident(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:"))) * 1024


def _random_file(size: int) -> Path:
    if shutil.disk_usage(FILES).free < 4 * size:
        raise RuntimeError(f"{FILES} has no room for four times {size} bytes")
    path = FILES / "source"
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK):
            file.write(os.urandom(min(_BLOCK, size - start)))
    return path


@contextmanager
def _link(bench_home: Home, endpoint_url: str) -> Iterator[str]:
    """Yield the URL of the store behind a long link."""
    port = bench_home.port("link")
    argv = [sys.executable, "-m", "benchmarks.link", str(port), endpoint_url.rpartition(":")[2]]
    log = bench_home.folder / "link.log"
    link = daemons.start(argv, log=log, environ={"PATH": os.environ["PATH"]}, folder=REPOSITORY)

    def ready() -> bool:
        with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
            return True
        return False

    try:
        daemons.wait_until(ready, what="link", identity=link, log=log, timeout_seconds=_READY_SECONDS)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        daemons.stop(link, grace_seconds=1)
