import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.local import LocalStore
from storage.sparse import SparseSource
from transcoding.containers.mp4_index import IndexTooLarge
from transcoding.containers.mp4_tables import UnusableIndex
from transcoding.errors import InputChanged

KEY = "videos/a/source"
SIZE = 1_000_000


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "store", part_bytes=64 << 10)
    store.prepare()
    return store


Opener = Callable[[bytes], SparseSource]


@pytest.fixture
def open_parts(store: LocalStore, tmp_path: Path) -> Iterator[Opener]:
    """Stores an object and opens it in parts, with the counts of bytes that came in."""
    with (tmp_path / "parts").open("w+b") as file:

        def opened(data: bytes, moved: Callable[[int], None] = lambda _: None) -> SparseSource:
            stored = store.put(KEY, data, "video/mp4")
            return SparseSource(store, KEY, stored.etag, stored.size, file, moved)

        yield opened


def some_bytes() -> bytes:
    return os.urandom(SIZE)


def content(source: SparseSource) -> bytes:
    source.file.flush()
    return os.pread(source.file.fileno(), SIZE + 1, 0)


def test_requested_bytes_are_there_and_the_rest_is_a_hole(open_parts: Opener) -> None:
    data = some_bytes()
    source = open_parts(data)
    source.fetch([(10, 20), (300_000, 500_000), (SIZE - 1, SIZE)])
    expected = bytearray(SIZE)
    for start, end in ((10, 20), (300_000, 500_000), (SIZE - 1, SIZE)):
        expected[start:end] = data[start:end]
    assert content(source) == bytes(expected)


def test_no_byte_is_fetched_twice(open_parts: Opener) -> None:
    moved: list[int] = []
    source = open_parts(some_bytes(), moved.append)  # type: ignore[call-arg]
    source.fetch([(0, 1000)])
    source.fetch([(500, 1500), (1400, 2000)])
    assert sum(moved) == 2000
    assert source.lacks([(0, 2500)]) == 500


def test_an_object_that_was_replaced_is_a_change_of_the_input(store: LocalStore, open_parts: Opener) -> None:
    source = open_parts(some_bytes())
    store.put(KEY, some_bytes(), "video/mp4")
    with pytest.raises(InputChanged):
        source.fetch([(0, 10)])


def test_an_object_that_is_gone_is_a_change_of_the_input(store: LocalStore, open_parts: Opener) -> None:
    source = open_parts(some_bytes())
    store.delete([KEY])
    with pytest.raises(InputChanged):
        source.fetch([(0, 10)])


def test_what_moved_raises_ends_the_fetch(open_parts: Opener) -> None:
    def stop(_count: int) -> None:
        raise RuntimeError("stop")

    source = open_parts(some_bytes(), stop)  # type: ignore[call-arg]
    with pytest.raises(RuntimeError, match="stop"):
        source.fetch([(0, SIZE)])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\0" * SIZE, "no MP4"),
        (b"", "no MP4"),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\0mdat" + b"x" * 5000, "no index"),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x08free" * 100, "more than 64 boxes"),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x10moov\0\0\0\x08moof", "fragmented"),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x08moof", "fragmented"),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\x7f\0\0\0mdat", "ends at"),
    ],
)
def test_a_file_without_an_index_cannot_be_read_in_parts(open_parts: Opener, data: bytes, why: str) -> None:
    with pytest.raises(UnusableIndex, match=why):
        open_parts(data).index()


def test_an_index_larger_than_allowed_is_not_fetched(open_parts: Opener) -> None:
    moov = b"\0\1\0\0moov" + bytes((1 << 16) - 8)
    source = open_parts(b"\0\0\0\x10ftypisom\0\0\0\0" + moov)
    with pytest.raises(IndexTooLarge):
        source.fetch_index(1 << 15)
    assert source.lacks([(0, source.size)]) > len(moov) // 2
    assert source.fetch_index().kind == "moov"
