"""What clients may ask of videos, and send with them."""

from typing import ClassVar

from api.fields import ExternalId, Metadata, OneOf, StrictSerializer
from api.pagination import LabelledQuery
from videos.states import SHOWN_STATES

INSPECTED = frozenset(
    {"container", "constant_frame_rate", "rotation", "pixel_format", "interlaced", "hdr", "audio_codec"}
    | {"audio_channels"}
)
"""Names of a video's metadata that come from inspection."""


class VideoQuery(LabelledQuery):
    """How a list of videos may be narrowed down."""

    status = OneOf(choices=SHOWN_STATES, required=False, help_text="Only the videos in this state.")

    LOOKUPS: ClassVar = {**LabelledQuery.LOOKUPS, "status": "state"}


class UploadFields(StrictSerializer):
    """What a form may say of its file."""

    external_id = ExternalId()
    metadata = Metadata(reserved=INSPECTED)
