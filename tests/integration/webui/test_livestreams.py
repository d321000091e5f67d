"""The pages of live streams, without a browser."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access.models import Member
from livestreams.services.publishing import publish_requested
from tests.live_rows import Stream, a_live_stream, a_stream
from tests.rows import an_owner

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> Client:
    user = User.objects.create_user("ada")
    Member.objects.create(user=user, owner=an_owner("acme"))
    browser = Client(headers={"Accept": "text/html"})
    browser.force_login(user)
    return browser


@pytest.fixture
def stream(db: None) -> Stream:
    return a_live_stream(an_owner("acme"))


def page_of(person: Client, path: str) -> str:
    response = person.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_live_streams_are_listed_with_their_state(person: Client, stream: Stream) -> None:
    a_stream(an_owner("other"), name="theirs")
    page = page_of(person, "/livestreams")
    assert f'href="/livestreams/{stream.row.id}">Parliament</a>' in page
    assert 'class="badge good">Live</span>' in page
    assert "theirs" not in page


def test_the_page_of_a_stream_plays_it_and_shows_no_secret(person: Client, stream: Stream) -> None:
    publish_requested(stream.publisher("2", secret="wrong"))
    page = page_of(person, f"/livestreams/{stream.row.id}")
    assert f'data-broadcast="1" data-hls="http://testserver/streams/{stream.row.playback_id}/master.m3u8"' in page
    for said in ("rtmp://127.0.0.1:1935/live", f"key=…{stream.secret[-4:]}", "Stop the broadcast", "203.0.113.9"):
        assert said in page
    assert stream.secret not in page


def test_a_stream_of_another_owner_is_not_found(person: Client) -> None:
    assert person.get(f"/livestreams/{a_stream(an_owner('other')).row.id}").status_code == 404
