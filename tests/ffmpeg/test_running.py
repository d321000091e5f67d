"""Running ffmpeg: reports, ends of runs, and no process left behind."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.budget import InspectionBudget
from execution.ffmpeg import FfmpegRunner, Stopped
from execution.ffprobe import Ffprobe
from execution.process import child_pids, spawn
from tests.ffmpeg.golden import NEVER, runner
from tests.ffmpeg.signalling import death_by
from tests.ffmpeg.sources import AAC, run
from tests.unit.transcoding.builders import a_plan, a_source, some_audio
from transcoding.commands.audio import audio_command
from transcoding.commands.command import FfmpegCommand, Input, Output
from transcoding.errors import EncoderFailed, InputRejected, ProcessStalled, ResourceExceeded

ENDLESS = FfmpegCommand(
    inputs=(Input(path="/dev/zero", options={"re": None, "f": "rawvideo", "video_size": "16x16", "framerate": "25"}),),
    outputs=(Output(target="out", maps=("0:v",), options={"f": "rawvideo"}),),
)
"""An endless encode at 25 frames per second."""
WORKER = """
from tests.ffmpeg.golden import NEVER, runner
from tests.ffmpeg.test_running import ENDLESS
runner().run(ENDLESS, {"out": lambda _: None}, stop=NEVER, on_frames=lambda _: print("up", flush=True))
"""


OTHERS: set[int] = set()
"""Children from before the test: servers that other tests use."""


@pytest.fixture(autouse=True)
def _others() -> None:
    OTHERS.clear()
    OTHERS.update(_children())


def _of(seconds: Fraction, *, path: str = "/dev/zero") -> FfmpegCommand:
    options = {"f": "rawvideo", "video_size": "16x16", "framerate": "25", "t": str(float(seconds))}
    return FfmpegCommand(
        inputs=(Input(path=path, options=options),),
        outputs=(Output(target="out", maps=("0:v",), options={"f": "rawvideo"}),),
    )


def test_bytes_frames_and_polls_are_reported() -> None:
    taken = bytearray()
    frames: list[int] = []
    polls: list[None] = []
    report = runner().run(
        _of(Fraction(2)), {"out": taken.extend}, stop=NEVER, on_frames=frames.append, on_poll=lambda: polls.append(None)
    )
    assert len(taken) == 50 * 16 * 16 * 3 // 2
    assert (report.frames, frames[-1], bool(polls)) == (50, 50, True)


def test_an_existing_output_file_is_overwritten(tmp_path: Path) -> None:
    """Without `-y`, ffmpeg keeps it and exits with 0."""
    target = tmp_path / "out"
    runner().run(_of(Fraction(2)), {"out": target}, stop=NEVER)
    runner().run(_of(Fraction(1, 25)), {"out": target}, stop=NEVER)
    assert target.stat().st_size == 16 * 16 * 3 // 2


def test_a_run_becomes_nicer_while_it_goes_on_with_all_of_its_threads() -> None:
    """Niceness belongs to threads: that of the first one alone would mean nothing to an encoder."""
    steps = iter([0, 0, 7])
    stop, found = threading.Event(), list[set[int]]()

    def look() -> None:
        process = _program_of(_children()[0])
        found.append(
            {os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in Path(f"/proc/{process}/task").iterdir()}
        )
        if found[-1] == {7}:
            stop.set()

    own = os.getpriority(os.PRIO_PROCESS, 0)
    with pytest.raises(Stopped):
        runner().run(ENDLESS, {"out": lambda _: None}, stop=stop, on_poll=look, niceness=lambda: next(steps, 7))
    assert found[0] == {own}
    assert found[-1] == {7}


def test_a_stopped_run_leaves_no_process() -> None:
    stop = threading.Event()
    started = time.monotonic()
    with pytest.raises(Stopped):
        runner().run(ENDLESS, {"out": lambda _: None}, stop=stop, on_frames=lambda _: stop.set())
    assert time.monotonic() - started < 60
    assert _children() == []


def test_a_failing_sink_ends_the_run_and_leaves_no_process() -> None:
    def refuse(_: bytes) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        runner().run(ENDLESS, {"out": refuse}, stop=NEVER)
    assert _children() == []


def test_a_stalled_run_is_killed(tmp_path: Path) -> None:
    silent = _program(tmp_path, "sleep 60", stall_seconds=1)
    with pytest.raises(ProcessStalled):
        silent.run(ENDLESS, {"out": lambda _: None}, stop=NEVER)
    assert _children() == []


def test_progress_reports_without_new_frames_are_a_stall(tmp_path: Path) -> None:
    find_progress = "for word; do case $word in pipe:*) fd=${word#pipe:}; break;; esac; done"
    report = r"open(P, '>&=', shift); while (1) { syswrite P, qq(frame=0\nprogress=continue\n); sleep 1 }"
    hanging = _program(tmp_path, f'{find_progress}; exec perl -e "{report}" "$fd"', stall_seconds=3)
    with pytest.raises(ProcessStalled):
        hanging.run(ENDLESS, {"out": lambda _: None}, stop=NEVER)


def test_work_without_a_frame_is_no_stall_and_keeps_the_lease(tmp_path: Path) -> None:
    """As of an encoder with look-ahead: five times the stall timeout."""
    working = _program(tmp_path, "exec perl -e '$end = time + 5; 1 while time < $end'", stall_seconds=1)
    counted: list[int] = []
    report = working.run(ENDLESS, {"out": lambda _: None}, stop=NEVER, on_frames=counted.append)
    assert report.seconds > 3
    assert len(counted) > 3
    assert set(counted) == {0}


def test_work_without_a_frame_ends_after_the_longest_step(tmp_path: Path) -> None:
    spinning = _program(tmp_path, "while :; do :; done", stall_seconds=1, max_step_seconds=3)
    with pytest.raises(ProcessStalled, match="used the processor all the time"):
        spinning.run(ENDLESS, {"out": lambda _: None}, stop=NEVER)
    assert _children() == []


def test_a_run_ends_after_several_times_the_longest_step() -> None:
    short = FfmpegRunner(ExecutionConfig(), replace(LimitConfig(), max_step_seconds=1))
    with pytest.raises(ProcessStalled, match="did not finish within 4 s"):
        short.run(ENDLESS, {"out": lambda _: None}, stop=NEVER)
    assert _children() == []


def test_the_end_of_its_processor_time_is_the_fault_of_an_inspected_file(tmp_path: Path) -> None:
    spinning = _program(tmp_path, "while :; do :; done")
    with pytest.raises(ResourceExceeded, match="processor time"):
        spinning.run(ENDLESS, {"out": lambda _: None}, stop=NEVER, budget=InspectionBudget(1, spent=lambda: 0.0))


def test_only_the_tail_of_stderr_is_kept(tmp_path: Path) -> None:
    wordy = _program(tmp_path, "yes warning | head -c 1000000 >&2; echo last >&2")
    report = wordy.run(ENDLESS, {"out": lambda _: None}, stop=NEVER)
    assert report.stderr.endswith("last\n")
    assert len(report.stderr) < 20_000


def test_a_report_without_end_ends_the_run(tmp_path: Path) -> None:
    """Of a program that a file has taken over: it would fill the memory of the worker."""
    find_progress = "for word; do case $word in pipe:*) fd=${word#pipe:}; break;; esac; done"
    report = "open(P, '>&=', shift); for (1 .. 100) { syswrite P, '7' x 10000 }"
    endless = _program(tmp_path, f'{find_progress}; exec perl -e "{report}" "$fd"')
    with pytest.raises(EncoderFailed, match="a line without end"):
        endless.run(ENDLESS, {"out": lambda _: None}, stop=NEVER)
    assert _children() == []


def test_a_packet_without_end_rejects_the_file(tmp_path: Path) -> None:
    endless = tmp_path / "ffprobe"
    endless.write_text("#!/bin/sh\nexec head -c 1000000 /dev/zero\n")
    endless.chmod(0o755)
    (tmp_path / "any.mp4").touch()
    prober = Ffprobe(ExecutionConfig(ffprobe_path=str(endless)), LimitConfig())
    with pytest.raises(InputRejected, match="packets cannot be read"):
        list(prober.packets(tmp_path / "any.mp4", demuxer="mov", stream=0, stop=NEVER))
    assert _children() == []


def test_secrets_of_the_worker_do_not_reach_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSCODER_SECRET_KEY", "hush")
    report = _program(tmp_path, "env >&2").run(ENDLESS, {"out": lambda _: None}, stop=NEVER)
    assert "PATH=" in report.stderr
    assert "hush" not in report.stderr


def _program(folder: Path, script: str, *, stall_seconds: int = 60, max_step_seconds: int = 3600) -> FfmpegRunner:
    """Build a runner with a shell script as ffmpeg."""
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    execution = ExecutionConfig(ffmpeg_path=str(program), stall_seconds=stall_seconds)
    return FfmpegRunner(execution, LimitConfig(max_step_seconds=max_step_seconds))


def test_a_killed_ffmpeg_does_not_reject_the_file() -> None:
    def kill(_: int) -> None:
        for process in _children():
            os.kill(_program_of(process), signal.SIGKILL)

    with pytest.raises(EncoderFailed, match="killed on the worker"):
        runner().run(ENDLESS, {"out": lambda _: None}, stop=NEVER, on_frames=kill)


def test_a_killed_ffprobe_does_not_reject_the_file(tmp_path: Path) -> None:
    killed = tmp_path / "ffprobe"
    killed.write_text(f"#!/bin/sh\n{death_by(signal.SIGKILL)}\n")
    killed.chmod(0o755)
    (tmp_path / "any.mp4").touch()
    prober = Ffprobe(ExecutionConfig(ffprobe_path=str(killed)), LimitConfig())
    with pytest.raises(EncoderFailed, match="killed on the worker"):
        prober.streams(tmp_path / "any.mp4", demuxer="mov")
    with pytest.raises(EncoderFailed, match="killed on the worker"):
        list(prober.packets(tmp_path / "any.mp4", demuxer="mov", stream=0, stop=NEVER))


def test_time_spent_in_on_poll_is_no_stall() -> None:
    spent = 0.0

    def spend() -> None:
        nonlocal spent
        spent += 100

    hasty = FfmpegRunner(ExecutionConfig(stall_seconds=60), LimitConfig(), clock=lambda: time.monotonic() + spent)
    report = hasty.run(_of(Fraction(2)), {"out": lambda _: None}, stop=NEVER, on_poll=spend)
    assert report.frames == 50
    assert spent >= 100


def test_a_missing_file_is_not_rejected() -> None:
    with pytest.raises(EncoderFailed) as raised:
        runner().run(_of(Fraction(1), path="/nowhere"), {"out": lambda _: None}, stop=NEVER)
    assert "No such file" in raised.value.details


def test_an_unreadable_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "source.mp4"
    path.write_bytes(bytes(1000))
    broken = FfmpegCommand(
        inputs=(Input(path=str(path), options={"f": "mov"}),), outputs=(Output(target="out", maps=("0:v",)),)
    )
    with pytest.raises(InputRejected):
        runner().run(broken, {"out": None}, stop=NEVER)


def test_processes_are_started_from_the_main_thread_only() -> None:
    raised: list[BaseException] = []

    def other() -> None:
        try:
            spawn(["true"])
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(raised) == 1


def test_ffmpeg_dies_with_its_worker() -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert worker.stdout
    assert worker.stdout.readline() == b"up\n"
    ffmpeg = _program_of(_children(worker.pid)[0])
    worker.kill()
    worker.wait()
    worker.stdout.close()
    assert _within(120, lambda: not _alive(ffmpeg))


def _children(parent: int | None = None) -> list[int]:
    """List the children of a process, of the test itself by default, except those from before the test."""
    path = Path(f"/proc/{parent or os.getpid()}/task/{parent or os.getpid()}/children")
    return [int(word) for word in path.read_text().split() if int(word) not in OTHERS]


def _program_of(pid: int) -> int:
    """Return the pid of the program that runs in a jail: the innermost of the processes that it consists of."""
    while inner := child_pids(pid):
        (pid,) = inner
    return pid


def _alive(process: int) -> bool:
    """Return True unless the process has ended or is a zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def test_audio_far_beyond_the_end_of_the_video_is_not_padded(tmp_path: Path) -> None:
    """Silence up to it would take 3 GB and 8 s, for an output of 1 s."""
    source = tmp_path / "source.mkv"
    late = r"sine=duration=1,asetpts='PTS+gt(T\,0.5)*20000/TB'"
    run(["-f", "lavfi", "-i", late, *AAC, f"file:{source}"])
    facts = replace(a_source(frames=25), demuxer="matroska", audio=(some_audio(index=0),))
    plan = a_plan(facts)
    command = audio_command(plan, plan.audio[0], str(source))
    before = _seconds_of_children()
    runner().run(command, {"audio": lambda _: None}, stop=NEVER)
    assert _seconds_of_children() - before < 4


def _seconds_of_children() -> float:
    """CPU time, which load on the machine hardly changes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_output_files_are_limited_in_size(tmp_path: Path) -> None:
    bounded = FfmpegRunner(ExecutionConfig(max_output_bytes=1 << 20), LimitConfig())
    out = tmp_path / "out.raw"
    with pytest.raises(ResourceExceeded):
        bounded.run(_of(Fraction(400)), {"out": out}, stop=NEVER)
    assert out.stat().st_size <= 1 << 20
