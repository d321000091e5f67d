import os
import threading
import time
from pathlib import Path

import pytest

from storage.transfer import TransferProgress, TransferStopped, batches, run_parallel, spans, write_at


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, []), (1, [(0, 1)]), (10, [(0, 10)]), (11, [(0, 10), (10, 11)]), (20, [(0, 10), (10, 20)])],
)
def test_spans_cover_every_byte_once(size: int, expected: list[tuple[int, int]]) -> None:
    assert list(spans(size, 10)) == expected


def test_batches_keep_the_order_and_the_rest() -> None:
    assert list(batches("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(batches("", 2)) == []


def test_results_come_in_the_order_of_the_items() -> None:
    def work(item: int) -> int:
        time.sleep(0.01 * (3 - item))
        return item * 10

    assert run_parallel(work, range(3), threads=3, progress=TransferProgress(None)) == [0, 10, 20]


def test_the_number_of_threads_is_limited() -> None:
    at_once, peak, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3)

    def work(_item: int) -> None:
        nonlocal at_once, peak
        with lock:
            at_once += 1
            peak = max(peak, at_once)
        together.wait(60)
        with lock:
            at_once -= 1

    run_parallel(work, range(12), threads=3, progress=TransferProgress(None))
    assert peak == 3


def test_the_first_failure_stops_the_others_and_is_raised() -> None:
    progress = TransferProgress(None)
    done: list[int] = []

    def work(item: int) -> None:
        if item == 0:
            raise ValueError("first")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            progress.add(1)
            time.sleep(0.001)
        done.append(item)

    with pytest.raises(ValueError, match="first"):
        run_parallel(work, range(50), threads=2, progress=progress)
    assert done == []


def test_progress_callbacks_do_not_overlap() -> None:
    inside = threading.Lock()
    reported: list[int] = []

    def on_bytes(count: int) -> None:
        assert inside.acquire(blocking=False)
        time.sleep(0.001)
        reported.append(count)
        inside.release()

    progress = TransferProgress(on_bytes)
    run_parallel(progress.add, range(20), threads=4, progress=progress)
    assert sorted(reported) == list(range(20))


def test_add_raises_after_stop() -> None:
    progress = TransferProgress(None)
    progress.stop()
    with pytest.raises(TransferStopped):
        progress.add(1)


def test_a_short_write_is_continued(tmp_path: Path) -> None:
    def three_bytes_at_a_time(file: int, data: memoryview, position: int) -> int:
        return os.pwrite(file, data[:3], position)

    path = tmp_path / "file"
    with path.open("wb") as file:
        write_at(file.fileno(), b"0123456789", 2, pwrite=three_bytes_at_a_time)
    assert path.read_bytes() == b"\0\x000123456789"
