"""The API in a browser: its documents as pages for a person who acts for an owner."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access.models import Member
from jobs.models import Job
from tests.rows import a_job, a_key, a_video, an_owner
from transcoder_site.pages import operations
from videos.playback import wiring
from videos.playback.delivery import Delivery

pytestmark = pytest.mark.django_db

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def person() -> Client:
    user = User.objects.create_user("ada")
    Member.objects.create(user=user, owner=an_owner("acme"))
    browser = Client(enforce_csrf_checks=True, headers={"Accept": BROWSER})
    browser.force_login(user)
    return browser


@pytest.fixture
def job() -> Job:
    return a_job(a_video(an_owner("acme")), priority=42)


def test_redirects_are_passed_on(person: Client, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = Delivery(store=wiring.store(), redirects=True, presign_seconds=60)
    monkeypatch.setattr("videos.playback.wiring.delivery", lambda: delivery)
    response = person.get(f"/api/v1/videos/{job.video_id}/original")
    assert response.status_code in (302, 307)
    assert response.headers["Location"].startswith("http")


def test_an_anonymous_browser_is_redirected_to_the_login_and_back() -> None:
    stranger = Client(headers={"Accept": BROWSER})
    for path in ("/api/", "/api/v1/jobs?state=failed"):
        response = stranger.get(path)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/api/login?next=/api/")
    page = stranger.get("/api/login?next=/api/v1/jobs").content.decode()
    assert 'name="next" value="/api/v1/jobs"' in page


def test_the_index_lists_all_operations_and_links_those_without_parameters(person: Client) -> None:
    page = person.get("/api/").content.decode()
    assert '<a href="/api/v1/jobs">' in page
    assert "/api/v1/jobs/&lt;uuid:job_id&gt;/cancel" in page
    assert len(operations()) > 30


def test_deleting_requires_confirmation(person: Client, job: Job) -> None:
    page = person.get(f"/api/v1/videos/{job.video_id}").content.decode()
    forms = re.findall(r'<form action="[^"]*" data-method="(\w+)"( data-confirm="[^"]+")?', page)
    assert forms
    assert {method for method, confirms in forms if confirms} == {"DELETE"}


def test_a_failed_login_is_a_page_for_a_browser_and_a_problem_for_a_program() -> None:
    for path in ("/api/login", "/admin/login/"):
        browser = Client(enforce_csrf_checks=True, headers={"Accept": BROWSER})
        response = browser.post(path, {"username": "ada", "password": "x"})
        assert (response.status_code, response.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
        assert "The CSRF check failed" in response.content.decode()
        program = Client(enforce_csrf_checks=True).post(path)
        assert (program.status_code, program.json()["code"]) == (403, "csrf_failed")
    response = Client(headers={"Accept": BROWSER}).get("/nowhere")
    assert (response.status_code, response.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert Client(headers={"Accept": BROWSER}).get("/play/x").headers["Content-Type"] == "application/problem+json"


def test_a_document_is_rendered_as_a_page_with_links(person: Client, job: Job) -> None:
    response = person.get(f"/api/v1/jobs/{job.id}")
    page = response.content.decode()
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "&quot;priority&quot;: 42" in page
    assert f'href="/api/v1/jobs/{job.id}/plan"' in page
    assert f'<form action="/api/v1/jobs/{job.id}/cancel" data-method="POST">' in page
    assert response.headers["Cache-Control"] == "private, no-store"
    assert "script-src 'self';" in response.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page), "nothing is inline"


def test_programs_get_json(person: Client, job: Job) -> None:
    path = f"/api/v1/jobs/{job.id}"
    for accept in ("application/json", "*/*", None):
        program = Client(headers={"X-API-Key": a_key(an_owner("acme")), **({"Accept": accept} if accept else {})})
        assert program.get(path).headers["Content-Type"] == "application/json"
    with_key = Client(headers={"X-API-Key": a_key(an_owner("acme")), "Accept": BROWSER})
    assert with_key.get(path).headers["Content-Type"] == "application/json"
    assert person.get(f"{path}?format=json").headers["Content-Type"] == "application/json"


def test_errors_are_pages_too(person: Client) -> None:
    for path, status in (
        (f"/api/v1/jobs/{a_job(a_video(an_owner('other'))).id}", 404),
        ("/api/v1/nothing", 404),
        ("/api/v1/jobs?limit=0", 422),
    ):
        response = person.get(path)
        assert (response.status_code, response.headers["Content-Type"]) == (status, "text/html; charset=utf-8"), path


def test_text_of_clients_is_escaped(person: Client, job: Job) -> None:
    metadata = {
        "a": "</pre><script>alert(1)</script>",
        "b": "javascript:alert(1)",
        "c": 'https://x.example/"onclick="x',
    }
    Job.objects.filter(id=job.id).update(client_metadata=metadata)
    page = person.get(f"/api/v1/jobs/{job.id}").content.decode()
    assert "<script>alert" not in page
    assert 'href="javascript' not in page
    assert 'onclick="x' not in page


def test_forms_require_the_csrf_token(person: Client, job: Job) -> None:
    page = person.get(f"/api/v1/jobs/{job.id}").content.decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    path, body = f"/api/v1/jobs/{job.id}/cancel", {"content_type": "application/json", "data": "{}"}
    assert person.post(path, **body).status_code == 403  # type: ignore[arg-type]
    response = person.post(path, headers={"X-CSRFToken": found[1]}, **body)  # type: ignore[arg-type]
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")


def test_a_person_without_an_owner_gets_403() -> None:
    browser = Client(headers={"Accept": BROWSER})
    browser.force_login(User.objects.create_superuser("root"))
    response = browser.get("/api/v1/jobs")
    assert response.status_code == 403
    assert "no_owner" in response.content.decode()


def test_a_logout_requires_a_post_with_the_csrf_token(person: Client) -> None:
    assert person.get("/api/logout").status_code == 405
    assert person.post("/api/logout").status_code == 403
    page = person.get("/api/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    assert person.post("/api/logout", {"csrfmiddlewaretoken": token[1]}).status_code == 302
    assert person.get("/api/").status_code == 302
