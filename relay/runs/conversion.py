"""The threads of one run: source, engine, and what comes out of it.

One thread fetches the source, one feeds the engine, and one starts engines and reads what they write. All of them end,
with the engine and the connections, within a second after `stop`.
"""

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from django.db import connection

from relay.engines.engine import Attempt, Attempts, EngineError, EngineFacts, EngineRun
from relay.errors import SourceEnded, StartTimeout
from relay.runs.joining import Joining, NotOurs, Piece
from relay.runs.replay import ReplayBuffer
from relay.sources.source import Source
from transcoding.errors import EncoderFailed, TranscodeError

log = logging.getLogger(__name__)

_READ_BYTES = 1 << 16
_SMALL_BYTES = 1 << 15
_PAUSE_SECONDS = 0.02
"""Pause after a small read: a wake-up for each packet would cost more than the work."""
_LOOK_SECONDS = 0.25
UNDELIVERED_BYTES = 2 << 20
"""Nothing more is read from an engine while the listeners have so much that is not `delivered`."""
END_SECONDS = 10.0
"""Time for an engine to end once it has closed its output: it is ended then."""
_FED_BYTES = 1 << 20
"""An engine that made nothing of so much of a source, and of half the time, is replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Functions that a conversion calls, in its own threads. None of them blocks."""

    on_first: Callable[[Attempt, EngineRun], None]
    """Viewers get something now."""
    on_pieces: Callable[[Sequence[Piece]], None]
    """Call `delivered` with them once they are dealt with."""
    on_end: Callable[[TranscodeError | None], None]
    """Everything is gone. None: the source has ended, or `stop` was called."""


class _Stopped(Exception):
    """`stop` was called."""


