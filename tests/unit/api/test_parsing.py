import io

import pytest
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from api.pagination import CursorPages
from api.parsing import ShallowJson


def test_json_that_nests_too_deeply_is_a_bad_request() -> None:
    assert ShallowJson().parse(io.BytesIO(b'{"a": [1]}')) == {"a": [1]}
    with pytest.raises(ParseError, match="too deeply"):
        ShallowJson().parse(io.BytesIO(b"[" * 100_000))


def test_a_limit_of_thousands_of_digits_is_invalid() -> None:
    request = Request(APIRequestFactory().get("/", {"limit": "1" * 5000}))
    with pytest.raises(ValidationError):
        CursorPages().get_page_size(request)
