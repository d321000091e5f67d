"""Schemas of the documents of events, as webhooks of the OpenAPI document: one for each type.

`jobs.reports.event_documents` renders these documents, and wherever something happens adds its own `data`.
"""

from collections.abc import Mapping
from typing import Any

from events.types import TEST_TYPE, EventType
from videos.states import TextOrigin

_Schema = Mapping[str, Any]

_UUID: _Schema = {"type": "string", "format": "uuid"}
_TIME: _Schema = {"type": "string", "format": "date-time"}
_COUNT: _Schema = {"type": "integer", "minimum": 0}
_TEXT: _Schema = {"type": "string"}
_URL: _Schema = {"type": "string", "format": "uri-reference"}
_LABELS: Mapping[str, _Schema] = {
    "external_id": {"type": ["string", "null"], "description": "Your own name for it."},
    "metadata": {"type": "object", "additionalProperties": True, "description": "Your own data about it."},
}


def _object(properties: Mapping[str, _Schema], *, optional: tuple[str, ...] = (), description: str = "") -> _Schema:
    """Build the schema of an object that has all of these properties, but for the optional ones."""
    required = [name for name in properties if name not in optional]
    about = {"description": description} if description else {}
    return {"type": "object", **about, "required": required, "properties": dict(properties)}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_PARTS: Mapping[str, _Schema] = {
    "EventLinks": _object(
        dict.fromkeys(("video", "playback", "job", "outputs"), _URL),
        optional=("job", "outputs"),
        description="URLs of the documents that show more, under the public URL of the installation. Paths, where it"
        " has none.",
    ),
    "EventVideo": _object(_LABELS, description="The labels of the job's video."),
    "EventPlayback": _object(
        {"hls_url": _URL, "dash_url": {"type": ["string", "null"], "format": "uri-reference"}, "expires_at": _TIME},
        description="Signed when the event is sent. They work without credentials until they expire.",
    ),
    "EventText": _object(
        {
            "id": _UUID,
            "name": {**_TEXT, "description": "Its part of playback URLs."},
            "language": {**_TEXT, "description": "A tag by BCP 47."},
            "label": _TEXT,
            "forced": {"type": "boolean"},
            "sdh": {"type": "boolean"},
            "origin": {"type": "string", "enum": [origin.value for origin in TextOrigin]},
            "stream": {"type": ["integer", "null"], "description": "Index of the stream of an embedded one."},
        },
        description="Subtitles or captions of a video.",
    ),
    "EventLiveLinks": _object(
        {"session": _URL}, description="URL of the document of the session, which is deleted a week after its end."
    ),
    "EventLiveFallback": _object(
        {"code": {**_TEXT, "description": "Why, such as `hardware_unavailable`."}, "detail": _TEXT},
        description="The stream is not served in the preferred way.",
    ),
    "EventError": _object(
        {
            "code": _TEXT,
            "detail": _TEXT,
            "details": {**_TEXT, "description": "The words of the program that failed."},
            "retryable": {"type": "boolean"},
        },
        optional=("details", "retryable"),
    ),
}
_TEXT_DATA: Mapping[str, _Schema] = {"text": _ref("EventText")}
_GENERATION: Mapping[str, _Schema] = {"generation": {"type": "integer", "minimum": 1}}
_CONTINUES: Mapping[str, _Schema] = {"continues_generation": {"type": ["integer", "null"], "minimum": 1}}
_PLAYBACK: Mapping[str, _Schema] = {"playback": {"oneOf": [_ref("EventPlayback"), {"type": "null"}]}}
_ERROR: Mapping[str, _Schema] = {"error": _ref("EventError")}
_DESTINATION: Mapping[str, _Schema] = {"bucket": _TEXT, "prefix": _TEXT}
_PRIORITY: _Schema = {"type": "integer", "minimum": 0, "maximum": 100}

