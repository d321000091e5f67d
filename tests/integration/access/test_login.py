"""Logging in: how often, with what said about it, and with what session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from coordination import wiring

PASSWORD = "correct horse battery staple"
WRONG = "incorrect horse"
TRIES = 30

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limited(settings: Settings) -> Iterator[None]:
    """Every process counts for itself here, which makes it a tenth."""
    wiring.rate_limiter.cache_clear()
    rate = replace(settings.TRANSCODER.rate, rate_login_per_minute=TRIES)
    settings.TRANSCODER = replace(settings.TRANSCODER, rate=rate)
    yield
    wiring.rate_limiter.cache_clear()


@pytest.fixture(params=["/admin/login/", "/api/login"])
def path(request: pytest.FixtureRequest) -> str:
    User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    return str(request.param)


def attempt(path: str, *, name: str = "ada", password: str = WRONG, address: str = "192.0.2.1") -> tuple[int, str]:
    """Status, and what the page says."""
    answer = Client(REMOTE_ADDR=address).post(path, {"username": name, "password": password})
    return answer.status_code, answer.content.decode()


def test_an_address_tries_so_many_names_a_minute(path: str) -> None:
    assert [attempt(path, name=uuid4().hex)[0] for _ in range(4)] == [200, 200, 200, 429]
    status, said = attempt(path, password=PASSWORD)
    assert (status, "Too many tries" in said) == (429, True), "the right one is not looked at either"
    assert attempt(path, password=PASSWORD, address="192.0.2.2")[0] == 302


def test_a_name_is_tried_so_often_a_minute_from_wherever(path: str, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # no time to fill up again
    statuses = (attempt(path, name="nobody", address=f"192.0.{number // 3}.1")[0] for number in range(100))
    assert 30 <= next(number for number, status in enumerate(statuses) if status == 429) < 60
    assert attempt(path, name="bob", address="192.0.2.99")[0] == 200, "another has tries of its own"


def test_nobody_is_kept_out_by_one_address_that_tries_a_name_again_and_again(path: str) -> None:
    assert [attempt(path)[0] for _ in range(6)] == [200, 200, 200, 429, 429, 429]
    assert attempt(path, password=PASSWORD, address="192.0.2.2")[0] == 302


def test_who_is_refused_is_told_when_to_come_back(path: str) -> None:
    browser = Client()
    for _ in range(4):
        answer = browser.post(path, {"username": "ada", "password": WRONG})
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["RateLimit-Limit"] == "3"
    assert "Content-Security-Policy" in answer.headers


def test_the_page_itself_is_always_there(path: str) -> None:
    assert {Client().get(path).status_code for _ in range(8)} == {200}


def test_nothing_tells_whether_a_name_exists(path: str) -> None:
    User.objects.create_user("gone", password=PASSWORD, is_active=False)
    tried = [("ada", WRONG), ("nobody", WRONG), ("gone", PASSWORD)]
    answers = [attempt(path, name=name, password=password, address=f"192.0.2.{number}")
               for number, (name, password) in enumerate(tried)]  # fmt: skip
    assert {status for status, _ in answers} == {200}
    assert len({_errors(page) for _, page in answers}) == 1


def _errors(page: str) -> str:
    start = page.index("Please enter")
    return page[start : page.index("<", start)]


def test_a_session_from_before_is_not_taken_over(path: str) -> None:
    """Whoever planted it in somebody's browser would share it."""
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


def test_a_login_needs_a_token_of_our_page(path: str) -> None:
    answer = Client(enforce_csrf_checks=True).post(path, {"username": "ada", "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_a_login_leads_to_no_other_site(path: str, target: str) -> None:
    answer = Client().post(f"{path}?next={target}", {"username": "ada", "password": PASSWORD, "next": target})
    assert answer.status_code == 302
    assert "evil" not in answer.headers["Location"]
    assert answer.headers["Location"].startswith("/")


def test_only_staff_get_into_the_admin_and_nobody_is_told_why_not() -> None:
    User.objects.create_user("bob", password=PASSWORD)
    status, said = attempt("/admin/login/", name="bob", password=PASSWORD)
    assert (status, "Please enter" in said) == (200, True)
    assert attempt("/api/login", name="bob", password=PASSWORD, address="192.0.2.2")[0] == 302
