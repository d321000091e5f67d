"""What the OpenAPI schema says of all endpoints alike: pages of lists, and problems for what goes wrong."""

from collections.abc import Iterator, Mapping
from functools import cache
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
_WRONG = {
    "400": "The request is malformed.",
    "401": "The key is missing or does not work.",
    "403": "The key lacks the scope.",
    "404": "There is no such thing, or it belongs to another owner.",
    "408": "The client stopped sending, or sent too slowly. Nothing was kept.",
    "409": "It is not in a state for this, or a request with this Idempotency-Key is under way.",
    "413": "The body is too large.",
    "415": "The body is of another media type.",
    "422": "A field is wrong (`errors` says which and why), or the Idempotency-Key was used for another request.",
    "429": "Too many requests; `Retry-After` says when to come back.",
    "503": "A part of the platform is away; try again later.",
    "default": "Something else is wrong.",
}
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch"})
_STREAM_TYPE = "text/event-stream"
_SUCCESS = {
    "200": "The document as it is now.",
    "201": "Created; `Location` has its URL, and the body shows it.",
    "202": "Accepted; the document shows it as it is now.",
    "206": "The part of the file that was requested.",
    "204": "Done; there is no body.",
}
_PAGE = "A page of the list."
_STREAM = "A stream of server-sent events that stays open."
_FILE = "The bytes of the file."


@cache
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
    """Say of every operation what can go wrong: problems all. A drf-spectacular postprocessing hook."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    components["responses"] = {_component(status): _answer(about) for status, about in _WRONG.items()}
    for address, path in result.get("paths", {}).items():
        for method in _METHODS & path.keys():
            if _takes_a_form(path[method]):
                path[method]["requestBody"]["required"] = True  # drf-spectacular cannot know
            responses: dict[str, Any] = path[method]["responses"]
            for status in _expected(address, method, path[method]):
                responses.setdefault(status, {"$ref": f"#/components/responses/{_component(status)}"})
            if method == "get" and "security" in path[method] and _is_document(responses.get("200", {})):
                responses.setdefault("304", {"description": "Nothing changed since the `ETag` in `If-None-Match`."})
            path[method]["responses"] = dict(sorted(responses.items()))
    return result


def describe_operations(result: dict[str, Any], **_context: object) -> dict[str, Any]:
    """Complete the texts of every operation: a summary, the scope, path parameters, successful responses.

    The first paragraph of a view's docstring is the summary and the rest the description. A drf-spectacular
    postprocessing hook.
    """
    for path in result.get("paths", {}).values():
        for method in _METHODS & path.keys():
            operation = path[method]
            summary, _, more = operation["description"].partition("\n\n")
            operation["description"] = "\n\n".join(filter(None, (more, _scopes(operation))))
            path[method] = {"summary": " ".join(summary.split()).removesuffix("."), **operation}
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    noun = parameter["name"].removesuffix("_id")
                    parameter.setdefault("description", f"The `id` of the {noun}.")
            for status, response in operation["responses"].items():
                if "$ref" not in response:
                    response["description"] = response.get("description") or _success(status, response)
    return result


def _scopes(operation: Mapping[str, Any]) -> str:
    """Move the scopes from the security requirements, where only OAuth has them, into words."""
    needed = {scope: None for each in operation["security"] for scopes in each.values() for scope in scopes}
    operation["security"][:] = [{name: [] for name in each} for each in operation["security"]]
    return f"Needs the scope {' and '.join(f'`{scope}`' for scope in needed)}."


def _success(status: str, response: Mapping[str, Any]) -> str:
    (kind, content), *_ = response.get("content", {"": {}}).items()
    if kind == _STREAM_TYPE:
        return _STREAM
    if kind == "application/octet-stream" and status == "200":
        return _FILE
    return _PAGE if content.get("schema", {}).get("$ref", "").endswith("Page") else _SUCCESS[status]


def _expected(address: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    """The statuses of problems that a client of this operation should be ready for."""
    parameters = {(each["in"], each["name"]) for each in operation.get("parameters", [])}
    once = ("header", IDEMPOTENCY_KEY.name) in parameters
    yield from ("503", "default")
    if "security" in operation:
        yield from ("401", "403", "429")
    if "{" in address:
        yield "404"
    if once or ("{" in address and method != "get"):
        yield "409"
    if "requestBody" in operation:
        yield from ("400", "413", "415")
    if _takes_a_form(operation):
        yield "408"
    if once or "requestBody" in operation or any(place == "query" for place, _ in parameters):
        yield "422"


def _takes_a_form(operation: Mapping[str, Any]) -> bool:
    return "multipart/form-data" in operation.get("requestBody", {}).get("content", ())


def _is_document(answer: Mapping[str, Any]) -> bool:
    """Whether it is a document, which has an ETag, and not a stream or a file."""
    return "application/json" in answer.get("content", {"application/json": None})


def _component(status: str) -> str:
    return f"Problem{status.capitalize()}"


def _answer(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
