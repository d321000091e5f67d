"""Runs whose input comes at a pace of its own: what waits for whom, and how they end."""

import threading
import time
from fractions import Fraction
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner, Stopped
from execution.pipes import Feed
from execution.process import child_pids
from tests.ffmpeg.golden import NEVER
from transcoding.commands.command import FfmpegCommand, Input, Output
from transcoding.errors import ProcessStalled

FRAME = bytes(16 * 16 * 3 // 2)
FED = FfmpegCommand(
    inputs=(Input(path="feed", options={"f": "rawvideo", "video_size": "16x16", "framerate": "25"}),),
    outputs=tuple(Output(target=name, maps=("0:v",), options={"f": "rawvideo"}) for name in ("one", "two")),
)
PAUSE_SECONDS = 3
"""Several times the stall timeout of `runner`."""


def runner(program: Path | None = None) -> FfmpegRunner:
    execution = ExecutionConfig(stall_seconds=1, ffmpeg_path=str(program) if program else "")
    return FfmpegRunner(execution, LimitConfig(max_step_seconds=1))


def pausing(seconds: float) -> Feed:
    """A second of video, a pause, and another second."""
    yield FRAME * 25
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.1)
        yield b""
    yield FRAME * 25


def endless(ended: list[bool]) -> Feed:
    try:
        while True:
            time.sleep(0.05)
            yield b""
    finally:
        ended.append(True)


def test_waiting_for_the_input_is_no_stall_and_takes_none_of_the_time() -> None:
    sizes = {"one": 0, "two": 0}

    def sink(name: str, data: bytes) -> None:
        sizes[name] += len(data)

    outputs = {name: lambda data, name=name: sink(name, data) for name in sizes}
    report = runner().run(FED, outputs, inputs={"feed": pausing(PAUSE_SECONDS)}, stop=NEVER, paced=True)
    assert report.frames == 50
    assert set(sizes.values()) == {50 * len(FRAME)}


def test_a_program_that_leaves_its_input_unread_is_a_stall(tmp_path: Path) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    blocks: list[int] = []
    before = set(child_pids())  # servers of other tests

    def pushing() -> Feed:
        for number in range(1000):
            blocks.append(number)
            yield FRAME * 100

    with pytest.raises(ProcessStalled):
        runner(program).run(
            FED, {"one": lambda _: None, "two": None}, inputs={"feed": pushing()}, stop=NEVER, paced=True
        )
    assert len(blocks) < 10  # what a pipe holds
    assert set(child_pids()) <= before


def test_a_run_that_waits_for_its_input_stops_at_once_and_closes_the_feed() -> None:
    stop, before = threading.Event(), threading.active_count()
    threading.Timer(0.5, stop.set).start()
    ended: list[bool] = []
    with pytest.raises(Stopped):
        runner().run(FED, {"one": lambda _: None, "two": None}, inputs={"feed": endless(ended)}, stop=stop, paced=True)
    assert ended == [True]
    assert threading.active_count() <= before + 1  # the timer


def test_a_slow_reader_of_one_output_holds_up_the_feed_and_loses_nothing() -> None:
    given, taken, ahead = [0], [0], [0]

    def counted() -> Feed:
        for _ in range(400):
            yield FRAME * 25
            given[0] += 25 * len(FRAME)
            ahead[0] = max(ahead[0], given[0] - taken[0])

    def slow(data: bytes) -> None:
        time.sleep(0.002)
        taken[0] += len(data)

    report = runner().run(FED, {"one": slow, "two": lambda _: None}, inputs={"feed": counted()}, stop=NEVER, paced=True)
    assert Fraction(taken[0], len(FRAME)) == report.frames == 10_000
    assert ahead[0] < given[0] // 2
