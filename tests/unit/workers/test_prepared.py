import tracemalloc
from pathlib import Path

from transcoding.sniffing.container import Container
from workers.source.prepared import prepared

GIF = b"GIF89a\x10\x00\x10\x00\x00\x00\x00"
FRAME = b"\x2c" + bytes(4) + b"\x10\x00\x10\x00\x00" + b"\x02\x03\x01\x02\x03\x00"
DELAY = b"\x21\xf9\x04\x00\x0a\x00\x00\x00"
COMMENT = b"\x21\xfe" + (b"\xff" + bytes(255)) * (8 << 12) + b"\x00"
"""8 MiB."""


def test_a_gif_is_copied_in_pieces(tmp_path: Path) -> None:
    source = tmp_path / "image"
    source.write_bytes(GIF + DELAY + FRAME + COMMENT + FRAME + b";")
    tracemalloc.start()
    try:
        path = prepared(
            source, Container("gif"), tmp_path, media=lambda _: NotImplemented, max_seconds=10, check=lambda: None
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.read_bytes() == GIF + DELAY + FRAME + COMMENT + DELAY + FRAME + b";"
    assert peak < len(COMMENT) // 2