_OF_VIDEO: Mapping[str, _Schema] = {"video_id": _UUID, **_LABELS, "links": _ref("EventLinks")}
_OF_JOB: Mapping[str, _Schema] = {
    "video_id": _UUID,
    "job_id": _UUID,
    "seq": {"type": "integer", "minimum": 1, "description": "Counts the events of the job without gaps."},
    **_LABELS,
    "video": _ref("EventVideo"),
    "links": _ref("EventLinks"),
}
_OF_LIVE_SESSION: Mapping[str, _Schema] = {
    "session_id": _UUID,
    "engine": {"type": "string", "enum": ["transcode", "remux"]},
    "profile": _TEXT,
    "node": _TEXT,
    "source_url": {**_TEXT, "description": "Scheme, host and file of the source; empty: the viewer sent it."},
    "links": _ref("EventLiveLinks"),
}
_LIVESTREAM: Mapping[str, _Schema] = {
    "livestream_id": _UUID,
    "name": {**_TEXT, "description": "Of the live stream."},
}
_OF_BROADCAST: Mapping[str, _Schema] = {
    **_OF_VIDEO,
    **_LIVESTREAM,
    "broadcast": {"type": "integer", "minimum": 1, "description": "Its number, among those of the live stream."},
}
_LIVE_COUNTS: Mapping[str, _Schema] = {
    "seconds": {"type": "number", "minimum": 0, "description": "From the request to the end."},
    "bytes_in": _COUNT,
    "bytes_out": _COUNT,
}

_OPTIONAL = ("rendition", "warnings")
"""Properties of `data` that are not always there."""
_Data = Mapping[str, _Schema]

