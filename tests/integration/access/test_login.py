"""Logging in: rate limits, messages and sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import httpx2
import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from coordination import wiring
from tests.integration.videos.conftest import api, store

__all__ = ["api", "store"]

PASSWORD = "correct horse battery staple"
WRONG = "incorrect horse"
ATTEMPTS = 30

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limited(settings: Settings) -> Iterator[None]:
    """Set the limit. Without Redis each process counts by itself and applies a tenth."""
    wiring.rate_limiter.cache_clear()
    rate = replace(settings.TRANSCODER.rate, rate_login_per_minute=ATTEMPTS)
    settings.TRANSCODER = replace(settings.TRANSCODER, rate=rate)
    yield
    wiring.rate_limiter.cache_clear()


@pytest.fixture(params=["/admin/login/", "/api/login"])
def path(request: pytest.FixtureRequest) -> str:
    User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    return str(request.param)


def attempt(path: str, *, name: str = "ada", password: str = WRONG, address: str = "192.0.2.1") -> tuple[int, str]:
    """Try to log in. Returns the status and the page."""
    response = Client(REMOTE_ADDR=address).post(path, {"username": name, "password": password})
    return response.status_code, response.content.decode()


def test_attempts_of_an_address_are_limited(path: str) -> None:
    assert [attempt(path, name=uuid4().hex)[0] for _ in range(4)] == [200, 200, 200, 429]
    status, page = attempt(path, password=PASSWORD)
    assert (status, "Too many attempts" in page) == (429, True), "the right password is refused, too"
    assert attempt(path, password=PASSWORD, address="192.0.2.2")[0] == 302


def test_attempts_with_a_name_are_limited_over_all_addresses(path: str) -> None:
    statuses = (attempt(path, name="nobody", address=f"192.0.{number // 3}.1")[0] for number in range(100))
    assert 30 <= next(number for number, status in enumerate(statuses) if status == 429) < 60
    assert attempt(path, name="bob", address="192.0.2.99")[0] == 200, "other names have attempts of their own"


def test_one_address_cannot_lock_out_the_owner_of_a_name(path: str) -> None:
    assert [attempt(path)[0] for _ in range(6)] == [200, 200, 200, 429, 429, 429]
    assert attempt(path, password=PASSWORD, address="192.0.2.2")[0] == 302


def test_a_refused_attempt_has_retry_after(path: str) -> None:
    browser = Client()
    for _ in range(4):
        response = browser.post(path, {"username": "ada", "password": WRONG})
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["RateLimit-Limit"] == "3"
    assert "Content-Security-Policy" in response.headers


def test_showing_the_form_is_not_limited(path: str) -> None:
    assert {Client().get(path).status_code for _ in range(8)} == {200}


def test_responses_do_not_reveal_whether_a_name_exists(path: str) -> None:
    User.objects.create_user("gone", password=PASSWORD, is_active=False)
    tried = [("ada", WRONG), ("nobody", WRONG), ("gone", PASSWORD)]
    responses = [attempt(path, name=name, password=password, address=f"192.0.2.{number}")
               for number, (name, password) in enumerate(tried)]  # fmt: skip
    assert {status for status, _ in responses} == {200}
    assert len({_errors(page) for _, page in responses}) == 1


def _errors(page: str) -> str:
    start = page.index("Please enter")
    return page[start : page.index("<", start)]


def test_the_session_id_changes_at_login(path: str) -> None:
    """An attacker who planted a session id in a browser would share the session."""
    browser = Client()
    session = browser.session
    session["planted"] = True
    session.save()
    browser.cookies["sessionid"] = planted = str(session.session_key)
    assert browser.post(path, {"username": "ada", "password": PASSWORD}).status_code == 302
    assert browser.cookies["sessionid"].value != planted
    intruder = Client()
    intruder.cookies["sessionid"] = planted
    assert intruder.get("/admin/").status_code == 302


def test_a_login_requires_the_csrf_token(path: str) -> None:
    response = Client(enforce_csrf_checks=True).post(path, {"username": "ada", "password": PASSWORD})
    assert (response.status_code, response.json()["code"]) == (403, "csrf_failed")


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_a_login_does_not_redirect_to_other_sites(path: str, target: str) -> None:
    response = Client().post(f"{path}?next={target}", {"username": "ada", "password": PASSWORD, "next": target})
    assert response.status_code == 302
    assert "evil" not in response.headers["Location"]
    assert response.headers["Location"].startswith("/")


def test_only_staff_can_log_in_to_the_admin_and_others_get_no_reason() -> None:
    User.objects.create_user("bob", password=PASSWORD)
    status, page = attempt("/admin/login/", name="bob", password=PASSWORD)
    assert (status, "Please enter" in page) == (200, True)
    assert attempt("/api/login", name="bob", password=PASSWORD, address="192.0.2.2")[0] == 302


def test_a_header_is_no_way_around_the_limit(api: httpx2.Client) -> None:
    """By default nobody is a trusted proxy, not even a program of this machine."""
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', api.get("/api/login").text)
    assert token
    form = {"username": "nobody", "password": WRONG, "csrfmiddlewaretoken": token[1]}
    headers = ({"X-Forwarded-For": f"192.0.2.{number}", "X-Real-IP": f"192.0.2.{number}"} for number in range(200))
    statuses = (api.post("/api/login", data=form, headers=each).status_code for each in headers)
    assert 429 in statuses
