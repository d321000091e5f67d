"""I-frame playlists: the key frames of a rendition as byte ranges of its segments (RFC 8216, section 4.3.3.6).

Players show them while a viewer scrubs, or plays at many times the speed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from transcoding.manifests.hls.media import whole_playlist
from transcoding.manifests.names import segment_name


@dataclass(frozen=True, slots=True, kw_only=True)
class IFrame:
    """A key frame: `size` bytes from `offset` of its segment on, shown for `duration` seconds: until the next one."""

    segment: int
    offset: int
    size: int
    duration: Fraction


def iframe_playlist(frames: Iterable[IFrame], *, target_seconds: int, complete: bool) -> str:
    """Render the I-frame playlist of one rendition, whose URLs are relative like those in its media playlist.

    It grows like that one. Behind the init segment, each byte range decodes to its frame.
    """
    entries = (
        f"#EXTINF:{float(frame.duration):.6f},\n"
        f"#EXT-X-BYTERANGE:{frame.size}@{frame.offset}\n"
        f"{segment_name(frame.segment)}"
        for frame in frames
    )
    return whole_playlist(entries, target_seconds=target_seconds, complete=complete, tags=["#EXT-X-I-FRAMES-ONLY"])
