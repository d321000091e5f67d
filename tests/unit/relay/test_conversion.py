"""Threads of a run whose engine hangs, whose process can have no more threads, and whose viewers are behind."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from execution.daemons import poll_until
from relay.engines.engine import Attempt, EngineFacts, EngineRun, Fallback
from relay.runs.conversion import UNDELIVERED_BYTES, Conversion, Listeners
from relay.runs.joining import PACKET, Piece
from relay.sources.source import SourceStats
from tests.live_runs import open_files
from transcoding.errors import TranscodeError

DEADLINE_SECONDS = 60
READ_BYTES = 1 << 16


def packet(pid: int, payload: bytes) -> bytes:
    """A packet with the start of a section or frame."""
    return (b"G" + struct.pack(">HB", 0x4000 | pid, 0x10) + payload).ljust(PACKET, b"\xff")


PAT = packet(0, bytes.fromhex("00 00b00d 0001c10000 0001e100") + bytes(4))
PMT = packet(0x100, bytes.fromhex("00 02b012 0001c10000 e101f000 0fe101f000") + bytes(4))
RADIO = PAT + PMT + packet(0x101, b"\0\0\1\xc0") * (2 * UNDELIVERED_BYTES // PACKET)


class Memory:
    """A source in memory."""

    container = "mpegts"

    def __init__(self) -> None:
        self.stats = SourceStats()
        self.closed = False

    def blocks(self) -> Iterator[bytes]:
        for start in range(0, len(RADIO), READ_BYTES):
            yield RADIO[start : start + READ_BYTES]

    def close(self) -> None:
        self.closed = True


class Passing:
    """An engine that changes nothing: one pipe."""

    encoder = "copy"

    def __init__(self) -> None:
        self.output, self.input = os.pipe()
        self.ended = False

    def facts(self) -> EngineFacts:
        return EngineFacts()

    def wait(self, seconds: float | None = None) -> bool:
        """It has ended with its output."""
        return True

    def end(self) -> None:
        self.ended = True


class Hung(Passing):
    """An engine that reads and writes nothing, and keeps its ends of the pipes whatever happens."""

    def __init__(self) -> None:
        super().__init__()
        os.close(self.input)
        os.close(self.output)
        self.source, self.input = os.pipe()
        self.output, self.target = os.pipe()

    @property
    def is_full(self) -> bool:
        waiting = struct.unpack("i", fcntl.ioctl(self.source, termios.FIONREAD, bytes(4)))[0]
        return bool(waiting == fcntl.fcntl(self.source, fcntl.F_GETPIPE_SZ))

    def let_go(self) -> None:
        os.close(self.source)
        os.close(self.target)


class Silent(Passing):
    """An engine that closes its output, and stays."""

    def __init__(self) -> None:
        super().__init__()
        os.close(self.output)
        self.output, target = os.pipe()
        os.close(target)
        self.over = threading.Event()

    def wait(self, seconds: float | None = None) -> bool:
        return self.over.wait(seconds)

    def end(self) -> None:
        self.over.set()
        super().end()


@dataclass
class Only:
    """The only way, which is at work already."""

    run: EngineRun
    encoder: str = "copy"
    fallback: Fallback | None = None

    def start(self) -> EngineRun:
        return self.run

    def next(self, failure: TranscodeError | None = None) -> Attempt:
        if failure:
            raise failure
        return self


@dataclass
class Notes:
    """Notes of what a conversion says."""

    ended: threading.Event = field(default_factory=threading.Event)
    errors: list[TranscodeError | None] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)

    def on_end(self, error: TranscodeError | None) -> None:
        self.errors.append(error)
        self.ended.set()

    def on_pieces(self, pieces: Sequence[Piece]) -> None:
        self.pieces.extend(pieces)

    @property
    def size(self) -> int:
        return sum(len(piece.data) for piece in self.pieces)


def conversion_of(run: Callable[[], EngineRun], source: Memory, notes: Notes) -> Conversion:
    return Conversion(
        opens=lambda _: source,
        ways=lambda _: Only(run()),
        start_seconds=DEADLINE_SECONDS,
        listeners=Listeners(on_first=lambda *_: None, on_pieces=notes.on_pieces, on_end=notes.on_end),
    )


def wait_until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_an_engine_that_hangs_holds_up_no_end() -> None:
    engine, notes = Hung(), Notes()
    conversion = conversion_of(lambda: engine, Memory(), notes)
    conversion.start()
    wait_until(lambda: engine.is_full)
    conversion.stop()
    try:
        assert notes.ended.wait(DEADLINE_SECONDS)
    finally:
        engine.let_go()
    assert engine.ended


def test_an_engine_that_closes_its_output_and_stays_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.runs.conversion.END_SECONDS", 0.1)
    engine, notes = Silent(), Notes()
    conversion_of(lambda: engine, Memory(), notes).start()
    assert notes.ended.wait(DEADLINE_SECONDS)
    assert engine.ended
    assert [getattr(error, "code", None) for error in notes.errors] == ["encoder_failed"]


def test_a_run_whose_engine_stays_ends_at_once_when_it_is_stopped() -> None:
    engine, notes = Silent(), Notes()
    conversion = conversion_of(lambda: engine, Memory(), notes)
    conversion.start()
    assert not notes.ended.wait(0.3)
    conversion.stop()
    assert notes.ended.wait(DEADLINE_SECONDS)
    assert engine.ended
    assert notes.errors == [None]


@pytest.mark.parametrize("refused", ["live-run", "live-source", "live-feed"])
def test_nothing_is_left_where_a_thread_cannot_start(refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if thread.name == refused:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    before, source, notes, engines = open_files(), Memory(), Notes(), list[Passing]()

    def run() -> EngineRun:
        engines.append(Passing())
        return engines[-1]

    conversion = conversion_of(run, source, notes)
    if refused == "live-run":
        with pytest.raises(RuntimeError, match="new thread"):
            conversion.start()
        conversion.stop()
    else:
        conversion.start()
        assert notes.ended.wait(DEADLINE_SECONDS)
        assert source.closed
        assert isinstance(notes.errors[0], TranscodeError)
    assert all(engine.ended for engine in engines)
    assert poll_until(lambda: open_files() == before, DEADLINE_SECONDS)


def test_an_engine_waits_for_a_loop_that_is_behind() -> None:
    notes = Notes()
    conversion = conversion_of(Passing, Memory(), notes)
    conversion.start()
    wait_until(lambda: notes.size > UNDELIVERED_BYTES)
    assert not notes.ended.wait(0.3)
    assert notes.size <= UNDELIVERED_BYTES + READ_BYTES
    conversion.delivered(notes.pieces)
    assert notes.ended.wait(DEADLINE_SECONDS)
    assert notes.errors == [None]
    assert notes.size == len(RADIO)


def test_an_engine_that_waits_for_the_loop_can_be_stopped() -> None:
    notes = Notes()
    conversion = conversion_of(Passing, Memory(), notes)
    conversion.start()
    wait_until(lambda: notes.size > UNDELIVERED_BYTES)
    conversion.stop()
    assert notes.ended.wait(DEADLINE_SECONDS)
