"""Admin pages of live streams: health, broadcasts, refusals, and the action that stops one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client

from livestreams.models import Broadcast
from livestreams.services.publishing import publish_requested
from tests.live_rows import Stream, a_live_stream

pytestmark = pytest.mark.django_db
PUSH = [{"id": "9f86d081", "name": "tube", "url": "rtmps://live.example.org/app/s3cr3t"}]


@pytest.fixture
def stream(db: None) -> Stream:
    return a_live_stream(push=PUSH)


def page_of(stream: Stream) -> str:
    return f"/admin/livestreams/livestream/{stream.row.id}/change/"


def test_the_page_of_a_stream_has_health_broadcasts_and_refusals_and_no_secret(
    operator: Client, stream: Stream
) -> None:
    Broadcast.objects.update(health={"bitrate": 6_190_000, "renditions": ["360p"]}, health_at=datetime.now(UTC))
    publish_requested(stream.publisher("2", secret="wrong"))
    page = operator.get(page_of(stream)).content.decode()
    for said in (
        "6190000",
        "360p",
        str(stream.broadcast.video_id),
        "wrong_key",
        "203.0.113.9",
        "rtmps://live.example.org/…",
    ):
        assert said in page
    for secret in ("s3cr3t", stream.secret, stream.row.key_sha256):
        assert secret not in page


def test_the_page_of_a_broadcast_has_its_periods(operator: Client, stream: Stream) -> None:
    page = operator.get(f"/admin/livestreams/broadcast/{stream.broadcast.id}/change/").content.decode()
    for said in ("Periods, newest first", "Parliament", str(stream.broadcast.job_id)):
        assert said in page


def test_a_stream_is_stopped_after_a_confirmation(operator: Client, stream: Stream) -> None:
    path = page_of(stream).replace("/change/", "/operate/stop/")
    assert "The publisher is dropped" in operator.post(path).content.decode()
    assert stream.broadcast.stop_requested_at is None
    assert "Stop: done." in operator.post(path, {"confirmed": "yes"}, follow=True).content.decode()
    assert stream.broadcast.stop_requested_at is not None
