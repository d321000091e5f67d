import os
import threading
import time
from pathlib import Path

import pytest

from storage.transfer import Tally, TransferStoppedError, batches, run_parallel, spans, write_at


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

    assert run_parallel(work, range(3), threads=3, tally=Tally(None)) == [0, 10, 20]


def test_no_more_threads_than_asked_for() -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def work(_item: int) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.005)
        with lock:
            at_once -= 1

    run_parallel(work, range(12), threads=3, tally=Tally(None))
    assert most == 3


def test_one_failure_stops_the_others_and_is_the_one_told() -> None:
    tally = Tally(None)
    done: list[int] = []

    def work(item: int) -> None:
        if item == 0:
            raise ValueError("first")
        time.sleep(0.05)
        tally.add(1)
        done.append(item)

    with pytest.raises(ValueError, match="first"):
        run_parallel(work, range(50), threads=2, tally=tally)
    assert done == []


def test_progress_is_told_one_call_at_a_time() -> None:
    inside = threading.Lock()
    told: list[int] = []

    def on_bytes(count: int) -> None:
        assert inside.acquire(blocking=False)
        time.sleep(0.001)
        told.append(count)
        inside.release()

    tally = Tally(on_bytes)
    run_parallel(tally.add, range(20), threads=4, tally=tally)
    assert sorted(told) == list(range(20))


def test_a_stopped_tally_takes_nothing_more() -> None:
    tally = Tally(None)
    tally.stop()
    with pytest.raises(TransferStoppedError):
        tally.add(1)


def test_a_write_that_was_cut_short_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, position: whole(file, data[:3], position))
    path = tmp_path / "file"
    with path.open("wb") as file:
        write_at(file.fileno(), b"0123456789", 2)
    assert path.read_bytes() == b"\0\x000123456789"
