"""Runs on live streams: they last, they are bounded, and nothing of them is left."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

from configuration import ExecutionConfig, LimitConfig
from execution.daemons import poll_until
from execution.process import child_pids, descendant_pids, is_running
from execution.streaming import StreamProcess, StreamRunner
from tests.live_media import Live, measured, stream_of
from tests.live_runs import Feeding, open_files, output_of, through
from transcoding.commands.live import live_command, live_copy_command
from transcoding.encoders import ENCODERS
from transcoding.planning.live import LiveProfile

COMMAND = live_command("mpegts", LiveProfile.ORIGINAL, encoder=ENCODERS["libx264"])
COPY = live_copy_command("mpegts")
SHORT = Live(seconds=3)
DEADLINE_SECONDS = 120
RELAY = """
from tests.ffmpeg.test_streaming import COMMAND, SHORT, runner
from tests.live_media import stream_of
from tests.live_runs import open_files, Feeding, output_of
run = runner().start(COMMAND)
feeding = Feeding(run, stream_of(SHORT), endless=True)
output_of(run, first=True)
print("up", flush=True)
feeding._thread.join()
"""


def runner(**settings: object) -> StreamRunner:
    return StreamRunner(replace(ExecutionConfig(), **settings), LimitConfig())  # type: ignore[arg-type]


def at_work(run: StreamProcess) -> Feeding:
    feeding = Feeding(run, stream_of(SHORT), endless=True)
    assert output_of(run, first=True)
    return feeding


def programs(run: StreamProcess) -> list[int]:
    return [run.pid, *descendant_pids(run.pid)]


def test_a_run_that_is_started_in_a_thread_outlives_the_thread() -> None:
    started: list[StreamProcess] = []
    thread = threading.Thread(target=lambda: started.append(runner().start(COMMAND)))
    thread.start()
    thread.join()
    taken = through(started[0], stream_of(SHORT))
    ended = started[0].wait()
    assert ended is not None
    assert (ended.code, ended.stopped, ended.exceeded) == (0, False, None)
    assert measured(taken).flashes
    assert started[0].frames == 75


def test_an_ended_run_is_gone_on_return() -> None:
    run = runner().start(COMMAND)
    feeding = at_work(run)
    there = programs(run)
    assert run.end()
    assert not any(map(is_running, there))
    ended = run.wait()
    assert ended is not None
    assert ended.stopped
    feeding.close()
    output_of(run)


def test_who_runs_it_learns_of_its_end_before_anybody_else() -> None:
    """A slot is free when `end` returns."""
    codes: list[int] = []
    run = runner().start(COPY, on_end=lambda ended: codes.append(ended.code))
    run.end()
    assert len(codes) == 1
    os.close(run.input)
    output_of(run)


def test_a_stream_of_hours_has_no_limit_of_processor_time() -> None:
    """The limit of the settings is for a single step of a job."""
    run = runner(max_cpu_seconds=60).start(COPY)
    feeding = at_work(run)
    program = programs(run)[-1]
    limits = Path(f"/proc/{program}/limits").read_text()
    cpu = next(line for line in limits.splitlines() if line.startswith("Max cpu time"))
    assert cpu.split()[3:5] == ["unlimited", "unlimited"]
    run.end()
    feeding.close()
    output_of(run)


def test_a_run_with_too_much_memory_is_killed() -> None:
    run = runner().start(replace(COMMAND, memory_bytes=20 << 20))
    feeding = Feeding(run, stream_of(SHORT), endless=True)
    ended = run.wait()
    feeding.close()
    output_of(run)
    assert ended is not None
    assert ended.exceeded is not None
    assert "20 MiB of memory" in str(ended.exceeded)


def test_stderr_is_bounded_and_errors_are_counted() -> None:
    damaged = bytearray(stream_of(Live(seconds=3, video="mpeg2")))
    for position in range(188 * 100 + 100, len(damaged), 188 * 5):
        damaged[position] ^= 0xFF
    run = runner().start(COMMAND)
    through(run, bytes(damaged) * 8)
    ended = run.wait()
    assert ended is not None
    assert run.notes.errors > 100
    assert 0 < len(ended.stderr) <= 1 << 14


def test_a_line_that_is_refused_ends_it_before_its_first_frame() -> None:
    run = runner().start(COMMAND, refuses=lambda line: "could not find sync byte" in line)
    feeding = Feeding(run, b"<html></html>" * 100_000, endless=True)
    assert output_of(run) == b""
    ended = run.wait()
    assert ended is not None
    assert (ended.code, ended.stopped) == (-signal.SIGKILL, False)
    feeding.close()


def test_a_killed_relay_leaves_no_ffmpeg() -> None:
    relay = subprocess.Popen([sys.executable, "-c", RELAY], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert relay.stdout
    assert relay.stdout.readline() == b"up\n"
    there = [pid for pid in descendant_pids(relay.pid) if pid != relay.pid]
    assert there
    relay.send_signal(signal.SIGKILL)
    relay.wait()
    relay.stdout.close()
    assert poll_until(lambda: not any(map(is_running, there)), DEADLINE_SECONDS)


def test_nothing_is_left_of_runs_that_ended() -> None:
    first = runner().start(COPY)
    through(first, b"")
    first.wait()
    before, children, threads = open_files(), set(child_pids()), threading.active_count()
    runs = [runner().start(COPY) for _ in range(3)]
    for run in runs:
        through(run, stream_of(SHORT))
        run.wait()
    assert open_files() == before
    assert set(child_pids()) <= children
    assert poll_until(lambda: threading.active_count() <= threads, DEADLINE_SECONDS)
