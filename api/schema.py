"""Parts of the OpenAPI document that all endpoints share: pages of lists, problems, descriptions."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from api.pagination import CursorPages
from api.problems import MEDIA_TYPE

PAGE_PARAMETERS = [
    OpenApiParameter("cursor", str, description="Start of the page, from `next` or `previous`."),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": CursorPages.max_page_size, "default": CursorPages.page_size},
        description="Number of results of a page.",
    ),
    OpenApiParameter(
        "offset",
        {"type": "integer", "minimum": 0, "maximum": CursorPages.offset_cutoff},
        description="Number of results to skip, for a first page. Prefer `next`, which neither repeats nor hides "
        "results while others are created.",
    ),
]
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="Makes it safe to repeat the request: for 24 hours the same request gets the same response, with "
    "`Idempotent-Replayed: true`, and a different one 422. While the first one is still running, 409.",
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
        "retryable": {"type": "boolean", "description": "The same request may succeed later."},
        "request_id": {"type": "string", "description": "Of this request, as in `X-Request-ID`; for the operators."},
        "details": {"type": "string", "description": "Words of the program that failed, if one did."},
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
_PROBLEMS = {
    "400": "The request is malformed.",
    "401": "The key is missing or does not work.",
    "403": "The key lacks the scope.",
    "404": "It does not exist, or it belongs to another owner.",
    "408": "The client stopped sending, or sent too slowly. Nothing was stored.",
    "409": "Its state does not allow this, or a request with this Idempotency-Key is still running.",
    "413": "The body is too large.",
    "415": "The body is of another media type.",
    "422": "A field or parameter is invalid (see `errors`), or the Idempotency-Key was used for another request.",
    "429": "Too many requests; `Retry-After` has the seconds until the next one is accepted.",
    "503": "A part of the platform is unavailable; try again later.",
    "default": "Another error.",
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


class _Endpoints(EndpointEnumerator):
    """Lists HEAD, too, where a view does something of its own for it. Others answer it as GET, without the body."""

    def get_allowed_methods(self, callback: Any) -> list[str]:  # noqa: ANN401 - a view, as Django has it
        own = ["HEAD"] if hasattr(callback.cls, "head") else []
        return [*super().get_allowed_methods(callback), *own]  # type: ignore[no-untyped-call]


class DocumentGenerator(SchemaGenerator):
    """Generator of the OpenAPI document."""

    endpoint_inspector_cls = _Endpoints


@cache
def page_of(item: type[serializers.BaseSerializer[Any]]) -> serializers.Serializer[Any]:
    """Build the serializer of a page of `item`."""
    return inline_serializer(
        name=f"{item.__name__}Page",
        fields={
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": item(many=True),
        },
    )


def add_problems(result: dict[str, Any], **_context: object) -> dict[str, Any]:
    """Add the problems to every operation. A drf-spectacular postprocessing hook."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    components["responses"] = {_component(status): _response(about) for status, about in _PROBLEMS.items()}
    for url, path in result.get("paths", {}).items():
        for method in _METHODS & path.keys():
            if _takes_a_form(path[method]):
                path[method]["requestBody"]["required"] = True  # drf-spectacular cannot know
            responses: dict[str, Any] = path[method]["responses"]
            for status in _expected_statuses(url, method, path[method]):
                responses.setdefault(status, {"$ref": f"#/components/responses/{_component(status)}"})
            if method == "get" and "security" in path[method] and _is_document(responses.get("200", {})):
                responses.setdefault("304", {"description": "Nothing changed since the `ETag` in `If-None-Match`."})
            path[method]["responses"] = dict(sorted(responses.items()))
    return result


def describe_operations(result: dict[str, Any], **_context: object) -> dict[str, Any]:
    """Complete the descriptions of every operation: summary, scope, path parameters, successful responses.

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
                    identity = "name" if noun == parameter["name"] else "id"
                    parameter.setdefault("description", f"The `{identity}` of the {noun}.")
            for status, response in operation["responses"].items():
                if "$ref" not in response:
                    response["description"] = response.get("description") or _success(status, response)
    return result


def _scopes(operation: Mapping[str, Any]) -> str:
    """Move the scopes from the security requirements, where only OAuth may have them, into a sentence."""
    needed = {scope: None for each in operation["security"] for scopes in each.values() for scope in scopes}
    operation["security"][:] = [{name: [] for name in each} for each in operation["security"]]
    return f"Requires the scope {' and '.join(f'`{scope}`' for scope in needed)}." if needed else "Requires a key."


def _success(status: str, response: Mapping[str, Any]) -> str:
    (kind, content), *_ = response.get("content", {"": {}}).items()
    if kind == _STREAM_TYPE:
        return _STREAM
    if kind == "application/octet-stream" and status == "200":
        return _FILE
    return _PAGE if content.get("schema", {}).get("$ref", "").endswith("Page") else _SUCCESS[status]


def _expected_statuses(url: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the statuses of problems that an operation can respond with."""
    parameters = {(each["in"], each["name"]) for each in operation.get("parameters", [])}
    idempotent = ("header", IDEMPOTENCY_KEY.name) in parameters
    yield from ("503", "default")
    if "security" in operation:
        yield from ("401", "403", "429")
    if "{" in url:
        yield "404"
    if idempotent or ("{" in url and method != "get"):
        yield "409"
    if "requestBody" in operation:
        yield from ("400", "413", "415")
    if _takes_a_form(operation):
        yield "408"
    if idempotent or "requestBody" in operation or "security" in operation:
        yield "422"


def _takes_a_form(operation: Mapping[str, Any]) -> bool:
    return "multipart/form-data" in operation.get("requestBody", {}).get("content", ())


def _is_document(response: Mapping[str, Any]) -> bool:
    """Return True for a document, which has an ETag, but not for a stream or a file."""
    return "application/json" in response.get("content", {"application/json": None})


def _component(status: str) -> str:
    return f"Problem{status.capitalize()}"


def _response(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
