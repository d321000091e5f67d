"""Kinds of usage, as the triggers name them."""

from enum import StrEnum


class UsageKind(StrEnum):
    """`*_bytes` and `videos`: there now, so that deletions are negative. The others: what came, by its day."""

    SOURCE_BYTES = "source_bytes"
    WORKING_COPY_BYTES = "working_copy_bytes"
    SEGMENT_BYTES = "segment_bytes"
    ASSET_BYTES = "asset_bytes"
    THUMBNAIL_BYTES = "thumbnail_bytes"
    TEXT_BYTES = "text_bytes"
    WATERMARK_BYTES = "watermark_bytes"
    VIDEOS = "videos"
    VIDEOS_ADDED = "videos_added"
    SOURCE_MS = "source_ms"
    ENCODED_AUDIO_MS = "encoded_audio_ms"
    ENCODED_SD_MS = "encoded_sd_ms"
    ENCODED_HD_MS = "encoded_hd_ms"
    ENCODED_UHD_MS = "encoded_uhd_ms"


STORED = tuple(kind for kind in UsageKind if kind.endswith("_bytes"))
"""Kinds whose sum is what an owner stores."""
OBJECTS = tuple(kind for kind in STORED if kind not in (UsageKind.TEXT_BYTES, UsageKind.WATERMARK_BYTES))
"""Those of them that are objects in the store; the others are in the database."""
ENCODED = {
    "audio": UsageKind.ENCODED_AUDIO_MS,
    "sd": UsageKind.ENCODED_SD_MS,
    "hd": UsageKind.ENCODED_HD_MS,
    "uhd": UsageKind.ENCODED_UHD_MS,
}
"""Kinds of encoded renditions, by class."""
_MS_PER_MINUTE = 60_000


def minutes(milliseconds: int) -> float:
    """Return minutes, to the hundredth of a second."""
    return round(milliseconds / _MS_PER_MINUTE, 4)
