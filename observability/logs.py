"""Structured logging: each log line is a JSON object with a message and fields."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}  # attributes of every record
_HIDDEN = frozenset({"request"})  # of Django's own lines: an object whose text has a URL
_PLAY = re.compile(r"/play/+[^/\\\s\"'?#&<]+", re.IGNORECASE)
_TOKEN = re.compile(r"[0-9a-f]{32}-[0-9a-f]{6,16}\.[\w-]{27,}", re.IGNORECASE)
_SEPARATORS = re.compile(r"([\s\"'<>\\]+)")
"""Characters that end a URL in a log line."""
_ENCODINGS = 5
"""Times that a text may be percent-encoded over again; text that still is one after that is left out."""
_bound: ContextVar[dict[str, object] | None] = ContextVar("bound log fields", default=None)


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add these fields to every line that is logged inside, in this thread or task."""
    token = _bound.set({**(_bound.get() or {}), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def bound_field(name: str) -> object:
    """Return the value of a bound field of this thread or task, or None."""
    return (_bound.get() or {}).get(name)


class JsonFormatter(logging.Formatter):
    """Format a record as one line of JSON: time, level, logger, message, bound fields, `extra` fields, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **(_bound.get() or {}),
            **{name: value for name, value in vars(record).items() if name not in _ORDINARY | _HIDDEN},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # In the whole text: a traceback and any field can contain a URL, whose token is a credential.
        return _without_tokens(json.dumps(line, default=str, ensure_ascii=False))


def _without_tokens(line: str) -> str:
    """Replace playback tokens in a line of JSON: in paths, queries and URLs within, percent-encoded ones too."""
    if "%" in line:  # split, since one expression for it all would take quadratic time
        line = "".join(_decoded(part) if "%" in part else part for part in _SEPARATORS.split(line))
    return _TOKEN.sub("…", _PLAY.sub("/play/…", line))


def _decoded(text: str) -> str:
    """Decode percent-encoded text that has a token. Any other is returned as it is."""
    decoded = text
    for _ in range(_ENCODINGS):
        before, decoded = decoded, unquote(decoded)
        if decoded == before:
            return text
        if _PLAY.search(decoded) or _TOKEN.search(decoded):
            return json.dumps(_without_tokens(decoded), ensure_ascii=False)[1:-1]
    return "…" if unquote(decoded) != decoded else text


def logging_settings(level: str) -> dict[str, Any]:
    """Build Django's LOGGING: everything from `level` on, to standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        # Django's own handlers would only print these a second time.
        "loggers": {
            "django": {"handlers": [], "level": level, "propagate": True},
            # There are thousands of tickets, and the lines of the steps already say what they do.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }
