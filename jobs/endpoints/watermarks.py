"""The watermark in a request body."""

import unicodedata
from typing import Any

from rest_framework import serializers

from api.fields import Choice, StrictNumber, StrictSerializer
from transcoding.planning.watermarks import DEFAULT_MARGIN, DEFAULT_OPACITY, IMAGE_SCALE, TEXT_SCALE, Position

MAX_TEXT = 100
MIN_SCALE, MAX_SCALE, MAX_MARGIN = 0.01, 1.0, 0.5
_NOT_DRAWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that are no letter or sign on a line: control characters, private ones and such."""


class WatermarkText(serializers.CharField):
    """A line of text, drawn as it is."""

    def to_internal_value(self, data: str) -> str:
        text = super().to_internal_value(data)
        if wrong := next((each for each in text if unicodedata.category(each) in _NOT_DRAWN), None):
            raise serializers.ValidationError(f"has a character that cannot be drawn: U+{ord(wrong):04X}")
        return text


class WatermarkRequest(StrictSerializer):
    """A text or an image on every frame, of the same relative size in every rendition."""

    text = WatermarkText(
        max_length=MAX_TEXT,
        required=False,
        help_text="One line, drawn as it is, in white with a black outline (DejaVu Sans).",
    )
    image = serializers.UUIDField(required=False, help_text="The id of an image that was uploaded for watermarks.")
    position = Choice(
        choices=[position.value for position in Position],
        required=False,
        help_text="Default: bottom-right.",
    )
    opacity = StrictNumber(
        min_value=0,
        max_value=1,
        required=False,
        help_text=f"0 is invisible, 1 hides what is behind it. Default: {DEFAULT_OPACITY}.",
    )
    scale = StrictNumber(
        min_value=MIN_SCALE,
        max_value=MAX_SCALE,
        required=False,
        help_text=f"Size of the letters as a share of the frame's height, or width of the image as a share of the "
        f"frame's width. Default: {TEXT_SCALE}, and {IMAGE_SCALE} of an image.",
    )
    margin = StrictNumber(
        min_value=0,
        max_value=MAX_MARGIN,
        required=False,
        help_text=f"Distance from the edges, as a share of the frame's height. Default: {DEFAULT_MARGIN}.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs.keys() & {"text", "image"}) != 1:
            raise serializers.ValidationError("must have either text or image")
        return {**attrs, "image": str(attrs["image"])} if "image" in attrs else attrs