EVENTS: Mapping[str, tuple[str, _Data]] = {
    EventType.VIDEO_UPLOADED.value: ("An upload is complete", _OF_VIDEO),
    EventType.VIDEO_JOINED.value: (
        "The source of a video that joins others is made",
        {**_OF_VIDEO, "parts": {"type": "integer", "minimum": 2}},
    ),
    EventType.VIDEO_IMPORTED.value: ("The source of a video was fetched", {**_OF_VIDEO, "size": _COUNT}),
    EventType.VIDEO_READY.value: (
        "A video is inspected and can be transcoded",
        {**_OF_VIDEO, "warnings": {"type": "array", "items": _ref("SourceWarningDocument")}},
    ),
    EventType.VIDEO_REJECTED.value: ("A video is unusable", {**_OF_VIDEO, **_ERROR}),
    EventType.VIDEO_THUMBNAILS_READY.value: (
        "The images of a video are made: poster, thumbnails, sprite sheets, preview",
        {**_OF_VIDEO, "images": _COUNT},
    ),
    EventType.VIDEO_THUMBNAILS_FAILED.value: ("The images of a video cannot be made", {**_OF_VIDEO, **_ERROR}),
    EventType.VIDEO_TEXT_ADDED.value: (
        "Subtitles or captions were uploaded, or found in the file of a video",
        {**_OF_VIDEO, **_TEXT_DATA},
    ),
    EventType.VIDEO_TEXT_READY.value: ("Players get a text of a video", {**_OF_VIDEO, **_TEXT_DATA}),
    EventType.VIDEO_TEXT_FAILED.value: (
        "A text in the file of a video cannot be extracted",
        {**_OF_VIDEO, **_TEXT_DATA, **_ERROR},
    ),
    EventType.VIDEO_TEXT_DELETED.value: ("A text of a video is deleted", {**_OF_VIDEO, **_TEXT_DATA}),
    EventType.VIDEO_SOURCE_DELETED.value: ("The source of a video is deleted, and nothing else", _OF_VIDEO),
    EventType.VIDEO_DELETED.value: ("A video and all of its files are deleted", _OF_VIDEO),
    EventType.JOB_QUEUED.value: ("A job is accepted", _OF_JOB),
    EventType.JOB_WAITING.value: (
        "A job requires a device that is not there, or other jobs of its owner have to end first",
        {**_OF_JOB, "for": {"type": "string", "enum": ["gpu", "budget"]}},
    ),
    EventType.JOB_PLANNED.value: ("The steps of a job are created", {**_OF_JOB, **_GENERATION, "steps": _COUNT}),
    EventType.JOB_STARTED.value: ("The first step of a job runs", _OF_JOB),
    EventType.JOB_PLAYABLE.value: (
        "Players can start while the rest is encoded",
        {**_OF_JOB, **_GENERATION, **_PLAYBACK},
    ),
    EventType.JOB_PROGRESS.value: (
        "A job has advanced",
        {
            **_OF_JOB,
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            "speed": {"type": ["number", "null"], "description": "Seconds of video per second."},
            "eta_seconds": {"type": ["integer", "null"]},
        },
    ),
    EventType.JOB_PAUSED.value: ("A job is paused", _OF_JOB),
    EventType.JOB_RESUMED.value: ("A paused job goes on", {**_OF_JOB, **_CONTINUES}),
    EventType.JOB_REPRIORITIZED.value: ("A job has another priority", {**_OF_JOB, "from": _PRIORITY, "to": _PRIORITY}),
    EventType.JOB_FELL_BACK.value: (
        "The CPU encodes what a GPU was to encode",
        {
            **_OF_JOB,
            "from_generation": {"type": "integer", "minimum": 1},
            "reason": {"type": "string", "description": "Why no GPU was used, or the error code of its failure."},
        },
    ),
    EventType.JOB_RETRIED.value: ("A failed or cancelled job is queued again", {**_OF_JOB, **_CONTINUES}),
    EventType.JOB_COMPLETED.value: ("All outputs of a job are verified", {**_OF_JOB, **_GENERATION, **_PLAYBACK}),
    EventType.JOB_FAILED.value: ("A job has failed", {**_OF_JOB, **_ERROR}),
    EventType.JOB_CANCELLED.value: ("A job is cancelled", _OF_JOB),
    EventType.JOB_DELIVERED.value: (
        "The outputs of a job are in the bucket that it names",
        {**_OF_JOB, **_DESTINATION, "files": _COUNT, "bytes": _COUNT},
    ),
    EventType.JOB_DELIVERY_FAILED.value: (
        "The outputs of a job cannot be delivered to the bucket that it names",
        {**_OF_JOB, **_DESTINATION, **_ERROR},
    ),
    EventType.JOB_OUTPUTS_DELETED.value: (
        "Outputs of a job are deleted",
        {
            **_OF_JOB,
            "generations": {"type": "array", "items": {"type": "integer", "minimum": 1}},
            "rendition": {"type": "string", "description": "The one that was deleted; otherwise all of them."},
        },
    ),
    EventType.JOB_DELETED.value: ("A job is deleted, with everything that it made", _OF_JOB),
    EventType.LIVE_SESSION_STARTED.value: (
        "Viewers get the first bytes of a live stream",
        {
            **_OF_LIVE_SESSION,
            "encoder": _TEXT,
            "fallback": {"oneOf": [_ref("EventLiveFallback"), {"type": "null"}]},
        },
    ),
    EventType.LIVE_SESSION_ENDED.value: (
        "A live stream has ended",
        {
            **_OF_LIVE_SESSION,
            **_LIVE_COUNTS,
            "reason": {"type": "string", "description": "`viewers_gone`, `source_ended`, `requested` or `draining`."},
        },
    ),
    EventType.LIVE_SESSION_FAILED.value: (
        "A live stream cannot start, or broke off",
        {**_OF_LIVE_SESSION, **_LIVE_COUNTS, **_ERROR},
    ),
    EventType.LIVESTREAM_STARTING.value: ("A publisher is let in; players have nothing yet", _OF_BROADCAST),
    EventType.LIVESTREAM_LIVE.value: ("Players can start", _OF_BROADCAST),
    EventType.LIVESTREAM_RECONNECTING.value: (
        "The publisher has left, and may return to the same broadcast",
        {**_OF_BROADCAST, "reconnect_seconds": _COUNT},
    ),
    EventType.LIVESTREAM_ENDED.value: (
        "A broadcast is over, and its recording complete if there is one",
        {
            **_OF_BROADCAST,
            "recorded": {"type": "boolean"},
            "error": {"oneOf": [_ref("EventError"), {"type": "null"}], "description": "Why it was ended, if by us."},
        },
    ),
    EventType.LIVESTREAM_FAILED.value: ("Nothing of a broadcast can be played", {**_OF_BROADCAST, **_ERROR}),
    EventType.LIVESTREAM_PUBLISH_REFUSED.value: (
        "A publisher was not let in, or is dropped",
        {**_LIVESTREAM, **_ERROR, "publisher_address": _TEXT},
    ),
    EventType.LIVESTREAM_CONNECTION_LOST.value: ("Nothing arrives from the publisher", _OF_BROADCAST),
    EventType.LIVESTREAM_CONNECTION_RESTORED.value: ("Something arrives again", _OF_BROADCAST),
    EventType.LIVESTREAM_BITRATE_CHANGE.value: (
        "The publisher sends at half as much again, or at two thirds, of what it did",
        {**_OF_BROADCAST, "bitrate": _COUNT, "previous_bitrate": _COUNT},
    ),
    EventType.LIVESTREAM_BUFFER_UNDERFLOW.value: (
        "The publisher sends too slowly",
        {**_OF_BROADCAST, "silent_seconds": {"type": "number", "minimum": 0}},
    ),
    EventType.LIVESTREAM_PUSH_STARTED.value: (
        "The broadcast is sent on to another server",
        {**_OF_BROADCAST, "push_id": {"type": "string"}},
    ),
    EventType.LIVESTREAM_PUSH_FAILED.value: (
        "Another server does not take the broadcast; it is tried again",
        {**_OF_BROADCAST, "push_id": {"type": "string"}, "error": {"type": "string"}},
    ),
    TEST_TYPE: ("A test of this endpoint was requested", {"webhook_id": _UUID}),
}
"""By type: a summary, and the properties of its `data`."""


