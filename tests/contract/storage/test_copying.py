"""Copies of a store in another kind of store, and back."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from storage.copying import Copied, objects_copy
from storage.errors import ObjectNotFound
from storage.local import LocalStore
from storage.protocol import StoredObject
from storage.s3 import S3Config, S3Store

BYTES = "application/octet-stream"


def test_a_copy_has_every_object_and_a_second_one_only_what_is_new(
    s3_store: S3Store, local_store: LocalStore, tmp_path: Path
) -> None:
    prefix = f"tests/{uuid4()}/"
    for name in ("a/source", "a/g1/720p/0.m4s", "b/source"):
        s3_store.put(prefix + name, name.encode(), BYTES)
    s3_store.put(f"{prefix}large", bytes(s3_store.part_bytes + 1), BYTES)
    assert objects_copy(s3_store, local_store, prefix=prefix, scratch=tmp_path).objects == 4
    s3_store.put(f"{prefix}new", b"new", BYTES)
    assert objects_copy(s3_store, local_store, prefix=prefix, scratch=tmp_path) == Copied(1, 3, 4)
    s3_store.delete_prefix(prefix)
    local_store.put(f"{prefix}a/source", b"cut", BYTES)  # by a copy that was killed, say
    assert objects_copy(local_store, s3_store, prefix=prefix, scratch=tmp_path).objects == 5
    assert s3_store.get(f"{prefix}a/g1/720p/0.m4s") == b"a/g1/720p/0.m4s"
    assert s3_store.head(f"{prefix}large").size == s3_store.part_bytes + 1
    assert objects_copy(s3_store, local_store, prefix=prefix, scratch=tmp_path).objects == 0
    s3_store.delete_prefix(prefix)


def test_an_object_of_another_size_is_copied_again(local_store: LocalStore, tmp_path: Path) -> None:
    target = LocalStore(tmp_path / "target", part_bytes=local_store.part_bytes)
    local_store.put("a/b", b"whole", BYTES)
    target.put("a/b", b"who", BYTES)
    assert objects_copy(local_store, target, prefix="a/", scratch=tmp_path) == Copied(1, 5, 0)
    assert target.get("a/b") == b"whole"


def test_what_is_deleted_meanwhile_is_left_out(local_store: LocalStore, s3_store: S3Store, tmp_path: Path) -> None:
    class Vanishing(LocalStore):
        def fetch(self, key: str, path: Path, on_bytes: object = None) -> StoredObject:
            raise ObjectNotFound(key)

    key = f"tests/{uuid4()}/b"
    local_store.put(key, b"whole", BYTES)
    vanishing = Vanishing(tmp_path / "store", part_bytes=local_store.part_bytes)
    assert objects_copy(vanishing, s3_store, prefix=key, scratch=tmp_path) == Copied(0, 0, 1)
    with pytest.raises(ObjectNotFound):
        s3_store.head(key)


def test_two_buckets_of_one_server_need_no_file_in_between(
    s3_config: S3Config, s3_store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = S3Store(replace(s3_config, bucket="other"), part_bytes=s3_store.part_bytes, parallel_parts=2)
    other.prepare()
    key = f"tests/{uuid4()}/b"
    s3_store.put(key, b"whole", "video/mp4")
    monkeypatch.delattr(S3Store, "fetch")
    assert objects_copy(s3_store, other, prefix=key, scratch=tmp_path) == Copied(1, 5, 0)
    assert other.get(key) == b"whole"
    s3_store.delete([key])
    other.delete([key])


def test_stores_of_other_servers_and_keys_are_not_copied_from(
    s3_config: S3Config, s3_store: S3Store, local_store: LocalStore
) -> None:
    def a_store(**changes: str) -> S3Store:
        return S3Store(replace(s3_config, **changes), part_bytes=s3_store.part_bytes, parallel_parts=2)

    others = (a_store(endpoint_url="http://127.0.0.1:9"), a_store(access_key="other"), local_store)
    assert [s3_store.copies_from(other) for other in others] == [False, False, False]
    assert not local_store.copies_from(s3_store)
    with pytest.raises(ValueError, match="another server"):
        s3_store.copy("a", "b", source=local_store)
