"""What the OpenAPI schema says of all endpoints alike: pages of lists, and problems for what goes wrong."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from api.pagination import CursorPages
from api.problems import MEDIA_TYPE

PAGE_PARAMETERS = [
    OpenApiParameter("cursor", str, description="Where the page begins, from `next` or `previous`."),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": CursorPages.max_page_size, "default": CursorPages.page_size},
        description="How many results a page holds.",
    ),
    OpenApiParameter(
        "offset",
        {"type": "integer", "minimum": 0, "maximum": CursorPages.offset_cutoff},
        description="How many results to leave out, for a first page. Walking on by `next` is better: it neither "
        "repeats nor hides results while others arrive.",
    ),
]
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="Makes it safe to send the request again: for 24 hours the same request gets the same answer, with "
    "`Idempotent-Replayed: true`, and another one 422. While the first is under way, 409.",
)

_PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance", "code", "retryable"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For people."},
        "instance": {"type": "string", "format": "uri-reference"},
        "code": {"type": "string", "description": "For programs; never changes."},
        "retryable": {"type": "boolean", "description": "Whether the same request may work later."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch"})


def page_of(item: type[serializers.BaseSerializer[Any]]) -> serializers.Serializer[Any]:
    """Describe a page of a list of `item`."""
    return inline_serializer(
        name=f"{item.__name__}Page",
        fields={
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": item(many=True),
        },
    )


def add_problems(result: dict[str, Any], **_context: object) -> dict[str, Any]:
    """Give every operation a default answer, a problem. A drf-spectacular postprocessing hook."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
    answer = {
        "description": "Something is wrong.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path in result.get("paths", {}).values():
        for method in _METHODS & path.keys():
            path[method]["responses"].setdefault("default", answer)
    return result
