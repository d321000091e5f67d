"""The usage and the limits of an owner on the admin's page."""

from __future__ import annotations

import pytest
from django.test import Client

from access.limits import limits_of
from tests.rows import an_owner, an_uploaded_video

pytestmark = pytest.mark.django_db


def test_an_operator_sees_usage_and_sets_limits(operator: Client) -> None:
    owner = an_owner("shown")
    an_uploaded_video(owner)
    path = f"/admin/access/owner/{owner.id}/"
    page = operator.get(f"{path}change/").content.decode()
    for said in ("Usage and limits", "1000000", "Limit stored GB", 'max="1000000"'):
        assert said in page
    assert operator.post(f"{path}operate/stored/", {"limit": "5"}).status_code == 302
    assert limits_of(owner.id).max_stored_bytes == 5 * 10**9
    assert "5000000000" in operator.get(f"{path}change/").content.decode()
    assert operator.post(f"{path}operate/stored/", {"limit": "much"}, follow=True).status_code == 200
    assert limits_of(owner.id).max_stored_bytes == 5 * 10**9
    assert operator.post(f"{path}operate/stored/", {"limit": "0"}).status_code == 302
    assert limits_of(owner.id).max_stored_bytes is None


def test_a_retention_is_confirmed_first(operator: Client) -> None:
    owner = an_owner("shown")
    path = f"/admin/access/owner/{owner.id}/operate/source-days/"
    before = operator.post(path, {"limit": "7"})
    assert (before.status_code, limits_of(owner.id).source_retention_days) == (200, None)
    assert operator.post(path, {"limit": "7", "confirmed": "yes"}).status_code == 302
    assert limits_of(owner.id).source_retention_days == 7
