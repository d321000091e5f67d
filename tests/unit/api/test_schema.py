from rest_framework import serializers

from api.problems import Problem
from api.schema import add_problems, page_of


class Item(serializers.Serializer[object]):
    name = serializers.CharField()


def test_every_operation_may_answer_with_a_problem() -> None:
    own = {"description": "Its own."}
    paths = {"/a": {"get": {"responses": {}}, "parameters": []}, "/b": {"post": {"responses": {"default": own}}}}
    schema = add_problems({"paths": paths}, generator=None, request=None, public=True)
    answer = schema["paths"]["/a"]["get"]["responses"]["default"]
    assert answer["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert schema["paths"]["/b"]["post"]["responses"]["default"] == own


def test_the_schema_of_a_problem_is_the_problem() -> None:
    described = add_problems({})["components"]["schemas"]["Problem"]
    document = Problem(status=400, code="c", detail="d").document("/x")
    assert set(described["required"]) == document.keys()
    assert document.keys() | {"errors"} == described["properties"].keys()


def test_a_page_has_results_and_ways_on() -> None:
    assert list(page_of(Item).fields) == ["next", "previous", "results"]
