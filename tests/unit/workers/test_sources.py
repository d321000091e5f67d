import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.local import LocalStore
from storage.protocol import StoredObject
from transcoding.errors import InputChanged
from workers.source.cache import SourceCache


def nothing(_amount: int) -> None:
    pass


class CountingStore(LocalStore):
    """A store that counts its fetches."""

    fetched = 0

    def fetch(self, key: str, path: Path, on_bytes: Callable[[int], None] | None = None) -> StoredObject:
        self.fetched += 1
        return super().fetch(key, path, on_bytes)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    store = CountingStore(tmp_path / "store", part_bytes=5 << 20)
    store.prepare()
    return store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(store: CountingStore, folder: Path) -> SourceCache:
    return SourceCache(store, folder, max_bytes=250)


def a_source(store: CountingStore, name: str, size: int = 100) -> tuple[str, str]:
    key = f"videos/{name}/source"
    return key, store.put(key, name.encode().ljust(size, b"."), "video/mp4").etag


def copies(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.suffix]


def test_a_source_is_fetched_once(store: CountingStore, cache: SourceCache) -> None:
    key, etag = a_source(store, "a")
    for _ in range(3):
        with cache.open(key, etag=etag, moved=nothing) as path:
            assert path.read_bytes().startswith(b"a.")
    assert store.fetched == 1


def test_another_object_of_the_same_key_is_not_the_source_that_was_inspected(
    store: CountingStore, cache: SourceCache, folder: Path
) -> None:
    key, etag = a_source(store, "a")
    store.put(key, b"something else", "video/mp4")
    with pytest.raises(InputChanged), cache.open(key, etag=etag, moved=nothing):
        pass
    assert copies(folder) == []


def test_a_source_that_is_gone_is_a_change_of_the_input(cache: SourceCache) -> None:
    with pytest.raises(InputChanged), cache.open("videos/x/source", etag="e", moved=nothing):
        pass


def test_the_least_recently_used_copy_goes_first(store: CountingStore, cache: SourceCache) -> None:
    sources = {name: a_source(store, name) for name in "abc"}

    def use(name: str, at: int) -> None:
        key, etag = sources[name]
        with cache.open(key, etag=etag, moved=nothing) as path:
            pass
        os.utime(path, (at, at))

    for at, name in enumerate("abac"):
        use(name, at)
    use("a", 9)
    assert store.fetched == 3, "a was used later than b, so b made room for c"


def test_the_size_of_what_comes_counts(store: CountingStore, cache: SourceCache, folder: Path) -> None:
    for name, size in (("a", 100), ("b", 100), ("c", 200)):
        key, etag = a_source(store, name, size)
        with cache.open(key, etag=etag, moved=nothing):
            held = sum(path.stat().st_size for path in copies(folder))
    assert held == 200, "both made room for the third"


def test_a_full_disk_makes_room_within_the_bounds(store: CountingStore, folder: Path) -> None:
    cache = SourceCache(store, folder, max_bytes=250, free_bytes=lambda _: 99)
    (first, first_etag), (second, second_etag) = a_source(store, "a"), a_source(store, "b")
    with cache.open(first, etag=first_etag, moved=nothing):
        pass
    with cache.open(second, etag=second_etag, moved=nothing):
        assert len(copies(folder)) == 1


def test_a_copy_in_use_is_never_dropped(store: CountingStore, tmp_path: Path) -> None:
    cache = SourceCache(store, tmp_path / "tiny", max_bytes=0)
    (first, first_etag), (second, second_etag) = a_source(store, "a"), a_source(store, "b")
    with cache.open(first, etag=first_etag, moved=nothing) as path:
        with cache.open(second, etag=second_etag, moved=nothing):
            pass
        assert path.exists()


def test_two_processes_that_want_the_same_source_fetch_it_once(store: CountingStore, cache: SourceCache) -> None:
    key, etag = a_source(store, "a")
    opened = threading.Barrier(2)

    def use() -> None:
        with cache.open(key, etag=etag, moved=nothing):
            opened.wait(60)

    others = [threading.Thread(target=use) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert store.fetched == 1


def test_what_moved_raises_ends_the_fetch_and_leaves_nothing(
    store: CountingStore, cache: SourceCache, folder: Path
) -> None:
    key, etag = a_source(store, "a")

    def stop(_amount: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError), cache.open(key, etag=etag, moved=stop):
        pass
    assert copies(folder) == []


def test_no_lock_outlives_its_copy(store: CountingStore, cache: SourceCache, folder: Path) -> None:
    for name in "abcdef":
        key, etag = a_source(store, name)
        with cache.open(key, etag=etag, moved=nothing):
            pass
    with pytest.raises(InputChanged), cache.open("videos/x/source", etag="e", moved=nothing):
        pass
    (folder / "left-by-a-killed-one.lock").touch()
    (folder / "left-by-another.lock").touch()
    (folder / "left-by-another.partial").touch()
    key, etag = a_source(store, "last")
    with cache.open(key, etag=etag, moved=nothing):
        pass
    names = {path.name for path in folder.iterdir()}
    assert names == {name for path in copies(folder) for name in (path.name, f"{path.name}.lock")}
    assert len(copies(folder)) == 2


def test_readers_and_removers_race_for_locks_and_nobody_loses_a_copy(store: CountingStore, folder: Path) -> None:
    """Each opens a source that the others drop all the time, lock file included."""
    sources = [a_source(store, name) for name in "abc"]
    cache = SourceCache(store, folder, max_bytes=100)
    failures: list[BaseException] = []

    def use(first: int) -> None:
        try:
            for turn in range(60):
                key, etag = sources[(first + turn) % len(sources)]
                with cache.open(key, etag=etag, moved=nothing) as path:
                    assert path.read_bytes()[:1].decode() == key[7]
        except BaseException as error:  # noqa: BLE001 - reported by the test
            failures.append(error)

    threads = [threading.Thread(target=use, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
