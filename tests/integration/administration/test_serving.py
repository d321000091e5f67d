"""The admin's pages and files, as the API's process serves them."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.rows import a_video


def test_all_static_files_of_the_pages_exist(operator: Client) -> None:
    page = operator.get("/admin/jobs/job/").content.decode()
    named = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    assert len(named) > 10
    for path in named:
        answer = operator.get(path)
        assert answer.status_code == 200, path
        assert operator.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["../manage.py", "..%2f..%2fmanage.py", "admin/", "", "/etc/passwd"])
def test_other_files_are_not_served(path: str, client: Client) -> None:
    assert client.get(f"/static/{path}").status_code == 404


def test_pages_load_nothing_from_other_origins(operator: Client) -> None:
    video = a_video()
    for path in ("/admin/login/", "/admin/", "/admin/jobs/job/", f"/admin/videos/video/{video.id}/change/"):
        answer = operator.get(path, follow=True)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self' 'unsafe-eval';" in policy
        page = answer.content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", page), "inline scripts are forbidden"
        assert not re.search(r'(?:src|<link[^>]*href)="(?:https?:)?//', page)


def test_the_session_cookie_is_hidden_from_scripts_and_other_sites(client: Client, django_user_model: type) -> None:
    django_user_model.objects.create_superuser("operator", password="correct horse battery staple")  # type: ignore[attr-defined]
    named = {"username": "operator", "password": "correct horse battery staple"}
    answer = client.post("/admin/login/?next=/admin/", named)
    assert answer.status_code == 302
    session = answer.cookies["sessionid"]
    assert (session["httponly"], session["samesite"]) == (True, "Lax")
    page = client.get("/admin/")
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in page.headers["Cache-Control"]
