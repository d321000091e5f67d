"""Packed B-frames: MPEG-4 in AVI whose packets have two frames, each followed by a packet that has none.

Such packets have no times of their own, and a decoder that starts among them shows the wrong ones.
"""

import re

PACKED_HEAD_BYTES = 1 << 20
"""Number of first bytes that `has_packed_b_frames` reads: the first key frame lies there."""

_USER_DATA = re.compile(rb"\x00\x00\x01\xb2DivX\d{1,4}(?:Build|b)\d{1,6}p", re.ASCII)
"""User data by which encoders say so (also Xvid), with a p at its end, as decoders look for it."""


def has_packed_b_frames(head: bytes) -> bool:
    """Tell whether the MPEG-4 in these first bytes of an AVI says that its B-frames are packed."""
    return _USER_DATA.search(head) is not None
