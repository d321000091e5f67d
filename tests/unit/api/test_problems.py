import json
from collections.abc import Callable

import pytest
from django.core.exceptions import DisallowedHost, PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory
from rest_framework import exceptions as rest
from rest_framework import serializers
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api import problems
from api.problems import FieldError, Problem, invalid_field, not_found, problem_of
from storage.errors import ObjectNotFound, StorageRefused, StorageUnavailable
from transcoding.errors import InputRejected


class Size(serializers.Serializer[object]):
    width = serializers.IntegerField(min_value=2)


class Encoding(serializers.Serializer[object]):
    codec = serializers.ChoiceField(["h264", "h265"])
    sizes = Size(many=True, required=False)


class EncodingApi(APIView):
    authentication_classes = ()
    permission_classes = ()
    parser_classes = (JSONParser,)

    def post(self, request: Request) -> Response:
        Encoding(data=request.data).is_valid(raise_exception=True)
        return Response({})


def response_to(body: object, content_type: str = "application/json", method: str = "POST") -> HttpResponse:
    text = body if isinstance(body, str) else json.dumps(body)
    request = RequestFactory().generic(method, "/encodings", text, content_type=content_type)
    response = EncodingApi.as_view()(request)
    assert isinstance(response, HttpResponse)
    return response


def document(response: HttpResponse) -> dict[str, object]:
    assert response.headers["Content-Type"] == "application/problem+json"
    found: dict[str, object] = json.loads(response.content)
    assert found["status"] == response.status_code
    return found


def test_a_problem_document_has_every_member() -> None:
    problem = invalid_field("video", "is required", code="required")
    assert problem.document("/upload") == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "video: is required",
        "instance": "/upload",
        "code": "required",
        "retryable": False,
        "errors": [{"field": "video", "detail": "is required"}],
    }


def test_an_invalid_value_names_its_field() -> None:
    found = document(response_to({"codec": "mpeg1"}))
    assert (found["status"], found["code"], found["instance"]) == (422, "invalid", "/encodings")
    assert found["errors"] == [{"field": "codec", "detail": '"mpeg1" is not a valid choice.'}]


def test_nested_fields_are_dotted() -> None:
    found = document(response_to({"codec": "h264", "sizes": [{"width": 2}, {"width": 1}]}))
    assert [error["field"] for error in found["errors"]] == ["sizes.1.width"]  # type: ignore[attr-defined]


def test_a_body_that_is_no_object_has_an_error_without_a_field() -> None:
    found = document(response_to([1, 2]))
    assert [error["field"] for error in found["errors"]] == [""]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "content_type", "method", "status", "code"),
    [
        ("{", "application/json", "POST", 400, "parse_error"),
        ("<a/>", "application/xml", "POST", 415, "unsupported_media_type"),
        ("", "application/json", "DELETE", 405, "method_not_allowed"),
    ],
)
def test_malformed_requests_are_refused(body: str, content_type: str, method: str, status: int, code: str) -> None:
    found = document(response_to(body, content_type, method))
    assert (found["status"], found["code"]) == (status, code)


def test_a_wrong_method_gets_an_allow_header() -> None:
    assert response_to("", method="DELETE").headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    ("error", "status", "code", "retryable"),
    [
        (not_found("video"), 404, "video_not_found", False),
        (Http404(), 404, "not_found", False),
        (rest.NotAuthenticated(), 401, "not_authenticated", False),
        (rest.NotAcceptable(), 406, "not_acceptable", False),
        (rest.Throttled(3), 429, "throttled", True),
        (PermissionDenied(), 403, "permission_denied", False),
        (RequestDataTooBig(), 413, "too_large", False),
        (DisallowedHost("evil"), 400, "bad_request", False),
        (OperationalError("gone"), 503, "database_unavailable", True),
        (InterfaceError("gone"), 503, "database_unavailable", True),
        (InputRejected("no video track"), 422, "input_rejected", False),
        (StorageUnavailable("a"), 503, "storage_unavailable", True),
        (StorageRefused("a"), 500, "storage_refused", False),
        (ObjectNotFound("a"), 500, "object_not_found", False),
    ],
)
def test_known_exceptions_are_translated(error: Exception, status: int, code: str, retryable: bool) -> None:  # noqa: FBT001
    problem = problem_of(error)
    assert problem is not None
    assert (problem.status, problem.code, problem.retryable) == (status, code, retryable)


@pytest.mark.parametrize("error", [rest.Throttled(3), StorageUnavailable("a")])
def test_retryable_problems_have_retry_after(error: Exception) -> None:
    problem = problem_of(error)
    assert problem is not None
    assert int(problem.headers["Retry-After"]) > 0


def test_internal_errors_reveal_no_details() -> None:
    for error in (StorageRefused("videos/1/source", "SignatureDoesNotMatch"), StorageUnavailable("k", "10.0.0.1")):
        problem = problem_of(error)
        assert problem is not None
        assert not {"videos/1", "Signature", "10.0.0.1"} & set(problem.detail.split())
        assert "Signature" not in problem.detail


def test_a_client_reads_that_it_is_the_store() -> None:
    for error in (StorageRefused("videos/1/source"), StorageUnavailable("videos/1/source")):
        problem = problem_of(error)
        assert problem is not None
        assert "object store" in problem.detail


def test_an_unknown_exception_is_no_problem() -> None:
    assert problem_of(KeyError("x")) is None


HANDLERS: list[tuple[Callable[[HttpRequest], HttpResponse], int]] = [
    (lambda request: problems.handler400(request, DisallowedHost()), 400),
    (lambda request: problems.handler400(request, RequestDataTooBig()), 413),
    (lambda request: problems.handler400(request, KeyError()), 400),
    (lambda request: problems.handler403(request, PermissionDenied()), 403),
    (lambda request: problems.handler404(request, Http404()), 404),
    (problems.handler500, 500),
]


@pytest.mark.parametrize(("handler", "status"), HANDLERS)
def test_django_s_own_errors_are_problems(handler: Callable[[HttpRequest], HttpResponse], status: int) -> None:
    assert document(handler(RequestFactory().get("/x")))["status"] == status


def test_a_problem_is_an_exception_with_its_detail() -> None:
    problem = Problem(status=409, code="busy", detail="The video is busy.", errors=(FieldError("a", "b"),))
    assert str(problem) == "The video is busy."
