"""Parser of the multipart form of an upload, as it arrives: one file in the field `video`, and fields about it.

Everything but the file is small and held in memory.
"""

import json
from collections.abc import Sequence
from typing import Any
from unicodedata import category

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.fields import MAX_EXTERNAL_ID_LENGTH, MAX_METADATA_BYTES
from api.problems import Problem, invalid_field
from videos.queries import UploadFields

FIELD = "video"
MAX_BOUNDARY = 70  # RFC 2046
MAX_HEADERS = 8
MAX_HEADER_BYTES = 8192
MAX_FILENAME = 255
MAX_EXTENSION = 16
MAX_FIELD_BYTES = {"external_id": 4 * MAX_EXTERNAL_ID_LENGTH, "metadata": MAX_METADATA_BYTES, "loudness": 5}
NO_NAME = "unnamed"
UNPRINTABLE = frozenset({"Cc", "Zl", "Zp"})
"""Control characters and line ends. Marks of writing direction stay: names in Hebrew and Arabic need them."""


class VideoForm:
    """Incremental parser: `feed` takes pieces of the body and returns the bytes of the file in them.

    `fields` are the other fields so far. Raises Problem for everything that is not one file, and REST framework's
    ValidationError for a wrong field.
    """

    def __init__(self, content_type: str | None) -> None:
        self.filename: str | None = None
        self.fields: dict[str, Any] = {}
        self._field = ""
        self._value = b""
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._arrived: list[memoryview] = []
        self._ended = False
        self._parser = MultipartParser(
            _boundary(content_type),
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value_goes_on,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._part_ends,
                "on_end": self._end,
            },
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )

    def feed(self, body: bytes) -> Sequence[memoryview]:
        """Parse the next piece of the body and return the bytes of the file in it."""
        self._arrived = []
        try:
            self._parser.write(body)
        except FormParserError as error:
            raise _malformed(str(error)) from error
        return self._arrived

    def close(self) -> None:
        """End the body. Raises Problem if the form is not complete."""
        if not self._ended:
            raise _malformed("it ends before its last boundary")
        if self.filename is None:
            raise invalid_field(FIELD, "is required", code="required")

    def _part_begins(self) -> None:
        self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_value_goes_on(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode(errors="replace")
        if name == FIELD:
            self._file_begins(options)
        elif name in MAX_FIELD_BYTES:
            self._field_begins(name)
        else:
            known = ", ".join(f"`{field}`" for field in (FIELD, *MAX_FIELD_BYTES))
            raise invalid_field(name, f"is not a field of this form; known are: {known}", code="unknown_field")

    def _file_begins(self, options: dict[bytes, bytes]) -> None:
        if b"filename" not in options:
            raise invalid_field(FIELD, "must be a file")
        if self.filename is not None:
            raise invalid_field(FIELD, "must be one file, not several")
        self.filename = clean_filename(options[b"filename"])

    def _field_begins(self, name: str) -> None:
        if name in self.fields:
            raise invalid_field(name, "may be there once")
        self._field = name

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._field:
            self._arrived.append(memoryview(data)[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES[self._field]:
            raise invalid_field(self._field, f"may have {MAX_FIELD_BYTES[self._field]} bytes")

    def _part_ends(self) -> None:
        if self._field:
            self.fields[self._field] = _field_value(self._field, self._value)
        self._field, self._value = "", b""

    def _end(self) -> None:
        self._ended = True


def clean_filename(raw: bytes) -> str:
    """Clean a file's name as text. Nothing ever opens a path made of it.

    Control characters are removed, because PostgreSQL takes no NUL and terminals execute the rest. The middle of a long
    name is cut out.
    """
    name = "".join(letter for letter in raw.decode(errors="replace") if category(letter) not in UNPRINTABLE)
    if len(name) > MAX_FILENAME:
        stem, dot, extension = name.rpartition(".")
        suffix = dot + extension if stem and len(extension) <= MAX_EXTENSION else ""
        name = name[: MAX_FILENAME - len(suffix)] + suffix
    return name or NO_NAME


def _field_value(name: str, raw: bytes) -> Any:  # noqa: ANN401 - text or JSON
    try:
        value = json.loads(raw) if name == "metadata" else raw.decode()
    except (ValueError, RecursionError):
        raise invalid_field(name, "must be JSON" if name == "metadata" else "must be UTF-8") from None
    checked = UploadFields(data={name: value})
    checked.is_valid(raise_exception=True)
    return checked.validated_data[name]


def _boundary(content_type: str | None) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise Problem(
            status=415, code="unsupported_media_type", detail="The body must be multipart/form-data.",
        )  # fmt: skip
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= MAX_BOUNDARY:
        raise _malformed(f"its boundary must have 1 to {MAX_BOUNDARY} characters")
    return boundary


def _malformed(reason: str) -> Problem:
    return Problem(status=400, code="malformed_form", detail=f"The multipart form is malformed: {reason}.")
