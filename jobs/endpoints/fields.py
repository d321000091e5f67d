"""Fields of job requests: sizes, priorities, output formats."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.fields import as_integer
from jobs.planning.formats import OUTPUT_FORMATS
from jobs.rules.rank import HIGHEST_PRIORITY, LOWEST_PRIORITY, PRIORITY_NAMES
from transcoding.planning.ladder import parse_size

SMALLEST_SIDE = 16
LARGEST_SIDE = 8192
_MAX_FORMATS = 10
"""Formats in one request; names may repeat."""


class ResolutionField(serializers.CharField):
    """A rung's name ("720p") or WIDTHxHEIGHT."""

    def to_internal_value(self, data: str) -> str:
        text = super().to_internal_value(data)
        try:
            size = parse_size(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None
        sides = (size,) if isinstance(size, int) else (size.width, size.height)
        if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides):
            raise serializers.ValidationError(f"both sides must be from {SMALLEST_SIDE} to {LARGEST_SIDE}")
        return text


@extend_schema_field(
    {
        "oneOf": [
            {"type": "integer", "minimum": LOWEST_PRIORITY, "maximum": HIGHEST_PRIORITY},
            {"type": "string", "enum": list(PRIORITY_NAMES)},
        ]
    }
)
class PriorityField(serializers.Field[int, Any, int, Any]):
    """0 to 100, higher first, or low, medium, high.

    A `priority_scale` in the serializer's context is the highest number instead; numbers are scaled up to 100.
    """

    def to_internal_value(self, data: object) -> int:
        if isinstance(data, str) and data in PRIORITY_NAMES:
            return PRIORITY_NAMES[data]
        highest: int = self.context.get("priority_scale", HIGHEST_PRIORITY)
        number = as_integer(data)
        if number is not None and LOWEST_PRIORITY <= number <= highest:
            return round(number * HIGHEST_PRIORITY / highest)
        names = ", ".join(PRIORITY_NAMES)
        raise serializers.ValidationError(
            f"must be a whole number from {LOWEST_PRIORITY} to {highest}, or one of: {names}"
        )

    def to_representation(self, value: int) -> int:
        return value


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "enum": list(OUTPUT_FORMATS)},
            {
                "type": "array",
                "items": {"type": "string", "enum": list(OUTPUT_FORMATS)},
                "minItems": 1,
                "maxItems": _MAX_FORMATS,
            },
        ]
    }
)
class OutputFormatField(serializers.Field[Any, Any, Any, Any]):
    """One format or a list of them."""

    def to_internal_value(self, data: object) -> object:
        names = [data] if isinstance(data, str) else data
        if isinstance(names, list) and 0 < len(names) <= _MAX_FORMATS and all(name in OUTPUT_FORMATS for name in names):
            return data if isinstance(data, str) else sorted(set(names))
        raise serializers.ValidationError(f"must be one of: {', '.join(OUTPUT_FORMATS)}, or a list of them")

    def to_representation(self, value: object) -> object:
        return value
