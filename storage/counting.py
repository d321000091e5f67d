"""Counts what boto3's clients do, from the events they send."""

import time
from io import BytesIO
from typing import Any, Protocol

from observability import metrics

_WITH_BODY = {"PutObject": "up", "UploadPart": "up", "GetObject": "down"}


class Events(Protocol):
    """What is needed of a client's `meta.events`."""

    def register(self, event_name: str, handler: Any) -> None: ...  # noqa: ANN401 - botocore's


def count_requests(events: Events) -> None:
    """Count operations, how long their answers took to begin, and bytes."""
    events.register("before-call.s3", _begin)
    events.register("after-call.s3", _end)
    events.register("after-call-error.s3", _fail)


def _begin(*, model: Any, params: Any, context: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
    context["vodmill"] = (time.perf_counter(), _sent(params.get("body")), model.name)


def _end(*, http_response: Any, model: Any, context: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
    began, sent, _name = context["vodmill"]
    status = http_response.status_code
    metrics.STORAGE_OPERATIONS.add(operation=model.name, outcome=f"{status // 100}xx")
    metrics.STORAGE_SECONDS.note(time.perf_counter() - began, operation=model.name)
    direction = _WITH_BODY.get(model.name)
    if direction == "up":
        metrics.STORAGE_BYTES.add(sent, direction=direction)
    elif direction == "down":
        metrics.STORAGE_BYTES.add(_length(http_response.headers), direction=direction)


def _fail(*, context: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
    if "vodmill" in context:
        metrics.STORAGE_OPERATIONS.add(operation=context["vodmill"][2], outcome="no answer")


def _sent(body: object) -> int:
    """Ours are bytes in memory, which botocore may have put into a file-like object."""
    if isinstance(body, BytesIO):
        return body.getbuffer().nbytes
    return len(body) if isinstance(body, bytes | bytearray) else 0


def _length(headers: Any) -> int:  # noqa: ANN401 - botocore's
    return int(headers.get("content-length") or 0)
