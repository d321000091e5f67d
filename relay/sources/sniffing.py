"""Sniffing of live streams: the container by the structure of the first bytes, or that they are no media."""

from relay.errors import SourceNotMedia
from transcoding.sniffing.refused import is_refused, is_text
from transcoding.sniffing.structures import is_flv, is_mov, transport_stream_start

SNIFFED_BYTES = 8 << 10
"""Bytes after which a source that shows no container has none. Eight packets of MPEG-TS, behind a part of one, are
less than 2 KiB."""

SNIFFING_STEP = 64
"""Bytes after which it is worth looking again: a source may send them one by one."""

MAX_LEAD_BYTES = 204
"""A receiver may begin within a packet, of which there are three sizes: 188, 192 and 204 bytes."""

_MIN_BYTES = 12
_MIN_TEXT_BYTES = 64


def container_of(head: bytes, *, ended: bool = False) -> str | None:
    """Name the container of a stream with these first bytes: "mpegts", "flv" or "mp4". None: more must be read first.

    `ended`: there are no more. Raises SourceNotMedia.
    """
    if len(head) >= _MIN_BYTES:
        if is_flv(head):
            return "flv"
        if is_mov(head):
            return "mp4"
        if transport_stream_start(head, MAX_LEAD_BYTES) is not None:
            return "mpegts"
        if is_refused(head) or (len(head) >= _MIN_TEXT_BYTES and is_text(head)):
            raise SourceNotMedia("the source sends a page, a text or an image, and no stream")
    if ended and not head:
        raise SourceNotMedia("the source sends nothing")
    if ended or len(head) >= SNIFFED_BYTES:
        raise SourceNotMedia("the source sends neither MPEG-TS, FLV nor fragmented MP4")
    return None
