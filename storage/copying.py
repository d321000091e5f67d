"""Copies of objects of one store in another: backups, moves to another store, imports and exports."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.errors import ObjectNotFound
from storage.protocol import ObjectStore, StoredObject
from storage.transfer import TransferProgress, batches, run_parallel

_THREADS = 8
_BATCH = 1000
_MEDIA_TYPE = "application/octet-stream"
"""Of copies. Nobody relies on stored types: each answer to a player sets its own."""


@dataclass(frozen=True, slots=True)
class Copied:
    """Numbers of objects and bytes of a copy that was made or, the first two aside, was there."""

    objects: int
    bytes: int
    present: int


def objects_copy(source: ObjectStore, target: ObjectStore, *, prefix: str, scratch: Path) -> Copied:
    """Copy the objects under a prefix that the target lacks, or has in another size. Keys are never reused.

    An object that is deleted meanwhile is left out.
    """
    with tempfile.TemporaryDirectory(prefix="copy-", dir=scratch) as folder:

        def copy(stored: StoredObject) -> int | None:
            if _has(target, stored):
                return None
            try:
                object_copy(source, stored.key, target, stored.key, _MEDIA_TYPE, scratch=Path(folder))
            except ObjectNotFound:
                return None
            return stored.size

        sizes = list(_each(copy, source.list(prefix)))
    copied = [size for size in sizes if size is not None]
    return Copied(objects=len(copied), bytes=sum(copied), present=len(sizes) - len(copied))


def object_copy(  # noqa: PLR0913 - two places, and how
    source: ObjectStore, source_key: str, target: ObjectStore, key: str, content_type: str, *, scratch: Path
) -> StoredObject:
    """Copy one object: inside the server where both stores are on the same one, else through a file in `scratch`.

    Raises ObjectNotFound, ObjectChanged.
    """
    if target.copies_from(source):
        return target.copy(source_key, key, source=source, content_type=content_type)
    with tempfile.NamedTemporaryFile(dir=scratch) as file:
        source.fetch(source_key, Path(file.name))
        return target.put_file(key, Path(file.name), content_type)


def _each(copy: Callable[[StoredObject], int | None], objects: Iterable[StoredObject]) -> Iterator[int | None]:
    for batch in batches(objects, _BATCH):
        yield from run_parallel(copy, batch, threads=_THREADS, progress=TransferProgress(None))


def _has(store: ObjectStore, expected: StoredObject) -> bool:
    try:
        return store.head(expected.key).size == expected.size
    except ObjectNotFound:
        return False