def add_webhooks(result: dict[str, Any], **_context: object) -> dict[str, Any]:
    """Add the webhooks and the schemas of their documents. A drf-spectacular postprocessing hook."""
    components = result.setdefault("components", {})
    documents = {_component(type_): _document(type_, data) for type_, (_, data) in EVENTS.items()}
    components["schemas"] = {**components.get("schemas", {}), **_PARTS, **documents}
    components["parameters"] = {**components.get("parameters", {}), **_HEADERS}
    result["webhooks"] = {type_: {"post": _operation(type_, summary)} for type_, (summary, _) in EVENTS.items()}
    return result


def _component(type_: str) -> str:
    """Name a type's document: `job.fell_back` is a `JobFellBackEvent`."""
    return "".join(word.capitalize() for word in type_.replace(".", "_").split("_")) + "Event"


def _document(type_: str, data: _Data) -> _Schema:
    return _object(
        {
            "id": {**_UUID, "description": "The same in streams and webhooks, and for every attempt."},
            "type": {"type": "string", "enum": [type_]},
            "timestamp": _TIME,
            "data": _object(data, optional=_OPTIONAL),
        }
    )


def _header(name: str, description: str, *, required: bool = True) -> _Schema:
    return {"in": "header", "name": name, "required": required, "schema": _TEXT, "description": description}


_HEADERS: Mapping[str, _Schema] = {
    "WebhookId": _header("webhook-id", "The same for every attempt."),
    "WebhookTimestamp": _header("webhook-timestamp", "Seconds since 1970, when this attempt was signed."),
    "WebhookSignature": _header("webhook-signature", "Signatures of the Standard Webhooks specification."),
    "Sha256Signature": _header(
        "X-Webhook-Signature",
        "`sha256=` and the HMAC-SHA256 of the body, in hexadecimal, with the text of the secret as its key. Sent to"
        " endpoints with `sha256_signature`.",
        required=False,
    ),
}


def _operation(type_: str, summary: str) -> _Schema:
    return {
        "operationId": f"on_{type_.replace('.', '_')}",
        "summary": summary,
        "description": "Posted to webhook endpoints that receive this type. Event streams send the same document.",
        "tags": ["webhooks"],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in _HEADERS],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(_component(type_))}}},
        "responses": {
            "2XX": {"description": "Accepted. Any other status, redirects too, has it sent again."},
            "410": {"description": "Nothing shall be sent here any more: the endpoint is disabled."},
        },
    }
