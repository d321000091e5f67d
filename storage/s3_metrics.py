"""Request metrics of boto3 clients, taken from the events that they emit."""

import time
from collections.abc import Sized
from typing import Any, Protocol

from observability import metrics

_WITH_BODY = {"PutObject": "up", "UploadPart": "up", "GetObject": "down"}

_OPERATIONS = (
    "PutObject", "GetObject", "HeadObject", "DeleteObjects", "ListObjectsV2", "CreateMultipartUpload", "UploadPart",
    "CompleteMultipartUpload", "AbortMultipartUpload", "ListMultipartUploads", "ListParts", "CopyObject",
    "UploadPartCopy",
)  # fmt: skip
metrics.STORAGE_OPERATIONS.expect(operation=_OPERATIONS, outcome=("2xx", "4xx", "5xx", "no answer"))
metrics.STORAGE_SECONDS.expect(operation=_OPERATIONS)


class Events(Protocol):
    """The part of a client's `meta.events` that is used."""

    def register(self, event_name: str, handler: Any) -> None: ...  # noqa: ANN401 - botocore's


def register_request_metrics(events: Events) -> None:
    """Count operations by outcome, seconds to the first byte of the response, and bytes sent and received."""
    events.register("before-call.s3", _begin)
    events.register("after-call.s3", _end)
    events.register("after-call-error.s3", _fail)


def _begin(*, model: Any, params: Any, context: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
    context["vodmill"] = (time.perf_counter(), _sent(params.get("body")), model.name)


def _end(*, http_response: Any, model: Any, context: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
    started, sent, _name = context["vodmill"]
    status = http_response.status_code
    metrics.STORAGE_OPERATIONS.add(operation=model.name, outcome=f"{status // 100}xx")
    metrics.STORAGE_SECONDS.observe(time.perf_counter() - started, operation=model.name)
    direction = _WITH_BODY.get(model.name)
    if direction == "up":
        metrics.STORAGE_BYTES.add(sent, direction=direction)
    elif direction == "down":
        metrics.STORAGE_BYTES.add(_length(http_response.headers), direction=direction)


def _fail(*, context: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
    if "vodmill" in context:
        metrics.STORAGE_OPERATIONS.add(operation=context["vodmill"][2], outcome="no answer")


def _sent(body: object) -> int:
    """Return the size of a request body: bytes, or a `Body`."""
    return len(body) if isinstance(body, Sized) else 0


def _length(headers: Any) -> int:  # noqa: ANN401 - botocore's
    return int(headers.get("content-length") or 0)
