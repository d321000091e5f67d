"""Base of all views of the API."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView as RestView

MAX_UNKNOWN_NAMES = 10
MAX_NAME_LENGTH = 100
_FORMAT = "format"


class APIView(RestView):
    """REST framework's view, which refuses query parameters that the schema of its method does not have.

    `format=json` is always accepted: it shows a document in a browser as it is.
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - REST framework's signature
        super().initial(request, *args, **kwargs)
        if not hasattr(self, (request.method or "").lower()):
            return  # 405, whatever the query says
        check_query(request.query_params, query_parameters(type(self), request.method or ""))  # type: ignore[arg-type]  # classes have a hash


def check_query(query: Mapping[str, str], known: frozenset[str]) -> None:
    """Raise ValidationError, which names the parameters that are not known."""
    unknown = [name for name in query if name not in known and name != _FORMAT][:MAX_UNKNOWN_NAMES]
    if unknown:
        others = f"; known are: {', '.join(sorted(known))}" if known else "; there are none here"
        raise ValidationError({name[:MAX_NAME_LENGTH]: [f"unknown parameter{others}"] for name in unknown})
    if query.get(_FORMAT, "json") != "json":
        raise ValidationError({_FORMAT: ["must be json"]})


@cache
def query_parameters(view: Callable[[], RestView], method: str) -> frozenset[str]:
    """Return the names of the query parameters that `extend_schema` gives to a method of a class of views."""
    handler = getattr(view, "get" if method == "HEAD" else method.lower(), None)
    described = getattr(handler, "kwargs", {}).get("schema")
    if described is None:
        return frozenset()
    schema = described()
    schema.view, schema.method = view(), method
    schema.view.request, schema.view.kwargs = None, {}
    return frozenset(_names(schema.get_override_parameters()))


def _names(parameters: list[Any]) -> Iterator[str]:
    for each in parameters:
        if not isinstance(each, OpenApiParameter):
            yield from (each() if isinstance(each, type) else each).fields
        elif each.location == OpenApiParameter.QUERY:
            yield each.name
