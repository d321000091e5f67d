"""Request bodies about thumbnails: of a job that makes them too, and of new ones."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.fields import StrictInteger, StrictNumber, StrictSerializer
from transcoding.planning.thumbnails import DEFAULT_COUNT, MAX_THUMBNAILS, MAX_WIDTH, MIN_WIDTH


class ThumbnailOptions(StrictSerializer):
    """The thumbnails that a job requests."""

    count = StrictInteger(
        min_value=1, max_value=MAX_THUMBNAILS, required=False, help_text=f"Their number. Default: {DEFAULT_COUNT}."
    )
    width = StrictInteger(
        min_value=MIN_WIDTH,
        max_value=MAX_WIDTH,
        required=False,
        help_text="Pixels, up to the width of the largest rendition. Default: as large as fits into 320x180.",
    )


@extend_schema_field(
    {
        "oneOf": [
            {"type": "boolean"},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "count": {"type": "integer", "minimum": 1, "maximum": MAX_THUMBNAILS},
                    "width": {"type": "integer", "minimum": MIN_WIDTH, "maximum": MAX_WIDTH},
                },
            },
        ]
    }
)
class ThumbnailsField(serializers.Field[Any, Any, Any, Any]):
    """true, false, or an object of options."""

    def to_internal_value(self, data: object) -> object:
        if isinstance(data, bool):
            return data
        if not isinstance(data, Mapping):
            raise serializers.ValidationError("must be true, false, or an object with count and width")
        options = ThumbnailOptions(data=data)
        options.is_valid(raise_exception=True)
        return dict(options.validated_data)

    def to_representation(self, value: object) -> object:
        return value


class ThumbnailsRequest(ThumbnailOptions):
    """New thumbnails of a video; poster, sprite sheets and preview are made again with them."""

    times = serializers.ListField(
        child=StrictNumber(min_value=0),
        min_length=1,
        max_length=MAX_THUMBNAILS,
        required=False,
        help_text="Their moments in seconds, within the video. Default: they are chosen for what they show.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "times" in attrs and "count" in attrs:
            raise serializers.ValidationError({"count": ["cannot be combined with times"]})
        return attrs