class _Replaced(Exception):
    """Another engine is to be tried."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__()
        self.attempt = attempt


class Conversion:
    """One source, converted once. `opens` blocks until the source is there; `ways` lists the engines for it."""

    def __init__(
        self,
        *,
        opens: Callable[[threading.Event], Source],
        ways: Callable[[str], Attempts],
        start_seconds: float,
        listeners: Listeners,
    ) -> None:
        self._opens = opens
        self._ways = ways
        self._start_seconds = start_seconds
        self._listeners = listeners
        self._replay = ReplayBuffer()
        self._stopped = threading.Event()
        self._source_over = threading.Event()
        self._wakes = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._room = threading.Event()
        self._room.set()
        self._undelivered_bytes = 0
        self._delivery = threading.Condition()
        self._source: Source | None = None
        self._source_error: TranscodeError | None = None
        self._engine: EngineRun | None = None
        self._facts = EngineFacts()
        self._joining = Joining()
        self._served = False
        self._fed_bytes = 0
        self._lock = threading.Lock()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="live-run", daemon=True)

    def start(self) -> None:
        """Start the threads. Raises RuntimeError if the process can have no more."""
        try:
            self._thread.start()
        except RuntimeError:
            self._let_go()
            raise

    def stop(self) -> None:
        """Have everything end at once. Does not wait for it."""
        self._stopped.set()
        self._source_over.set()
        self._room.set()
        with self._delivery:
            self._delivery.notify_all()
        with self._lock:
            if not self._over:
                os.eventfd_write(self._wakes, 1)

    def hold(self) -> None:
        """Read nothing more from the engine, until `resume`."""
        self._room.clear()
        if self._stopped.is_set():
            self._room.set()

    def resume(self) -> None:
        self._room.set()

    def delivered(self, pieces: Sequence[Piece]) -> None:
        """Have the engine be read again, if it was for these that it was not."""
        with self._delivery:
            self._undelivered_bytes -= _size(pieces)
            self._delivery.notify_all()

    def facts(self) -> EngineFacts:
        """Return what the engine found so far."""
        engine = self._engine
        if engine is not None:
            self._facts = self._found(engine)
        return self._facts

    def _found(self, engine: EngineRun) -> EngineFacts:
        """Return what an engine found, with the drift of what it wrote where it does not measure that itself."""
        facts = engine.facts()
        return facts if facts.drift_ms is not None else replace(facts, drift_ms=self._joining.drift.ms)

    @property
    def bytes_in(self) -> int:
        """Bytes of the source so far."""
        return self._source.stats.bytes if self._source else 0

    @property
    def reconnects(self) -> int:
        return self._source.stats.reconnects if self._source else 0

    def _run(self) -> None:
        error: TranscodeError | None = None
        try:
            self._convert()
        except _Stopped:
            pass
        except TranscodeError as found:
            error = found
        except Exception:
            log.exception("a live run broke", extra={"event": "live_run_broken"})
            error = TranscodeError("the run broke")
        finally:
            connection.close()  # of this thread, where an engine has read the database
            self._let_go()
            self._listeners.on_end(None if self._stopped.is_set() else error)

    def _let_go(self) -> None:
        with self._lock:
            self._over = True
            os.close(self._wakes)

    def _convert(self) -> None:
        source = self._opens(self._source_over)
        self._source = source
        fetching = threading.Thread(target=self._fetch, args=(source,), name="live-source", daemon=True)
        try:
            fetching.start()
            self._check()
            ways = self._ways(source.container)
            self._serve(ways)
        finally:
            self._replay.close()
            source.close()
            if _has_started(fetching):
                fetching.join()

    def _fetch(self, source: Source) -> None:
        try:
            for block in source.blocks():
                if not self._replay.write(block):
                    return
        except TranscodeError as error:
            self._source_error = error
        except Exception:
            log.exception("a live source broke", extra={"event": "live_source_broken"})
            self._source_error = TranscodeError("the source could not be read")
        finally:
            self._replay.end()

    def _serve(self, ways: Attempts) -> None:
        """Try one engine after the other until one serves viewers, and go on until it has ended."""
        ends_at = time.monotonic() + self._start_seconds
        attempt = ways.next()
        while True:
            try:
                self._try(attempt, ways, ends_at)
            except _Replaced as replaced:
                attempt = replaced.attempt
            except TranscodeError as error:
                self._check()
                if self._served or self._source_error or not self._replay.complete:
                    raise self._source_error or error from None
                log.warning(
                    "live engine failed", extra={"event": "live_engine_failed", "encoder": attempt.encoder,
                                                 "code": error.code, "error": str(error), "details": error.details},
                )  # fmt: skip
                attempt = ways.next(error)
            else:
                if self._source_error:
                    raise self._source_error
                return

    def _try(self, attempt: Attempt, ways: Attempts, ends_at: float) -> None:
        """Run one engine to its end. Raises its error, or one if nothing came out of it."""
        engine = attempt.start()
        self._joining = Joining()
        gone = threading.Event()
        fed = (engine.input, self._replay.read(), gone)
        feeding = threading.Thread(target=self._feed, args=fed, name="live-feed", daemon=True)
        try:
            feeding.start()
            self._engine = engine
            self._read(engine, attempt, ways, ends_at)
            self._wait_for_end(engine)
            if not self._served:
                raise SourceEnded("the source ended before anything could be made of it")
        except NotOurs as error:
            raise EngineError(str(error), code=EncoderFailed.code) from error
        finally:
            self._engine = None
            try:
                self._facts = self._found(engine)
            finally:
                engine.end()
                os.close(engine.output)
                gone.set()
                self._stop_feeding(feeding, engine.input)

    def _wait_for_end(self, engine: EngineRun) -> None:
        """Wait for an engine that writes nothing more. Raises its error, or one if it does not end in time."""
        ends_at = time.monotonic() + END_SECONDS
        while not engine.wait(_LOOK_SECONDS):
            self._check()
            if time.monotonic() > ends_at:
                raise EngineError("the encoder closed its output and does not end", code=EncoderFailed.code)

    def _stop_feeding(self, feeding: threading.Thread, target: int) -> None:
        """Wait for the thread that feeds an engine which is gone: it sees that, gets EPIPE, or no block any more."""
        if self._served or self._stopped.is_set():
            self._replay.close()
        else:
            self._replay.interrupt()
        if _has_started(feeding):
            feeding.join()
        else:
            os.close(target)

    def _feed(self, target: int, blocks: Iterator[bytes], gone: threading.Event) -> None:
        """Write blocks into a pipe. A process that hangs may keep its other end open, so that no write may block."""
        self._fed_bytes = 0
        try:
            os.set_blocking(target, False)
            poll = select.poll()
            poll.register(target, select.POLLOUT)
            for block in blocks:
                view = memoryview(block)
                while view:
                    if poll.poll(_LOOK_SECONDS * 1000):
                        with contextlib.suppress(BlockingIOError):
                            view = view[os.write(target, view) :]
                    if gone.is_set():
                        return
                self._fed_bytes += len(block)
        except BrokenPipeError:
            pass
        finally:
            os.close(target)

    def _read(self, engine: EngineRun, attempt: Attempt, ways: Attempts, ends_at: float) -> None:
        """Pass on what the engine writes, until its end."""
        half_at = (time.monotonic() + ends_at) / 2
        poll = select.poll()
        poll.register(engine.output, select.POLLIN)
        poll.register(self._wakes, select.POLLIN)
        while True:
            self._wait_for_room()
            self._check()
            ready = dict(poll.poll(_LOOK_SECONDS * 1000))
            self._check()
            if not self._served and time.monotonic() > half_at:
                half_at = ends_at if self._fed_bytes < _FED_BYTES else float("inf")
                self._replace(ways)
            if engine.output not in ready:
                continue
            data = os.read(engine.output, _READ_BYTES)
            if not data:
                return
            self._pass_on(self._joining.feed(data), attempt, engine)
            if self._served and len(data) < _SMALL_BYTES:
                self._stopped.wait(_PAUSE_SECONDS)

    def _wait_for_room(self) -> None:
        """Wait while viewers have enough, or the event loop is behind."""
        self._room.wait()
        with self._delivery:
            self._delivery.wait_for(lambda: self._stopped.is_set() or self._undelivered_bytes <= UNDELIVERED_BYTES)

    def _pass_on(self, pieces: Sequence[Piece], attempt: Attempt, engine: EngineRun) -> None:
        if not self._served:
            if all(piece.head is None for piece in pieces):
                return
            self._served = True
            self._replay.forget()
            self._listeners.on_first(attempt, engine)
        with self._delivery:
            self._undelivered_bytes += _size(pieces)
        self._listeners.on_pieces(pieces)

    def _replace(self, ways: Attempts) -> None:
        """Try the next engine on a source that this one makes nothing of, if there is one."""
        if self._fed_bytes < _FED_BYTES or not self._replay.complete:
            return
        failure = StartTimeout("nothing came out of the encoder in time")
        with contextlib.suppress(TranscodeError):
            raise _Replaced(ways.next(failure))

    def _check(self) -> None:
        if self._stopped.is_set():
            raise _Stopped


def _size(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.data) for piece in pieces)


def _has_started(thread: threading.Thread) -> bool:
    """Tell whether a thread was started: a process may have no room for it."""
    return thread.ident is not None
