"""Modes of everything that `make run` writes: keys, the database, logs, sockets, other people's videos."""

import stat
from collections.abc import Iterator
from pathlib import Path

from embedded.client import Client
from embedded.home import Home
from tests.acceptance.playing import finished

OTHERS = stat.S_IRWXG | stat.S_IRWXO
HANDED_OVER = {"sources", "steps"}
"""Folders of scratch that are private themselves: a jailed child with a uid of its own may read files in them."""
OF_THE_TEST = {"bin"}
DESCRIPTORS = ".vif"
"""SeaweedFS gives the descriptors of its volumes a mode of its own. They hold no content, and their folder is private.
"""


def written(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_symlink() or path.name in OF_THE_TEST:
            continue
        yield path
        if path.is_dir() and not (path.parent.name == "scratch" and path.name in HANDED_OVER):
            yield from written(path)


def test_nobody_else_can_enter_or_read_anything(client: Client, home: Home, clip: Path) -> None:
    job = finished(client, client.transcode(client.upload(clip, lambda _: None)["id"], {"preset": "ultrafast"}))
    assert job["state"] == "completed", job["error"]
    assert home.folder.stat().st_mode & OTHERS == 0
    modes = {path.relative_to(home.folder).as_posix(): path.stat().st_mode for path in written(home.folder)}
    assert {"state.json", "logs/worker.log", "redis/redis.conf", "seaweedfs/s3.json", "scratch/sources"} <= modes.keys()
    assert any(name.startswith("postgresql/data/base/") for name in modes)
    assert any(name.startswith("seaweedfs/data/") for name in modes)
    assert [name for name, mode in modes.items() if mode & OTHERS and not name.endswith(DESCRIPTORS)] == []
