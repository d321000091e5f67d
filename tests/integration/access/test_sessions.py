"""People who logged in: they act for an owner, and nothing is changed in their name without a CSRF token."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access.models import Member, Owner
from jobs.models import Job
from tests.rows import a_job, a_video, an_owner

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> Client:
    """Somebody of the owner `acme` in a browser, which is to be trusted with nothing."""
    user = User.objects.create_user("ada", password="correct horse battery staple")
    Member.objects.create(user=user, owner=an_owner("acme"))
    browser = Client(enforce_csrf_checks=True)
    assert browser.login(username="ada", password="correct horse battery staple")
    return browser


def acme() -> Owner:
    return Owner.objects.get(name="acme")


def test_a_person_sees_what_is_the_owners(person: Client) -> None:
    mine = a_job(a_video(acme()))
    other = a_job(a_video(an_owner("other")))
    assert [job["id"] for job in person.get("/api/v1/jobs").json()["results"]] == [str(mine.id)]
    assert person.get(f"/api/v1/jobs/{other.id}").status_code == 404


def test_a_foreign_page_changes_nothing(person: Client) -> None:
    job = a_job(a_video(acme()))
    answer = person.post(f"/api/v1/jobs/{job.id}/cancel")
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")
    assert Job.objects.get().state == "queued"


def test_a_page_of_ours_has_the_token(person: Client) -> None:
    job = a_job(a_video(acme()))
    token = "a" * 32
    person.cookies["csrftoken"] = token
    path = f"/api/v1/jobs/{job.id}/cancel"
    answer = person.post(path, content_type="application/json", headers={"X-CSRFToken": token})
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")


def test_who_acts_for_nobody_sees_nothing() -> None:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    answer = browser.get("/api/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (403, "no_owner")


def test_who_logged_out_needs_a_key(person: Client) -> None:
    person.logout()
    assert person.get("/api/v1/jobs").status_code == 401
