"""Comparison of every response in tests with docs/openapi.yaml: status, media type and document.

Stricter than the published schema in one thing: a document has no field that the schema does not name.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import yaml
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

SCHEMA = Path(__file__).parents[1] / "docs/openapi.yaml"
PROBLEM = "application/problem+json"
_URN = "urn:openapi"
_PARAMETER = re.compile(r"\{\w+\}")


class Answer(NamedTuple):
    """A response and its request. The media type is without its parameters."""

    method: str
    path: str
    status: int
    media_type: str
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path} -> {self.status} {self.media_type}"


class Undocumented(AssertionError):
    """The schema has no such response."""


class Conformance:
    """The responses that an OpenAPI document allows."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._webhooks = document.get("webhooks", {})
        self._paths = {_pattern(template): path for template, path in document["paths"].items()}
        closed = {name: _closed(schema) for name, schema in document["components"]["schemas"].items()}
        components = {**document["components"], "schemas": closed}
        resource = DRAFT202012.create_resource({"components": components})
        self._registry: Registry[Any] = Registry().with_resource(_URN, resource)
        self._responses = components["responses"]

    def check(self, answer: Answer) -> None:
        """Raise Undocumented unless the schema has such a response. Unknown operations must respond with a problem."""
        operation = self._operation(answer)
        if operation is None:
            response = self._responses["ProblemDefault"]
        else:
            responses = operation["responses"]
            response = responses.get(str(answer.status)) or responses["default"]
            response = self._responses[response["$ref"].rpartition("/")[2]] if "$ref" in response else response
        content = response.get("content", {})
        if not content and (answer.status < 400 or not answer.body):
            return
        if answer.media_type not in content:
            raise Undocumented(f"{answer}: the schema has {list(content)}")
        if answer.media_type.endswith("json") and answer.method != "HEAD":
            self._validate(answer, content[answer.media_type]["schema"])

    def check_event(self, document: Mapping[str, Any]) -> None:
        """Raise Undocumented unless the schema has such a document of an event."""
        webhook = self._webhooks.get(document["type"])
        if webhook is None:
            raise Undocumented(f"the schema has no webhook {document['type']}")
        schema = webhook["post"]["requestBody"]["content"]["application/json"]["schema"]
        self._errors(f"event {document['type']}", schema, document)

    def _operation(self, answer: Answer) -> Mapping[str, Any] | None:
        method = answer.method.lower()
        found: Mapping[str, Any] = next(
            (path for pattern, path in self._paths.items() if pattern.fullmatch(answer.path)), {}
        )
        return found.get(method) or (found.get("get") if method == "head" else None)

    def _validate(self, answer: Answer, schema: Mapping[str, Any]) -> None:
        self._errors(str(answer), schema, json.loads(answer.body))

    def _errors(self, what: str, schema: Mapping[str, Any], document: object) -> None:
        named = {"$ref": _URN + schema["$ref"]} if "$ref" in schema else schema
        validator = Draft202012Validator(named, registry=self._registry, format_checker=FORMATS)
        wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
        if wrong:
            raise Undocumented("\n".join((what, *wrong)))


@cache
def schema() -> Mapping[str, Any]:
    """Read docs/openapi.yaml."""
    document: Mapping[str, Any] = yaml.load(SCHEMA.read_text(), Loader=yaml.CSafeLoader)
    return document


@cache
def published() -> Conformance:
    """The responses that docs/openapi.yaml allows."""
    return Conformance(schema())


class ConformingResponses:
    """Django middleware that raises Undocumented; pages for browsers and streams are no documents."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        media_type = response.get("Content-Type", "").partition(";")[0]
        if request.path.startswith("/api/v1/") and request.method != "OPTIONS" and media_type != "text/html":
            body = b"" if response.streaming else response.content  # type: ignore[attr-defined]
            published().check(Answer(request.method or "", request.path, response.status_code, media_type, body))
        return response


def _pattern(template: str) -> re.Pattern[str]:
    """Match the paths of a template. Parameters are UUIDs if they are named like one, else words."""
    return re.compile(
        _PARAMETER.sub(lambda found: r"[0-9a-f-]{36}" if found[0].endswith("_id}") else r"[\w-]+", template)
    )


def _closed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Forbid additional properties, inner objects included, unless the schema of the object declares them."""
    if "properties" not in schema:
        return schema
    inner = {name: _closed(each) for name, each in schema["properties"].items()}
    return {"additionalProperties": False, **schema, "properties": inner}


FORMATS = FormatChecker(formats=())


def _formats(name: str, read: Callable[[str], object]) -> None:
    @FORMATS.checks(name, raises=ValueError)
    def check(value: object) -> bool:
        return not isinstance(value, str) or bool(read(value))


def _moment(text: str) -> bool:
    return "T" in text and datetime.fromisoformat(text).tzinfo is not None


def _absolute(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme and parts.netloc)


_formats("uuid", UUID)
_formats("date-time", _moment)
_formats("uri", _absolute)
