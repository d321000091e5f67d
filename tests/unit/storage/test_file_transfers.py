import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from storage.errors import StorageRefused, StorageUnavailable
from storage.file_transfers import ROUNDS, FileParts, fetch_file
from storage.parts import MAX_PARTS
from storage.transfer import spans

PART = 100


class PartsOfOneUpload:
    """A store that fails as it is scripted: `lost` parts arrive although their answers do not."""

    def __init__(self, *, failures: Mapping[int, int] | None = None, lost: tuple[int, ...] = ()) -> None:
        self.parts: dict[int, bytes] = {}
        self.sent: list[int] = []
        self._failures = dict(failures or {})
        self._lost = set(lost)
        self._lock = threading.Lock()

    def put(self, number: int, data: bytes) -> str:
        with self._lock:
            self.sent.append(number)
            if self._failures.get(number, 0):
                self._failures[number] -= 1
                raise StorageUnavailable("key")
            self.parts[number] = data
            if number in self._lost:
                self._lost.remove(number)
                raise StorageUnavailable("key")
            return f"e{number}"

    def stored(self, read: Callable[[int], bytes]) -> Mapping[int, str]:
        return {number: f"e{number}" for number, data in self.parts.items() if read(number) == data}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(10 * PART + 1))
    return path


def send(file: Path, store: PartsOfOneUpload, on_bytes: Callable[[int], None] | None = None) -> list[str]:
    parts = FileParts(file, PART, put=store.put, stored=store.stored)
    return parts.send(threads=3, on_bytes=on_bytes, sleep=lambda _seconds: None)


def test_the_parts_are_those_of_the_file(file: Path) -> None:
    store, moved = PartsOfOneUpload(), list[int]()
    assert send(file, store, moved.append) == [f"e{number}" for number in range(1, 12)]
    assert b"".join(store.parts[number] for number in range(1, 12)) == file.read_bytes()
    assert sum(moved) == file.stat().st_size


def test_after_a_failure_only_the_missing_parts_are_sent_again(file: Path) -> None:
    store, moved = PartsOfOneUpload(failures={2: 1, 7: 2, 11: 1}, lost=(4, 5)), list[int]()
    assert send(file, store, moved.append) == [f"e{number}" for number in range(1, 12)]
    assert sum(moved) == file.stat().st_size, "each part is reported once"
    again = {number for number in store.sent if store.sent.count(number) > 1}
    assert again == {2, 7, 11}
    assert b"".join(store.parts[number] for number in range(1, 12)) == file.read_bytes()


def test_a_part_of_other_bytes_is_sent_again(file: Path) -> None:
    store = PartsOfOneUpload(failures={1: 1})
    store.parts[3] = b"of another file"
    send(file, store)
    assert b"".join(store.parts[number] for number in range(1, 12)) == file.read_bytes()


def test_a_store_that_takes_nothing_is_given_up(file: Path) -> None:
    store = PartsOfOneUpload(failures=dict.fromkeys(range(1, 12), 99))
    with pytest.raises(StorageUnavailable):
        send(file, store)
    assert max(store.sent.count(number) for number in store.sent) <= ROUNDS


def test_a_refusal_and_a_callback_that_raises_end_it_at_once(file: Path) -> None:
    class Refusing(PartsOfOneUpload):
        def put(self, number: int, data: bytes) -> str:
            raise StorageRefused("key")

    with pytest.raises(StorageRefused):
        send(file, Refusing())

    def stop(_count: int) -> None:
        raise KeyError

    store = PartsOfOneUpload()
    with pytest.raises(KeyError):
        send(file, store, stop)
    assert len(store.sent) == len(set(store.sent))


def test_parts_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as sparse:
        sparse.truncate(MAX_PARTS * 2 + 1)
    store = PartsOfOneUpload()
    assert len(FileParts(path, 1, put=store.put, stored=store.stored).send(threads=1, on_bytes=None)) <= MAX_PARTS


def test_a_fetched_file_has_all_ranges_or_is_removed(tmp_path: Path) -> None:
    data = os.urandom(1_001)
    fetch_file(
        tmp_path / "file",
        list(spans(len(data), PART)),
        blocks=lambda start, end: iter([data[start : start + 7], data[start + 7 : end]]),
        threads=3,
        on_bytes=None,
    )
    assert (tmp_path / "file").read_bytes() == data

    def broken(start: int, end: int) -> None:
        raise StorageUnavailable("key")

    with pytest.raises(StorageUnavailable):
        fetch_file(tmp_path / "broken", [(0, 1)], blocks=broken, threads=1, on_bytes=None)  # type: ignore[arg-type]
    assert not (tmp_path / "broken").exists()
