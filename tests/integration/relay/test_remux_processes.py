"""Remux processes: no two owners share one, and one that misbehaves is killed."""

import errno
import os
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from configuration import ExecutionConfig
from execution.process import descendant_pids, is_running
from execution.remuxing.jailed.messages import BROKEN
from execution.remuxing.pool import RemuxPool
from execution.remuxing.process import MAX_STREAMS, RemuxError, RemuxStream
from tests.crafted import box
from tests.live_media import Live, stream_of
from tests.live_runs import Feeding, output_of, through

OWNER, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture(scope="module")
def source() -> bytes:
    return stream_of(Live(seconds=4))


def dropped(stream: RemuxStream) -> None:
    """Close the ends of the pipes of a stream that nobody uses."""
    os.close(stream.input)
    os.close(stream.output)


def test_a_stream_that_ends_its_process_ends_those_of_its_owner_only(source: bytes) -> None:
    pool = RemuxPool(ExecutionConfig(), max_processes=2)
    mine = [pool.start("mpegts", owner=OWNER) for _ in range(MAX_STREAMS)]
    with pytest.raises(RemuxError, match="full"):
        pool.start("mpegts", owner=OWNER)
    other = pool.start("mpegts", owner=OTHER)
    feeding = Feeding(other, source * 20, endless=True)
    assert os.read(other.output, 1)
    with pytest.raises(RemuxError, match="full"):
        pool.start("mpegts", owner=UUID(int=3))
    os.kill(pool.pids[0], signal.SIGKILL)
    for stream in mine:
        with pytest.raises(RemuxError):
            stream.wait()
        dropped(stream)
    left = len(source)
    while left > 0 and (block := os.read(other.output, 1 << 16)):
        left -= len(block)
    assert left <= 0, "the other owner's stream goes on"
    other.end()
    output_of(other)
    feeding.close()
    pool.close()


def test_an_idle_process_makes_room_for_another_owner(source: bytes) -> None:
    pool = RemuxPool(ExecutionConfig(), max_processes=2)
    for owner in (OWNER, OTHER, UUID(int=3)):
        stream = pool.start("mpegts", owner=owner)
        assert through(stream, source)
        stream.wait()
    pool.close()


def test_a_process_that_does_not_end_a_stream_is_killed(source: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execution.remuxing.process._END_SECONDS", 0.05)
    monkeypatch.setattr("execution.remuxing.process._KILL_SECONDS", 0.05)
    pool = RemuxPool(ExecutionConfig(), max_processes=1)
    stream = pool.start("mpegts", owner=OWNER)
    feeding = Feeding(stream, source * 20, endless=True)
    assert os.read(stream.output, 1)
    (pid,) = pool.pids
    program = descendant_pids(pid)[-1]
    os.kill(program, signal.SIGSTOP)
    stream.end()
    with pytest.raises(RemuxError, match="did not end"):
        stream.wait()
    output_of(stream)
    feeding.close()
    pool.close()
    assert not is_running(program)


def test_a_process_that_sends_anything_else_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "python"
    bad = '{"kind": "statistics", "stream": 0, "drift_ms": Infinity}'
    words = f"import os, sys, time\nos.write(int(sys.argv[5]), b'{bad}')\ntime.sleep(600)\n"
    program.write_text(f"#!{sys.executable}\n{words}")
    program.chmod(0o755)
    pool = RemuxPool(ExecutionConfig(isolation="none"), max_processes=1, python=str(program))
    stream = pool.start("mpegts", owner=OWNER)
    with pytest.raises(RemuxError, match="drift_ms") as failed:
        stream.wait()
    assert failed.value.code == BROKEN
    assert stream.statistics.drift_ms == 0
    assert pool.pids == []
    dropped(stream)
    pool.close()


def test_without_descriptors_no_stream_is_left_behind(source: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = RemuxPool(ExecutionConfig(), max_processes=1)
    stream = pool.start("mpegts", owner=OWNER)
    assert through(stream, source)
    stream.wait()
    before = set(Path("/proc/self/fd").iterdir())
    pipe, pipes = os.pipe, iter([1])

    def limited() -> tuple[int, int]:
        if next(pipes, None) is None:
            raise OSError(errno.EMFILE, "Too many open files")
        return pipe()

    with monkeypatch.context() as patch:
        patch.setattr("execution.remuxing.process.os.pipe", limited)
        with pytest.raises(RemuxError, match="full"):
            pool.start("mpegts", owner=OWNER)
    assert set(Path("/proc/self/fd").iterdir()) <= before
    assert not any(process._streams for process in pool._processes)
    pool.close()


def test_a_fragment_that_announces_millions_of_samples_costs_a_bounded_memory(source: bytes) -> None:
    header = box("tfhd", struct.pack(">I", 0x20000), struct.pack(">I", 1))
    run = box("trun", bytes(4), struct.pack(">I", 20_000_000))
    bomb = box("moof", box("mfhd", bytes(8)), box("traf", header, run)) + box("mdat", bytes(10))
    pool = RemuxPool(ExecutionConfig(isolation="none"))  # whose process is the program itself
    stream = pool.start("mp4", owner=OWNER)
    through(stream, stream_of(Live(seconds=3, audio="aac", container="mp4")) + bomb * 3)
    with suppress(RemuxError):
        stream.wait()
    status = Path(f"/proc/{pool.pids[0]}/status").read_text()
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    assert int(peak) >> 10 < 400
    assert through(pool.start("mpegts", owner=OWNER), source), "it serves others"
    pool.close()
