"""Behaviour of the local store beyond the contract of all stores."""

import errno
from pathlib import Path

import pytest

from storage.errors import StorageUnavailable
from storage.local import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, part_bytes=10)


def files(tmp_path: Path) -> list[str]:
    return sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())


def test_it_has_no_presigned_urls(store: LocalStore) -> None:
    assert store.url("a", 60) is None


def test_deleting_the_last_object_removes_its_folders(store: LocalStore, tmp_path: Path) -> None:
    store.put("videos/1/g1/a", b"", "")
    store.put("videos/2/a", b"", "")
    store.delete_prefix("videos/1/")
    assert [path.name for path in (tmp_path / "objects/videos").iterdir()] == ["2"]


def test_objects_are_published_atomically(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    store.put("a", b"old", "")
    monkeypatch.setattr("os.fsync", disk_full)
    with pytest.raises(StorageUnavailable, match="no space left"):
        store.put("a", b"new", "")
    assert store.get("a") == b"old"
    assert files(tmp_path) == ["objects/a"]


def test_where_there_are_no_links_a_copy_has_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(_path: Path, _target: str) -> None:
        raise OSError

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    store = LocalStore(tmp_path, part_bytes=10)
    store.put("a", b"hello", "")
    store.copy("a", "b")
    store.delete(["a"])
    assert store.get("b") == b"hello"
    assert list((tmp_path / "incoming").iterdir()) == []
