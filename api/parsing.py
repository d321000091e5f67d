"""Parser of request bodies."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import DataAndFiles, JSONParser, MultiPartParser

from api.problems import Problem


class ShallowJson(JSONParser):
    """JSON parser that refuses compressed bodies (415) and JSON that nests too deeply (400)."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        _refuse_compressed(parser_context)
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("the JSON nests too deeply") from None


class SmallForm(MultiPartParser):
    """Parser of forms with a file that is no larger than any body is; refuses compressed bodies (415)."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> "DataAndFiles[Any, Any]":
        _refuse_compressed(parser_context)
        return super().parse(stream, media_type, parser_context)


def _refuse_compressed(parser_context: Mapping[str, Any] | None) -> None:
    if parser_context and parser_context["request"].headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(status=415, code="unsupported_media_type", detail="The body must not be compressed.")
