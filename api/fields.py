"""Fields of requests that any endpoint may use. They take what the schema says, and nothing that only looks like it."""

import json
import math
from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar, NoReturn

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

_MOST_NAMED = 10
_LONGEST_NAME = 100
LONGEST_EXTERNAL_ID = 255
MAX_METADATA_BYTES = 16 * 1024
MOST_METADATA_NAMES = 100
_DEEPEST = 10


class OneOf(serializers.ChoiceField):
    """A choice whose error names the choices."""

    def fail(self, key: str, **named: object) -> NoReturn:
        if key == "invalid_choice":
            raise serializers.ValidationError(f"must be one of: {', '.join(self.choices)}")
        super().fail(key, **named)


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a typing error must not silently become a default."""

    ALSO_KNOWN: ClassVar[tuple[str, ...]] = ()
    """What is read elsewhere and named in the error, too."""

    def to_internal_value(self, data: object) -> object:
        strange = (name for name in data if name not in self.fields) if isinstance(data, Mapping) else ()
        unknown = list(islice(strange, _MOST_NAMED))  # an answer must not be longer than what was asked
        if unknown:
            known = ", ".join((*self.fields, *self.ALSO_KNOWN))
            raise serializers.ValidationError(
                {str(name)[:_LONGEST_NAME]: [f"unknown field; known are: {known}"] for name in unknown}
            )
        return super().to_internal_value(data)


def whole(data: object) -> int | None:
    """The whole number that this is in JSON, where 5.0 is one and true is none."""
    if isinstance(data, float) and data.is_integer():
        return int(data)
    return data if isinstance(data, int) and not isinstance(data, bool) else None


class WholeNumber(serializers.IntegerField):
    """A JSON number without a fraction; text that looks like one is refused, as the schema says."""

    default_error_messages: ClassVar = {
        "invalid": "must be a whole number",
        "min_value": "must be at least {min_value}",
        "max_value": "must be at most {max_value}",
    }

    def to_internal_value(self, data: float | str) -> int:
        number = whole(data)
        if number is None:
            self.fail("invalid")
        return super().to_internal_value(number)


class YesOrNo(serializers.BooleanField):
    """A JSON boolean; text and numbers that look like one are refused, as the schema says."""

    default_error_messages: ClassVar = {"invalid": "must be true or false"}

    def to_internal_value(self, data: object) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class ExternalId(serializers.CharField):
    """The client's own name for a thing: kept, shown, looked for, never understood."""

    def __init__(self, *, help_text: str = "") -> None:
        super().__init__(
            required=False,
            allow_blank=True,
            max_length=LONGEST_EXTERNAL_ID,
            trim_whitespace=False,
            help_text=help_text or None,
        )


@extend_schema_field({"type": "object", "additionalProperties": True, "maxProperties": MOST_METADATA_NAMES})
class Metadata(serializers.Field[Any, Any, Any, Any]):
    """Whatever a client wants to have kept: a JSON object of bounded size. `reserved` names are the platform's own."""

    def __init__(self, *, reserved: frozenset[str] = frozenset()) -> None:
        super().__init__(required=False, help_text=METADATA_HELP)
        self._reserved = reserved

    def to_internal_value(self, data: object) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be a JSON object")
        _refuse_unstorable(data)
        if len(data) > MOST_METADATA_NAMES or len(json.dumps(data).encode()) > MAX_METADATA_BYTES:
            raise serializers.ValidationError(
                f"may have {MOST_METADATA_NAMES} names and {MAX_METADATA_BYTES} bytes of JSON"
            )
        if taken := sorted(self._reserved & data.keys()):
            raise serializers.ValidationError(f"these names are the platform's own: {', '.join(taken)}")
        return data

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


METADATA_HELP = (
    f"Whatever you want to have kept and shown again: at most {MOST_METADATA_NAMES} names and {MAX_METADATA_BYTES}"
    " bytes of JSON. Names that the platform itself uses are refused."
)


def _refuse_unstorable(value: object, depth: int = 0) -> None:
    """Refuse what is JSON, but not for PostgreSQL, and what nests deeper than anybody means it to."""
    if depth > _DEEPEST:
        raise serializers.ValidationError(f"may nest {_DEEPEST} levels deep")
    if isinstance(value, str) and ("\0" in value or _has_surrogates(value)):
        raise serializers.ValidationError("must not contain NUL or half a surrogate pair")
    if isinstance(value, float) and not math.isfinite(value):
        raise serializers.ValidationError("must not contain numbers that are too large")
    if isinstance(value, dict):
        for name in value:
            _refuse_unstorable(name, depth)
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_unstorable(inner, depth + 1)


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)
