import json

import pytest

from tests.conformance import PROBLEM, Answer, Conformance, Undocumented, published

DOCUMENT = {
    "paths": {
        "/a/{a_id}": {
            "get": {
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}},
                    "204": {"description": "Nothing."},
                    "default": {"$ref": "#/components/responses/ProblemDefault"},
                }
            }
        }
    },
    "components": {
        "schemas": {
            "A": {
                "type": "object",
                "required": ["at", "state"],
                "properties": {
                    "at": {"type": ["string", "null"], "format": "date-time"},
                    "state": {"$ref": "#/components/schemas/State"},
                    "url": {"type": "string", "format": "uri"},
                },
            },
            "State": {"enum": ["here", "there"], "type": "string"},
            "Problem": {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}},
        },
        "responses": {
            "ProblemDefault": {"content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}},
        },
    },
}
PATH = "/a/7c9e6679-7425-40de-944b-e07fc1f90ae7"


def check(
    document: object, *, method: str = "GET", path: str = PATH, status: int = 200, media_type: str = "application/json"
) -> None:
    Conformance(DOCUMENT).check(Answer(method, path, status, media_type, json.dumps(document).encode()))


@pytest.mark.parametrize(
    "document",
    [
        {"at": None, "state": "here"},
        {"at": "2026-01-31T12:00:00Z", "state": "there"},
        {"at": None, "state": "here", "url": "https://a.example/b"},
    ],
)
def test_a_documented_response_passes(document: object) -> None:
    check(document)


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ({"at": None, "state": "elsewhere"}, "'elsewhere' is not one of"),
        ({"at": None, "state": None}, "None is not one of"),
        ({"state": "here"}, "'at' is a required property"),
        ({"at": "2026-01-31", "state": "here"}, "is not a 'date-time'"),
        ({"at": "2026-01-31T12:00:00", "state": "here"}, "is not a 'date-time'"),
        ({"at": None, "state": "here", "url": "/b"}, "is not a 'uri'"),
        ({"at": None, "state": "here", "more": 1}, "'more' was unexpected"),
    ],
)
def test_a_value_that_the_schema_lacks_is_undocumented(document: object, wrong: str) -> None:
    with pytest.raises(Undocumented, match=wrong):
        check(document)


def test_every_other_status_is_a_problem() -> None:
    check({"code": "gone"}, status=410, media_type=PROBLEM)
    with pytest.raises(Undocumented):
        check({"code": "gone"}, status=410)
    with pytest.raises(Undocumented):
        check({"cod": "gone"}, status=410, media_type=PROBLEM)


def test_other_paths_and_methods_answer_with_problems_only() -> None:
    check({"code": "not_found"}, path="/b", status=404, media_type=PROBLEM)
    check({"code": "not_allowed"}, method="PUT", status=405, media_type=PROBLEM)
    with pytest.raises(Undocumented):
        check({"at": None, "state": "here"}, path="/b")


def test_a_response_without_a_body_needs_no_schema() -> None:
    Conformance(DOCUMENT).check(Answer("GET", PATH, 204, "", b""))


def test_the_published_schema_is_read() -> None:
    published().check(Answer("DELETE", "/api/v1" + PATH.replace("/a/", "/videos/"), 204, "", b""))
