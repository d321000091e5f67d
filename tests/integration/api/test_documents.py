"""Every value of an enumeration in the schema is answered, and none that it lacks (the middleware of the tests)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from access.services import default_owner
from events.log import video_event_append
from events.models import Delivery, DeliveryState, EndpointState, WebhookEndpoint
from events.types import EventType
from events.webhooks.fanout import events_fan_out
from events.webhooks.services import endpoint_create
from jobs.leasing.nodes import node_register
from jobs.models import Job, Node, NodeState
from jobs.rules.transitions import JOB_ENDS, JobPhase, JobState
from relay.engines.engine import EngineKind
from relay.models import LiveSession, SessionState
from tests.conformance import schema
from tests.rows import a_job, a_live_session, a_video
from videos.models import Video
from videos.services import generation_complete, generation_mark_playable
from videos.states import VideoState

API = "/api/v1"
pytestmark = pytest.mark.django_db(transaction=True)


def videos() -> Iterator[str]:
    video = a_video()
    for state in VideoState:
        code = "no_video" if state == VideoState.REJECTED else ""
        Video.objects.filter(id=video.id).update(state=state, error_code=code)
        yield f"/videos/{video.id}"


def playbacks() -> Iterator[str]:
    generation = a_job().generation
    assert generation is not None
    url = f"/videos/{generation.video_id}/playback"
    yield url
    generation_mark_playable(generation=generation)
    yield url
    generation_complete(generation=generation, verified=[])
    yield url


def jobs() -> Iterator[str]:
    job = a_job()
    for state in JobState:
        for phase in JobPhase:
            ended = Now() if state in JOB_ENDS else None
            code = "input_corrupt" if state == JobState.FAILED else ""
            Job.objects.filter(id=job.id).update(state=state, phase=phase, finished_at=ended, error_code=code)
            yield f"/jobs/{job.id}"
            yield f"/jobs/{job.id}/outputs"


def webhooks() -> Iterator[str]:
    endpoint = _endpoint()
    for state in EndpointState:
        WebhookEndpoint.objects.filter(id=endpoint.id).update(state=state)
        yield f"/webhooks/{endpoint.id}"


def deliveries() -> Iterator[str]:
    endpoint = _endpoint()
    for type_ in EventType:
        video_event_append(owner_id=endpoint.owner_id, video_id=a_video().id, type=type_)
    events_fan_out()
    for state in DeliveryState:
        Delivery.objects.update(state=state)
        yield f"/webhooks/{endpoint.id}/deliveries?limit=100"


def nodes() -> Iterator[str]:
    node_register(name="node", queues=["cpu"], slots=1, pid=1, info={})
    for state in NodeState:
        Node.objects.update(state=state)
        yield "/workers/health"


def live_sessions() -> Iterator[str]:
    for kind in EngineKind:
        session_id = a_live_session(kind=kind)
        yield f"/live/sessions/{session_id}"
        for state in (SessionState.LIVE, SessionState.ENDED, SessionState.FAILED):
            over = state != SessionState.LIVE
            ended = {"ended_at": Now(), "end_code": "requested"} if over else {}
            LiveSession.objects.filter(id=session_id).update(state=state, **ended)
            yield f"/live/sessions/{session_id}"


def _endpoint() -> WebhookEndpoint:
    endpoint = endpoint_create(
        owner=default_owner(), url="https://example.com/", types=[type_.value for type_ in EventType]
    )
    events_fan_out()
    return endpoint


@pytest.mark.parametrize(
    ("document", "name", "addresses"),
    [
        ("VideoDocument", "status", videos),
        ("PlaybackDocument", "state", playbacks),
        ("PlaybackRendition", "kind", playbacks),
        ("JobDocument", "state", jobs),
        ("JobDocument", "phase", jobs),
        ("OutputsDocument", "state", jobs),
        ("WebhookDocument", "state", webhooks),
        ("WebhookDocument", "types", webhooks),
        ("DeliveryDocument", "state", deliveries),
        ("DeliveryDocument", "event_type", deliveries),
        ("WorkerDocument", "state", nodes),
        ("LiveSessionDocument", "state", live_sessions),
        ("LiveSessionDocument", "engine", live_sessions),
    ],
)
def test_every_documented_value_is_answered(
    client: Client, document: str, name: str, addresses: Callable[[], Iterator[str]]
) -> None:
    answered: set[str] = set()
    for url in addresses():
        response = client.get(API + url)
        answered |= set(values(response.json(), name)) if response.status_code == 200 else set()
    documented = set(enumerated(schema()["components"]["schemas"][document]["properties"][name]))
    assert documented
    assert documented <= answered


def values(document: Any, name: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Find what fields of a name hold, in lists and inner documents too."""
    if isinstance(document, list):
        for each in document:
            yield from values(each, name)
    elif isinstance(document, dict):
        for key, value in document.items():
            if key == name:
                yield from value if isinstance(value, list) else [value]
            yield from values(value, name)


def enumerated(property_: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """List the values of an enumeration, wherever a property refers to one."""
    if isinstance(property_, list):
        for each in property_:
            yield from enumerated(each)
    elif isinstance(property_, dict):
        yield from property_.get("enum", [])
        if "$ref" in property_:
            yield from enumerated(schema()["components"]["schemas"][property_["$ref"].rpartition("/")[2]])
        yield from enumerated([value for key, value in property_.items() if key in ("allOf", "oneOf", "items")])
