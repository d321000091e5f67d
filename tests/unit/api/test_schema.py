from typing import Any

from rest_framework import serializers

from api.problems import Problem
from api.schema import add_problems, describe_operations, page_of


class Item(serializers.Serializer[object]):
    name = serializers.CharField()


def responses(url: str, **methods: object) -> dict[str, object]:
    """Return the responses of the only operation in the schema."""
    schema = add_problems({"paths": {url: methods}}, generator=None, request=None, public=True)
    (operation,) = schema["paths"][url].values()
    for response in operation["responses"].values():
        if "$ref" in response:
            named = schema["components"]["responses"][response["$ref"].rpartition("/")[2]]
            (content,) = named["content"].items()
            assert content == ("application/problem+json", {"schema": {"$ref": "#/components/schemas/Problem"}})
    found: dict[str, object] = operation["responses"]
    return found


def test_problems_are_added_to_every_operation_without_replacing_its_own() -> None:
    own = {"description": "Its own."}
    assert list(responses("/a", get={"responses": {"200": own}})) == ["200", "503", "default"]
    assert responses("/a", post={"responses": {"default": own}})["default"] == own


def test_the_problems_of_an_operation_follow_from_its_parameters() -> None:
    guarded: dict[str, object] = {"responses": {}, "security": [{"bearer": []}]}
    assert list(responses("/a", get=guarded)) == ["304", "401", "403", "422", "429", "503", "default"]
    filtered = {"responses": {}, "parameters": [{"in": "query", "name": "state"}]}
    assert list(responses("/a", get=filtered)) == ["503", "default"]  # operations without a key refuse none
    created = {"responses": {}, "requestBody": {}, "parameters": [{"in": "header", "name": "Idempotency-Key"}]}
    assert list(responses("/a", post=created)) == ["400", "409", "413", "415", "422", "503", "default"]
    form: dict[str, object] = {"responses": {}, "requestBody": {"content": {"multipart/form-data": {}}}}
    assert list(responses("/a", post=form)) == ["400", "408", "413", "415", "422", "503", "default"]
    stream = {"responses": {"200": {"content": {"text/event-stream": {}}}}, "security": [{"bearer": []}]}
    assert "304" not in responses("/a", get=stream)
    assert list(responses("/a/{id}", delete={"responses": {}})) == ["404", "409", "503", "default"]


def test_the_schema_of_a_problem_is_the_problem() -> None:
    described = add_problems({})["components"]["schemas"]["Problem"]
    document = Problem(status=400, code="c", detail="d").document("/x")
    assert set(described["required"]) == document.keys()
    assert document.keys() | {"details", "errors", "request_id"} == described["properties"].keys()


def test_a_page_has_results_next_and_previous() -> None:
    assert list(page_of(Item).fields) == ["next", "previous", "results"]


def described(description: str = "Show it.", **more: object) -> dict[str, Any]:
    """Return the only operation after the texts of it are completed."""
    operation = {"description": description, "security": [{"bearer": ["a:read"]}, {"header": ["a:read"]}]}
    schema = {"paths": {"/a": {"get": {"responses": {}, **operation, **more}}}}
    found: dict[str, Any] = describe_operations(schema, generator=None)["paths"]["/a"]["get"]
    return found


def test_the_first_paragraph_of_a_docstring_is_the_summary() -> None:
    operation = described("Show it,\nall of it.\n\nIt is long.\n\nAnd wide.")
    assert operation["summary"] == "Show it, all of it"
    assert operation["description"] == "It is long.\n\nAnd wide.\n\nRequires the scope `a:read`."
    assert operation["security"] == [{"bearer": []}, {"header": []}]


def test_parameters_in_paths_and_successful_responses_are_described() -> None:
    given = [{"in": "path", "name": "video_id"}, {"in": "path", "name": "n", "description": "own"}]
    assert [each["description"] for each in described(parameters=given)["parameters"]] == [
        "The `id` of the video.",
        "own",
    ]
    page = {"application/json": {"schema": {"$ref": "#/components/schemas/APage"}}}
    responses = {
        "200": {"description": "", "content": page},
        "201": {"description": "own"},
        "204": {"description": ""},
        "404": {"$ref": "#/components/responses/Problem404"},
    }
    assert described(responses=responses)["responses"] == {
        "200": {"description": "A page of the list.", "content": page},
        "201": {"description": "own"},
        "204": {"description": "Done; there is no body."},
        "404": {"$ref": "#/components/responses/Problem404"},
    }
