"""API keys: authentication, scopes, expiry, and their endpoints and commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access.callers import LAST_USED_SECONDS
from access.models import ApiKey, Owner
from access.scopes import Scope
from access.services import default_owner
from tests.rows import a_key, an_owner, an_uploaded_video

pytestmark = pytest.mark.django_db

JOBS = "/api/v1/jobs"
KEYS = "/api/v1/keys"


def status_with(path: str = JOBS, **headers: str) -> int:
    return Client().get(path, headers=headers).status_code


def status_of(key: str, path: str = JOBS) -> int:
    return status_with(path, Authorization=f"Bearer {key}")


def post(client: Client, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    response = client.post(path, data=json.dumps(body or {}), content_type="application/json")
    return response.status_code, response.json()


def test_a_key_is_accepted_in_either_header() -> None:
    key = a_key()
    assert status_with(Authorization=f"Bearer {key}") == 200
    assert status_with(Authorization=f"bearer  {key}") == 200
    assert status_with(**{"X-API-Key": key}) == 200


@pytest.mark.parametrize(
    "spoil",
    [lambda key: key[:0], lambda key: key[:-1], lambda key: key[:-1] + "x", lambda key: key[:-1] + "01"[key[-1] == "0"],
     lambda key: f"vm_000000000000{key[15:]}", lambda key: f"{key} ", str.upper, lambda key: "ü" * len(key)],
)  # fmt: skip
def test_a_changed_key_is_refused(spoil: Callable[[str], str]) -> None:
    response = Client().get(JOBS, headers={"X-API-Key": spoil(a_key())})
    assert (response.status_code, response.json()["code"]) == (401, "invalid_key")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_request_without_a_key_is_refused() -> None:
    for headers in ({}, {"Authorization": "Basic dTpw"}, {"Authorization": a_key()}):
        response = Client().get(JOBS, headers=headers)
        assert response.headers["Content-Type"] == "application/problem+json"
        assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_only_a_digest_is_stored() -> None:
    key = a_key()
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(k)::text FROM access_apikey k")
        ((row,),) = cursor.fetchall()
    assert key not in row
    assert key.rpartition("_")[2] not in row


def test_an_expired_or_revoked_key_is_refused() -> None:
    key = a_key()
    ApiKey.objects.update(expires_at=Now() + timedelta(minutes=1))
    assert status_of(key) == 200
    ApiKey.objects.update(expires_at=Now() - timedelta(seconds=1))
    assert status_of(key) == 401
    ApiKey.objects.update(expires_at=None, revoked_at=Now())
    assert status_of(key) == 401


@pytest.mark.parametrize(
    ("path", "needed"),
    [("/api/v1/videos", Scope.VIDEOS_READ), (JOBS, Scope.JOBS_READ), (KEYS, Scope.ADMIN)],
)
def test_a_key_is_limited_to_its_scopes(path: str, needed: Scope) -> None:
    assert status_of(a_key(None, needed), path) == 200
    assert status_of(a_key(None, Scope.ADMIN), path) == 200
    others = [scope for scope in Scope if scope not in (needed, Scope.ADMIN)]
    response = Client().get(path, headers={"X-API-Key": a_key(None, *others)})
    assert (response.status_code, response.json()["code"]) == (403, "scope_missing")
    assert needed in response.json()["detail"]


def test_scopes_for_reading_do_not_include_writing() -> None:
    video = an_uploaded_video()
    reader = Client(headers={"X-API-Key": a_key(None, Scope.VIDEOS_READ, Scope.JOBS_READ)})
    assert reader.get(f"/api/v1/videos/{video.id}").status_code == 200
    assert reader.head(f"/api/v1/videos/{video.id}").status_code == 200
    assert reader.delete(f"/api/v1/videos/{video.id}").status_code == 403
    assert post(reader, f"/api/v1/videos/{video.id}/transcode")[0] == 403


def test_last_used_at_is_written_once_a_minute() -> None:
    key = a_key()
    assert status_of(key) == 200
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    with CaptureQueriesContext(connection) as captured:
        assert status_of(key) == 200
    assert not [query for query in captured if query["sql"].startswith("UPDATE")]
    ApiKey.objects.update(last_used_at=Now() - timedelta(seconds=LAST_USED_SECONDS + 1))
    assert status_of(key) == 200
    used = ApiKey.objects.get().last_used_at
    assert used is not None
    assert used > first - timedelta(seconds=1)


def test_a_key_is_created_shown_once_used_and_revoked(client: Client) -> None:
    body = {"name": "ci", "scopes": ["videos:read", "jobs:read"], "expires_at": "2999-01-01T00:00:00Z"}
    status, created = post(client, KEYS, body)
    assert (status, created["scopes"], created["expires_at"]) == (201, ["jobs:read", "videos:read"], body["expires_at"])
    url = f"{KEYS}/{created['id']}"
    assert created["key"].startswith(f"vm_{created['prefix']}_")
    assert status_of(created["key"]) == 200
    shown = client.get(url).json()
    assert shown == {name: value for name, value in created.items() if name != "key"} | {
        "last_used_at": shown["last_used_at"]
    }
    assert [key["name"] for key in client.get(KEYS).json()["results"]] == ["ci", "test"]
    assert created["key"] not in client.get(KEYS).content.decode()
    assert client.delete(url).status_code == 204
    assert status_of(created["key"]) == 401
    assert client.get(url).status_code == client.delete(url).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [({"scopes": ["admin"]}, "name"), ({"name": "x", "scopes": []}, "scopes"), ({"name": "x"}, "scopes"),
     ({"name": "x", "scopes": ["root"]}, "scopes.0"), ({"name": "x", "scopes": ["admin"], "a": 1}, "a"),
     ({"name": "x", "scopes": ["admin"], "expires_at": "soon"}, "expires_at"),
     ({"name": "x", "scopes": ["admin"], "expires_at": "2001-01-01T00:00:00Z"}, "expires_at")],
)  # fmt: skip
def test_errors_of_a_request_for_a_key_name_the_field(client: Client, body: object, field: str) -> None:
    status, problem = post(client, KEYS, body)
    assert (status, [error["field"] for error in problem["errors"]]) == (422, [field])
    assert ApiKey.objects.count() == 1


def test_a_rotated_key_has_a_new_secret_and_the_old_one_is_accepted_for_a_while(client: Client) -> None:
    old = post(client, KEYS, {"name": "ci", "scopes": ["jobs:read"]})[1]
    status, new = post(client, f"{KEYS}/{old['id']}/rotate", {"grace_seconds": 60})
    assert (status, new["id"], new["prefix"]) == (200, old["id"], old["prefix"])
    assert status_of(old["key"]) == status_of(new["key"]) == 200
    ApiKey.objects.filter(id=old["id"]).update(previous_until=Now() - timedelta(seconds=1))
    assert (status_of(old["key"]), status_of(new["key"])) == (401, 200)
    newer = post(client, f"{KEYS}/{old['id']}/rotate", {"grace_seconds": 0})[1]
    assert [status_of(key["key"]) for key in (old, new, newer)] == [401, 401, 200]


def test_keys_of_other_owners_are_not_found(client: Client) -> None:
    a_key(an_owner("other"))
    other = ApiKey.objects.get(owner__name="other")
    assert [key["name"] for key in client.get(KEYS).json()["results"]] == ["test"]
    for response in (client.get(f"{KEYS}/{other.id}"), client.delete(f"{KEYS}/{other.id}")):
        assert (response.status_code, response.json()["code"]) == (404, "key_not_found")
    assert post(client, f"{KEYS}/{other.id}/rotate")[0] == 404
    other.refresh_from_db()
    assert (other.revoked_at, other.previous_sha256) == (None, "")


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_keys_are_created_and_revoked_on_the_command_line() -> None:
    key = run("apikey_create", "ci", "--owner", "acme", "--scope", "jobs:read", "--days", "1").strip()
    assert Owner.objects.filter(name="acme").exists()
    prefix = key.split("_")[1]
    assert (status_of(key), status_of(key, "/api/v1/videos")) == (200, 403)
    assert run("apikey_list", "--owner", "acme").split("\t")[:4] == [prefix, "acme", "ci", "jobs:read"]
    assert run("apikey_list", "--owner", "nobody") == ""
    following = run("apikey_rotate", prefix, "--grace-seconds", "0").strip()
    assert (status_of(key), status_of(following)) == (401, 200)
    run("apikey_revoke", f"vm_{prefix}")
    assert status_of(following) == 401
    assert "revoked" in run("apikey_list")
    assert following not in run("apikey_list")
    for command in ("apikey_revoke", "apikey_rotate"):
        with pytest.raises(CommandError, match=prefix):
            run(command, prefix)


@pytest.mark.parametrize("days", ["0", "-1"])
def test_days_must_be_positive(days: str) -> None:
    with pytest.raises(CommandError, match="--days must be at least 1"):
        run("apikey_create", "ci", f"--days={days}")
    assert not ApiKey.objects.exists()


def test_a_name_is_required() -> None:
    with pytest.raises(CommandError, match="must not be empty"):
        run("apikey_create", " ")
    assert not ApiKey.objects.exists()


def test_by_default_a_key_has_all_scopes_for_the_default_owner() -> None:
    run("apikey_create", "mine")
    key = ApiKey.objects.get()
    assert (key.owner, key.scopes, key.expires_at) == (default_owner(), ["admin"], None)
