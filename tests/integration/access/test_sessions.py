"""Sessions: people act for an owner, and changes require a CSRF token."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access.callers import caller_from_scope, presented, still_working
from access.models import Member, Owner
from access.scopes import Scope as AccessScope
from api.asgi import Scope
from api.problems import Problem
from jobs.models import Job
from tests.rows import a_job, a_video, an_owner

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> Client:
    """Browser of a person who acts for the owner `acme`, with CSRF checks."""
    user = User.objects.create_user("ada", password="correct horse battery staple")
    Member.objects.create(user=user, owner=an_owner("acme"))
    browser = Client(enforce_csrf_checks=True)
    assert browser.login(username="ada", password="correct horse battery staple")
    return browser


def acme() -> Owner:
    return Owner.objects.get(name="acme")


def test_a_person_sees_the_rows_of_the_owner(person: Client) -> None:
    mine = a_job(a_video(acme()))
    other = a_job(a_video(an_owner("other")))
    assert [job["id"] for job in person.get("/api/v1/jobs").json()["results"]] == [str(mine.id)]
    assert person.get(f"/api/v1/jobs/{other.id}").status_code == 404


def test_changes_without_the_csrf_token_are_refused(person: Client) -> None:
    job = a_job(a_video(acme()))
    response = person.post(f"/api/v1/jobs/{job.id}/cancel")
    assert (response.status_code, response.headers["Content-Type"]) == (403, "application/problem+json")
    assert Job.objects.get().state == "queued"


def test_changes_with_the_csrf_token_are_accepted(person: Client) -> None:
    job = a_job(a_video(acme()))
    token = "a" * 32
    person.cookies["csrftoken"] = token
    path = f"/api/v1/jobs/{job.id}/cancel"
    response = person.post(path, content_type="application/json", headers={"X-CSRFToken": token})
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")


def test_a_person_without_an_owner_is_refused() -> None:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    response = browser.get("/api/v1/jobs")
    assert (response.status_code, response.json()["code"]) == (403, "no_owner")


def test_after_logout_a_key_is_required(person: Client) -> None:
    person.logout()
    assert person.get("/api/v1/jobs").status_code == 401


TOKEN = "a" * 32


def _scope(person: Client, method: str, **headers: str) -> Scope:
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in person.cookies.items())
    given = {"host": "testserver", "cookie": cookies, **headers}
    return {
        "type": "http",
        "method": method,
        "path": "/api/v1/events",
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()],
    }


def test_streams_accept_the_session_of_our_own_pages_only(person: Client) -> None:
    for own in ({}, {"sec_fetch_site": "same-origin"}):
        assert caller_from_scope(_scope(person, "GET", **own), AccessScope.JOBS_READ).owner == acme()
    for other in ("cross-site", "same-site"):
        with pytest.raises(Problem) as refused:
            caller_from_scope(_scope(person, "GET", sec_fetch_site=other), AccessScope.JOBS_READ)
        assert refused.value.code == "csrf_failed"
    person.logout()
    with pytest.raises(Problem) as refused:
        caller_from_scope(_scope(person, "GET"), AccessScope.JOBS_READ)
    assert refused.value.status == 401


def test_uploads_accept_a_session_with_the_csrf_token_only(person: Client) -> None:
    person.cookies["csrftoken"] = TOKEN
    form = {"content_type": "multipart/form-data; boundary=x", "content_length": "1000"}
    sent = _scope(person, "POST", x_csrftoken=TOKEN, **form)
    assert caller_from_scope(sent, AccessScope.VIDEOS_WRITE).owner == acme()
    for headers in ({}, {"x_csrftoken": "b" * 32}, {"x_csrftoken": TOKEN, "origin": "https://evil.example"}):
        with pytest.raises(Problem) as refused:
            caller_from_scope(_scope(person, "POST", **form, **headers), AccessScope.VIDEOS_WRITE)
        assert (refused.value.status, refused.value.code) == (403, "csrf_failed")


def test_a_session_stops_working_with_the_logout_and_with_a_new_password(person: Client) -> None:
    session = presented(_scope(person, "GET"))
    assert still_working([session]) == {session}
    user = User.objects.get()
    user.set_password("another horse")
    user.save()
    assert still_working([session]) == set()
    person.force_login(user)
    session = presented(_scope(person, "GET"))
    assert still_working([session]) == {session}
    person.logout()
    assert still_working([session]) == set()
