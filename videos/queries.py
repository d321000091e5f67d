"""Query parameters of videos, and the form fields of uploads."""

from typing import ClassVar

from rest_framework import serializers
from rest_framework.request import Request

from api.fields import Choice, ExternalId, Metadata, StrictSerializer
from api.pagination import LabelledQuery
from videos.states import SHOWN_STATES

MAX_PLAYBACK_SECONDS = 365 * 86_400
"""A year: of URLs in pages that nobody writes again, which can be revoked."""
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


class PlaybackQuery(StrictSerializer):
    """Lifetime of playback URLs."""

    seconds = serializers.IntegerField(
        min_value=60,
        max_value=MAX_PLAYBACK_SECONDS,
        required=False,
        help_text="Time for which the URLs work at least; up to an eighth longer. Without it, as long as it takes to"
        " watch the video twice, and `TRANSCODER_PLAYBACK_TOKEN_SECONDS` at least.",
    )

    @classmethod
    def of(cls, request: Request) -> int | None:
        """Read the time from the query of a request. Raises ValidationError."""
        query = cls(data={name: value for name, value in request.query_params.items() if name != "format"})
        query.is_valid(raise_exception=True)
        seconds: int | None = query.validated_data.get("seconds")
        return seconds


class UploadFields(StrictSerializer):
    """Fields of an upload form beside the file."""

    external_id = ExternalId()
    loudness = serializers.BooleanField(required=False)
    metadata = Metadata(reserved=INSPECTED)
