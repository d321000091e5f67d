"""A store that fails, crawls, dies and forgets, and a disk that is full."""

import itertools
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from fractions import Fraction
from pathlib import Path

import pytest

from tests.faults.conftest import FAST
from tests.faults.proxy import StoreFault
from tests.faults.rig import Rig
from tests.ffmpeg.sources import SILENT, Card, make

SLOW = 10_000
SMALL_BITRATE = 50_000
"""Its segments take two or three seconds at that speed: while they do, nothing shows that their step moves."""


def failures(rig: Rig, job: str) -> int:
    return int(rig.one("SELECT sum(failures) FROM jobs_step WHERE job_id = %s", job)[0])


def attempts(rig: Rig, job: str) -> set[int]:
    return {attempt for (attempt,) in rig.all("SELECT attempt FROM jobs_step WHERE job_id = %s", job)}


def test_18_three_of_ten_writes_fail(rig: Rig, clip: Path) -> None:
    counter = itertools.count()
    failed: Counter[str] = Counter()

    def judge(method: str, path: str, _headers: Message) -> StoreFault | None:
        """No request fails more often than its client repeats it."""
        if method not in ("PUT", "POST") or next(counter) % 10 not in (0, 3, 7) or failed[path] == 3:
            return None
        failed[path] += 1
        return StoreFault(status=503 if failed[path] % 2 else 500)

    rig.worker_store.judge = judge
    job = rig.submit(clip)
    rig.completed(job)
    assert failed.total() >= 3
    assert failures(rig, job) == 0, "the store's client tries again by itself"


def test_19_a_store_that_crawls_and_then_resets_costs_no_attempt(rig: Rig, tmp_path: Path) -> None:
    crawling, resetting = iter(range(3)), iter(range(6))

    def judge(method: str, path: str, _headers: Message) -> StoreFault | None:
        if method != "PUT":
            return None
        if next(crawling, None) is not None:
            return StoreFault(bytes_per_second=SLOW)
        return StoreFault(reset=True) if next(resetting, 1) % 2 == 0 else None

    rig.worker_store.judge = judge
    silent = make(tmp_path / "silent.mp4", Card(rate=Fraction(25), frames=400, width=96, height=64), *FAST, *SILENT)
    job = rig.submit(silent, bitrate=SMALL_BITRATE)
    rig.completed(job)
    assert next(crawling, None) is None
    assert next(resetting, None) is None
    assert attempts(rig, job) == {1}, "the lease was kept, and parts were sent again"


def test_20_a_store_that_dies_between_the_segments_of_a_run(rig: Rig, clip: Path) -> None:
    rig.pace_second_segment(seconds=10)
    job = rig.submit(clip)
    rig.chunk_in_the_middle(job)
    rig.kill(rig.seaweedfs)
    time.sleep(3)
    rig.pace(0)
    rig.seaweedfs.start()
    rig.seaweedfs.wait_ready()
    rig.completed(job)  # and every published object is there: the invariants look


@pytest.mark.parametrize("what", ["deleted", "replaced"])
def test_21_a_source_that_is_not_the_inspected_one_any_more_is_not_tried_again(
    rig: Rig, clip: Path, blink: Path, what: str
) -> None:
    video = rig.inspected(clip)
    for name in ("one", "two"):
        shutil.rmtree(rig.scratch(name) / "sources", ignore_errors=True)
    ((key,),) = rig.all("SELECT source_key FROM videos_video WHERE id = %s", video)
    rig.store().delete([key])
    if what == "replaced":
        rig.store().put_file(key, blink, "video/mp4")
    job = rig.transcode(video)
    assert rig.finished(job) == [("failed", "input_changed")]
    assert max(attempts(rig, job)) == 1


@contextmanager
def full_disk(rig: Rig) -> Iterator[None]:
    """Leave the nodes no room for a source: on a tiny file system, or by a limit where mounting is not allowed."""
    folders = [rig.scratch(name) / "sources" for name in ("one", "two")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    mounted = [folder for folder in folders if _mount(folder)]
    limited = [] if mounted else [pid for node in rig.nodes for pid in rig.session(node)]
    _limit(limited, "65536")
    try:
        yield
    finally:
        _limit(limited, "unlimited")
        for folder in mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S607 - where it lies is Debian's business


def _mount(folder: Path) -> bool:
    argv = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


def _limit(pids: list[int], size: str) -> None:
    for pid in pids:
        subprocess.run(["prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"], check=True)  # noqa: S607 - where it lies is Debian's business


def partial_copies(rig: Rig) -> list[Path]:
    return [path for name in ("one", "two") for path in (rig.scratch(name) / "sources").glob("*.partial")]


def test_22_a_full_scratch_disk_is_named_and_leaves_nothing_behind(rig: Rig, clip: Path) -> None:
    video = rig.inspected(clip)
    for name in ("one", "two"):
        shutil.rmtree(rig.scratch(name) / "sources", ignore_errors=True)
    with full_disk(rig):
        job = rig.transcode(video)
        assert rig.finished(job) == [("failed", "scratch_full")]
        # A step of the same job can still be fetching on the other node: it learns of the end with its next report.
        rig.until(lambda: not partial_copies(rig), 30, lambda: f"left: {partial_copies(rig)}")
    rig.completed(rig.transcode(video))
