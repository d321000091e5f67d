"""The pages of people, without a browser: whom they are shown to, and what they say."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access.models import Member
from tests.rows import a_job, a_video, an_owner
from videos.models import Video
from webui.library import PAGE_SIZE
from webui.urls import urlpatterns

pytestmark = pytest.mark.django_db

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def person() -> Client:
    user = User.objects.create_user("ada")
    Member.objects.create(user=user, owner=an_owner("acme"))
    browser = Client(headers={"Accept": BROWSER})
    browser.force_login(user)
    return browser


def a_named_video(name: str, *, owner: str = "acme", **fields: object) -> Video:
    video = a_video(an_owner(owner))
    Video.objects.filter(id=video.id).update(filename=name, **fields)
    return video


def page_of(person: Client, path: str) -> str:
    response = person.get(path)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "private, no-store"
    return response.content.decode()


def test_the_front_page_is_for_people_who_are_logged_in() -> None:
    stranger = Client(headers={"Accept": BROWSER})
    assert stranger.get("/").headers["Location"] == "/api/login?next=/"
    page = stranger.get("/", follow=True).content.decode()
    assert 'name="next" value="/"' in page
    assert "Sign in" in page


def test_every_page_requires_a_login() -> None:
    for pattern in map(str, (each.pattern for each in urlpatterns)):
        if pattern.startswith("watch/"):
            continue  # whoever has the link may watch
        path = re.sub(r"<uuid:\w+>", str(uuid4()), pattern).replace("<str:kind>", "mp4")
        response = Client().get("/" + path.replace("<slug:name>", "360p"))
        assert response.headers["Location"].startswith("/api/login?next=/"), path


def test_a_person_without_an_owner_reads_what_to_do() -> None:
    browser = Client(headers={"Accept": BROWSER})
    browser.force_login(User.objects.create_user("bob"))
    response = browser.get("/")
    assert response.status_code == 403
    assert "manage.py member_add bob" in response.content.decode()


def test_the_library_shows_the_videos_of_the_owner_newest_first(person: Client) -> None:
    for name in ("first.mp4", "second.mp4"):
        a_named_video(name)
    a_named_video("secret.mp4", owner="other")
    page = page_of(person, "/")
    assert page.index("second.mp4") < page.index("first.mp4")
    assert "secret.mp4" not in page


def test_the_library_has_pages(person: Client) -> None:
    for number in range(PAGE_SIZE + 1):
        a_named_video(f"clip-{number:02}.mp4")
    first, second = page_of(person, "/"), page_of(person, "/?page=2")
    assert ("clip-00.mp4" in first, "clip-00.mp4" in second) == (False, True)
    assert 'href="?page=2"' in first
    assert 'href="?page=1"' in second
    for odd in ("0", "-1", "x", "99999999999999", ""):
        assert person.get("/", {"page": odd}).status_code == 200


def test_a_video_is_found_by_its_name_and_by_its_external_id(person: Client) -> None:
    a_named_video("Summer holidays.mov", external_id="order 8")
    a_named_video("winter.mov")
    for search in ("holiday", "HOLIDAY", "order 8"):
        page = page_of(person, f"/?q={search}")
        assert ("Summer holidays.mov" in page, "winter.mov" in page) == (True, False)
    assert "No video is called “order”" in page_of(person, "/?q=order")
    assert person.get("/", {"q": "a\0b%_"}).status_code == 200


def test_a_video_of_another_owner_is_not_there(person: Client) -> None:
    for video_id in (a_named_video("secret.mp4", owner="other").id, uuid4()):
        for path in (f"/videos/{video_id}", f"/videos/{video_id}/plan", f"/videos/{video_id}/files/mp4/360p"):
            response = person.get(path)
            assert response.status_code == 404
            assert "There is no such" in response.content.decode()


def test_a_video_offers_what_its_job_allows(person: Client) -> None:
    job = a_job(a_named_video("a.mp4"))
    page = page_of(person, f"/videos/{job.video_id}")
    assert f'action="/api/v1/jobs/{job.id}/cancel"' in page
    assert f'action="/api/v1/jobs/{job.id}/retry"' not in page
    type(job).objects.filter(id=job.id).update(
        state="failed", phase="", finished_at="2026-01-01T00:00Z", error_code="encoder_failed", error_detail="It broke."
    )
    page = page_of(person, f"/videos/{job.video_id}")
    assert f'action="/api/v1/jobs/{job.id}/cancel"' not in page
    assert f'action="/api/v1/jobs/{job.id}/retry"' in page
    assert "It broke." in page
    assert "encoder_failed" in page
    assert "A retry continues" in page


def test_nothing_is_inline_and_names_are_escaped(person: Client) -> None:
    video = a_named_video("<script>alert(1)</script>.mp4")
    for path in ("/", f"/videos/{video.id}", f"/videos/{video.id}/plan"):
        response = person.get(path)
        page = response.content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page)
        policy = response.headers["Content-Security-Policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "media-src 'self' http" in policy
