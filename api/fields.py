"""Serializer fields for requests of all endpoints. They accept exactly the types that the schema names."""

import json
import math
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar, NoReturn

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

_MAX_UNKNOWN_NAMES = 10
_MAX_NAME_LENGTH = 100
MAX_EXTERNAL_ID_LENGTH = 255
MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_NAMES = 100
_MAX_DEPTH = 10
_CHECKSUM = re.compile(r"sha256:([0-9a-fA-F]{64})")


class Choice(serializers.ChoiceField):
    """ChoiceField with an error message that lists the choices."""

    def fail(self, key: str, **named: object) -> NoReturn:
        if key == "invalid_choice":
            raise serializers.ValidationError(f"must be one of: {', '.join(self.choices)}")
        super().fail(key, **named)


class StrictSerializer(serializers.Serializer[Any]):
    """Serializer that refuses unknown fields: a misspelt name must not silently mean the default."""

    ALSO_KNOWN: ClassVar[tuple[str, ...]] = ()
    """Names that are read elsewhere, for the list of known fields in the error."""

    def to_internal_value(self, data: object) -> object:
        unknown_names = (name for name in data if name not in self.fields) if isinstance(data, Mapping) else ()
        unknown = list(islice(unknown_names, _MAX_UNKNOWN_NAMES))  # limits the size of the error
        if unknown:
            known = ", ".join((*self.fields, *self.ALSO_KNOWN))
            raise serializers.ValidationError(
                {str(name)[:_MAX_NAME_LENGTH]: [f"unknown field; known are: {known}"] for name in unknown}
            )
        return super().to_internal_value(data)


def as_integer(data: object) -> int | None:
    """Return a JSON value as an integer, or None if it is none. 5.0 is an integer in JSON, true is not."""
    if isinstance(data, float) and data.is_integer():
        return int(data)
    return data if isinstance(data, int) and not isinstance(data, bool) else None


class StrictInteger(serializers.IntegerField):
    """IntegerField for JSON numbers only; strings of digits are refused."""

    default_error_messages: ClassVar = {
        "invalid": "must be a whole number",
        "min_value": "must be at least {min_value}",
        "max_value": "must be at most {max_value}",
    }

    def to_internal_value(self, data: float | str) -> int:
        number = as_integer(data)
        if number is None:
            self.fail("invalid")
        return super().to_internal_value(number)


class StrictNumber(serializers.FloatField):
    """FloatField for JSON numbers only; strings, and numbers beyond all bounds, are refused."""

    default_error_messages: ClassVar = {
        "invalid": "must be a number",
        "overflow": "must be a number",
        "min_value": "must be at least {min_value}",
        "max_value": "must be at most {max_value}",
    }

    def to_internal_value(self, data: object) -> float:
        if not isinstance(data, int | float) or isinstance(data, bool):
            self.fail("invalid")
        number = super().to_internal_value(data)
        if not math.isfinite(number):
            self.fail("invalid")
        return number


class StrictBoolean(serializers.BooleanField):
    """BooleanField for true and false only; strings and numbers are refused."""

    default_error_messages: ClassVar = {"invalid": "must be true or false"}

    def to_internal_value(self, data: object) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class ExternalId(serializers.CharField):
    """Identifier of the client's own choice, which is stored, shown and searched for, but not interpreted."""

    def __init__(self, *, help_text: str = "") -> None:
        super().__init__(
            required=False,
            allow_blank=True,
            max_length=MAX_EXTERNAL_ID_LENGTH,
            trim_whitespace=False,
            help_text=help_text or None,
        )


class Checksum(serializers.CharField):
    """Checksum of a whole file, such as `sha256:9f86…`. The value is its digest in lower-case hexadecimal."""

    default_error_messages: ClassVar = {"form": "must be sha256: and 64 hexadecimal digits"}

    def to_internal_value(self, data: str) -> str:
        matched = _CHECKSUM.fullmatch(super().to_internal_value(data))
        if matched is None:
            self.fail("form")
        return matched[1].lower()


@extend_schema_field({"type": "object", "additionalProperties": True, "maxProperties": MAX_METADATA_NAMES})
class Metadata(serializers.Field[Any, Any, Any, Any]):
    """JSON object of the client's own data, limited in size. Names in `reserved` are refused."""

    def __init__(self, *, reserved: frozenset[str] = frozenset()) -> None:
        super().__init__(required=False, help_text=METADATA_HELP)
        self._reserved = reserved

    def to_internal_value(self, data: object) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be a JSON object")
        _refuse_unstorable(data)
        if len(data) > MAX_METADATA_NAMES or len(json.dumps(data).encode()) > MAX_METADATA_BYTES:
            raise serializers.ValidationError(
                f"may have {MAX_METADATA_NAMES} names and {MAX_METADATA_BYTES} bytes of JSON"
            )
        if taken := sorted(self._reserved & data.keys()):
            raise serializers.ValidationError(f"these names are the platform's own: {', '.join(taken)}")
        return data

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


METADATA_HELP = (
    f"Your own data, stored and shown unchanged: at most {MAX_METADATA_NAMES} names and {MAX_METADATA_BYTES} bytes of"
    " JSON. Names that the platform itself uses are refused."
)


def _refuse_unstorable(value: object, depth: int = 0) -> None:
    """Refuse JSON that PostgreSQL cannot store, and more than `_MAX_DEPTH` levels. Raises ValidationError."""
    if depth > _MAX_DEPTH:
        raise serializers.ValidationError(f"may nest {_MAX_DEPTH} levels deep")
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
