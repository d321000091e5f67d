"""An uploaded file on its way into the store, beside the other requests of its process."""

import asyncio
from pathlib import Path

from storage.local import LocalStore
from storage.stream import IncomingObject, UploadPool
from tests.unit.transcoding.builders import box
from transcoding.sniffing.container import HEAD_BYTES
from videos.uploads.incoming import IncomingFile

HEAD = (box("ftyp", b"isom" + bytes(4)) + box("mdat", bytes(HEAD_BYTES)))[:HEAD_BYTES]


def test_other_requests_go_on_while_the_first_bytes_are_looked_at(tmp_path: Path) -> None:
    """Bytes that begin like many containers take a fifth of a second."""

    async def scenario() -> int:
        store = LocalStore(tmp_path, part_bytes=4 * HEAD_BYTES)
        pool = UploadPool(1, memory_bytes=10 << 20)
        file = IncomingFile(IncomingObject(store, "source", "", pool=pool, parallel_parts=1))
        turns = 0

        async def another() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        other = asyncio.create_task(another())
        await asyncio.sleep(0)
        before = turns
        await file.write(memoryview(HEAD))
        other.cancel()
        return turns - before

    assert asyncio.run(scenario()) > 0
