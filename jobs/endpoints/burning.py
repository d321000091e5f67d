"""The subtitles to burn in, in a request body."""

from typing import Any

from rest_framework import serializers

from api.fields import StrictInteger, StrictSerializer

_MAX_NAME = 36
"""Characters of an id; a tag of a language is shorter."""
_LARGEST_STREAM = 65_535


class BurnInRequest(StrictSerializer):
    """Subtitles that are drawn on every rendition. Players do not list them again."""

    text = serializers.CharField(
        max_length=_MAX_NAME,
        required=False,
        help_text="A text of the video: its id, or its language, such as de; of several the default, else the first.",
    )
    stream = StrictInteger(
        min_value=0,
        max_value=_LARGEST_STREAM,
        required=False,
        help_text="Instead: the text of a stream in the file, or its images (`hdmv_pgs_subtitle`, `dvd_subtitle`,"
        " `dvb_subtitle`), by its `index` in `streams` of the video.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("must have either text or stream")
        return attrs
