"""Sessions: people act for an owner, and changes require a CSRF token."""

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
