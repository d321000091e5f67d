"""States and kinds of videos, generations, renditions and assets."""

from enum import StrEnum


class VideoState(StrEnum):
    """Life of a video: its source arrives, then it is inspected (ready or rejected), then perhaps deleted.

    A broadcast is live, then ready.
    """

    JOINING = "joining"
    """Its source is being made of those of other videos."""
    IMPORTING = "importing"
    """Its source is being fetched."""
    VERIFYING = "verifying"
    """Its source is there, and is being compared with the checksum that its client promised."""
    LIVE = "live"
    """It is being broadcast: its source arrives, is encoded and is gone."""
    UPLOADED = "uploaded"
    READY = "ready"
    REJECTED = "rejected"
    DELETING = "deleting"
    DELETED = "deleted"


HIDDEN_STATES = frozenset({VideoState.DELETING, VideoState.DELETED})
"""States of videos that their owner no longer sees."""
SHOWN_STATES = tuple(state.value for state in VideoState if state not in HIDDEN_STATES)

UNSOURCED_STATES = frozenset({VideoState.JOINING, VideoState.IMPORTING, VideoState.VERIFYING, VideoState.LIVE})
"""States of videos before `uploaded`: a step makes their source, or checks it, and nobody gets it meanwhile.

Of a broadcast nobody ever does.
"""


class UploadProtocol(StrEnum):
    """The way in which a client sends the bytes of an upload."""

    PARTS = "parts"
    TUS = "tus"


class UploadState(StrEnum):
    """Life of an upload. All but `open` and `verifying` are final."""

    OPEN = "open"
    """Parts may arrive."""
    VERIFYING = "verifying"
    """All has arrived, and a step compares it with the promised checksum."""
    READY = "ready"
    """It is a video."""
    FAILED = "failed"
    """The file cannot be used: `error_code` says why."""
    ABORTED = "aborted"
    EXPIRED = "expired"


COMPLETE_STATES = frozenset({UploadState.VERIFYING, UploadState.READY})
"""States of uploads of which all has arrived: there is a video."""


class GenerationState(StrEnum):
    """Life of a generation: it is built and becomes complete, or its job ends before that and it is abandoned.

    A retry may build an abandoned generation further. Of a deleted one the row is left, so that its number, which is
    part of keys and of playback URLs, is never used again.
    """

    BUILDING = "building"
    COMPLETE = "complete"
    ABANDONED = "abandoned"
    DELETED = "deleted"


GONE_STATES = frozenset({GenerationState.ABANDONED, GenerationState.DELETED})
"""States of generations that players cannot have."""


class RenditionState(StrEnum):
    """Completed: everything that the rendition promises is published and verified."""

    PENDING = "pending"
    COMPLETED = "completed"


class RenditionKind(StrEnum):
    VIDEO = "video"
    AUDIO = "audio"


class TextOrigin(StrEnum):
    """The file that a text comes from: one of its own, or a stream of the video's."""

    UPLOADED = "uploaded"
    EMBEDDED = "embedded"


class TextState(StrEnum):
    """Life of a text: an embedded one is extracted first, which may fail."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class AssetKind(StrEnum):
    """Kinds of files that are made of a video beside its segments and manifests."""

    MP4 = "mp4"
    """Progressive MP4 of one video rendition, with the audio."""
    M4A = "m4a"
    """One audio rendition alone, in MP4."""


class ThumbnailState(StrEnum):
    """Life of the images of a video, apart from that of its jobs.

    Images that were made once stay while others are made, or if that fails.
    """

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    """There is nothing to show: the video is audio alone."""
