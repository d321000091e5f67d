"""Query parameters of video lists, and the form fields of uploads."""

from typing import ClassVar

from rest_framework import serializers

from api.fields import Choice, ExternalId, Metadata, StrictSerializer
from api.pagination import LabelledQuery
from videos.states import SHOWN_STATES

INSPECTED = frozenset(
    {"container", "constant_frame_rate", "rotation", "pixel_format", "interlaced", "hdr", "audio_codec"}
    | {"field_order", "loudness", "closed_captions"}
    | {"audio_channels", "color_primaries", "color_transfer", "color_matrix", "color_range"}
)
"""Names of a video's metadata that come from inspection."""


class VideoQuery(LabelledQuery):
    """Filters of a list of videos."""

    status = Choice(choices=SHOWN_STATES, required=False, help_text="Only the videos in this state.")

    LOOKUPS: ClassVar = {**LabelledQuery.LOOKUPS, "status": "state"}


class UploadFields(StrictSerializer):
    """Fields of an upload form beside the file."""

    external_id = ExternalId()
    loudness = serializers.BooleanField(required=False)
    metadata = Metadata(reserved=INSPECTED)
