"""`manage.py member_add`: people who act for an owner."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from access.models import Member

pytestmark = pytest.mark.django_db


def member_add(*arguments: str) -> str:
    printed = StringIO()
    call_command("member_add", *arguments, stdout=printed)
    return printed.getvalue().strip()


def test_a_new_person_logs_in_with_the_printed_password_and_acts_for_the_owner() -> None:
    password = member_add("ada", "--owner", "acme")
    browser = Client()
    assert browser.login(username="ada", password=password)
    assert browser.get("/api/v1/jobs").status_code == 200
    assert Member.objects.get().owner.name == "acme"
    assert not User.objects.filter(is_staff=True).exists()


def test_an_existing_account_keeps_its_password() -> None:
    user = User.objects.create_user("ada", password="one of her own")
    assert member_add("ada") == ""
    assert member_add("ada") == "", "once more changes nothing"
    user.refresh_from_db()
    assert user.check_password("one of her own")
    assert Member.objects.get().owner.name == "default"


def test_a_person_cannot_change_their_owner() -> None:
    member_add("ada", "--owner", "acme")
    with pytest.raises(CommandError, match="another owner"):
        member_add("ada", "--owner", "other")
    assert Member.objects.get().owner.name == "acme"
