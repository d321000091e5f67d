"""`storage_check` at good stores, and at stores with one thing wrong."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path

import pytest

from embedded.servers import SeaweedFS
from storage.checking import Findings, Level, StoreChecks, findings
from storage.local import LocalStore
from storage.s3 import S3Config, S3Store
from storage.s3_checking import S3Checks
from tests.faults.proxy import StoreFault, StoreProxy

PART = 5 * 1024 * 1024


@pytest.fixture
def proxy(s3_server: SeaweedFS, s3_store: S3Store) -> Iterator[StoreProxy]:
    """A proxy in front of the store, whose bucket exists."""
    proxy = StoreProxy(int(s3_server.endpoint_url.rpartition(":")[2]))
    yield proxy
    proxy.close()


def a_store(config: S3Config) -> S3Store:
    return S3Store(config, part_bytes=PART, parallel_parts=2)


def check(config: S3Config, *, redirects: bool = True) -> Findings:
    return findings(S3Checks(a_store(config), redirects=redirects))


def texts(found: Findings, level: Level) -> list[str]:
    return [finding.text for finding in found if finding.level is level]


@pytest.mark.parametrize("server", ["s3", "rclone"])
def test_a_good_store_has_no_failures_and_is_left_clean(request: pytest.FixtureRequest, server: str) -> None:
    store: S3Store = request.getfixturevalue(f"{server}_store")
    before = list(store.list("videos/"))
    found = list(check(store.config))
    assert texts(iter(found), Level.FAILED) == []
    assert "objects are deleted" in texts(iter(found), Level.OK)
    assert list(store.list("videos/")) == before
    assert list(store.list_multiparts("videos/")) == []


def test_what_a_killed_check_has_left_is_removed_by_a_later_one(s3_store: S3Store) -> None:
    store = a_store(s3_store.config)
    running = S3Checks(store, redirects=True)
    long_ago = f"{running.folder.rpartition('/')[0].rpartition('/')[0]}/1000000000-0/"
    for folder in (long_ago, running.folder):
        store.put(f"{folder}storage-check", b"", "text/plain")
        store.create_multipart(f"{folder}storage-check-parts", "text/plain")
    list(check(store.config))
    assert [each.key for each in store.list("videos/")] == [f"{running.folder}storage-check"]
    assert [each.key for each in store.list_multiparts("videos/")] == [f"{running.folder}storage-check-parts"]
    running._used = True
    assert list(running.clean_up()) == []


def test_a_store_that_knows_less_says_so(rclone_store: S3Store) -> None:
    found = list(check(rclone_store.config))
    assert any("cannot copy ranges" in text for text in texts(iter(found), Level.WARNING))
    for ignored in ("ignores If-Match", "ignores If-None-Match"):
        assert any(ignored in text for text in texts(iter(found), Level.OK))


def test_a_folder_is_checked_too(local_store: LocalStore) -> None:
    found = list(findings(StoreChecks(local_store)))
    assert {finding.level for finding in found} == {Level.OK}
    assert list(local_store.list("videos/")) == []


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    found = findings(StoreChecks(LocalStore(tmp_path / "store", part_bytes=PART)))
    (failure,) = texts(found, Level.FAILED)
    assert failure.startswith("storing an object fails")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"secret_key": "wrong"}, "TRANSCODER_S3_SECRET_KEY"),
        ({"access_key": "nobody"}, "TRANSCODER_S3_ACCESS_KEY"),
        ({"bucket": "missing"}, "TRANSCODER_S3_BUCKET, or run `manage.py store_prepare`"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
def test_a_wrong_setting_is_the_only_failure_and_is_named(
    s3_config: S3Config, s3_store: S3Store, wrong: dict[str, str], reason: str
) -> None:
    found = list(check(replace(s3_config, **wrong)))
    (failure,) = texts(iter(found), Level.FAILED)
    assert reason in failure
    assert texts(iter(found), Level.WARNING) == []


def test_a_wrong_clock_is_named_with_its_error(
    s3_config: S3Config, s3_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def an_hour_ahead(*, remove_tzinfo: bool = True) -> datetime:
        now = datetime.now(UTC) + timedelta(hours=1)
        return now.replace(tzinfo=None) if remove_tzinfo else now

    monkeypatch.setattr("botocore.auth.get_current_datetime", an_hour_ahead)
    checks = S3Checks(a_store(s3_config), redirects=True, clock=lambda: an_hour_ahead(remove_tzinfo=False))
    (failure,) = texts(findings(checks), Level.FAILED)
    assert "differ by 36" in failure
    assert "NTP" in failure


def test_a_key_that_may_not_delete_fails(s3_config: S3Config, proxy: StoreProxy, s3_store: S3Store) -> None:
    def judge(method: str, path: str, _headers: Message) -> StoreFault | None:
        deletes = (method == "DELETE" and "uploadId" not in path) or (method == "POST" and "delete" in path)
        return StoreFault(status=403, code="AccessDenied") if deletes else None

    proxy.judge = judge
    found = list(check(replace(s3_config, endpoint_url=f"http://127.0.0.1:{proxy.port}")))
    (failure,) = texts(iter(found), Level.FAILED)
    assert "deleting objects fails" in failure
    assert "AccessDenied" in failure
    assert any("until a later check removes them" in text for text in texts(iter(found), Level.WARNING))
    s3_store.delete_prefix("videos/")


def test_a_store_that_only_pretends_to_delete_fails(s3_config: S3Config, proxy: StoreProxy, s3_store: S3Store) -> None:
    proxy.judge = lambda method, path, _headers: (
        StoreFault(status=200, document="<DeleteResult/>") if method == "POST" and "delete" in path else None
    )
    (failure,) = texts(check(replace(s3_config, endpoint_url=f"http://127.0.0.1:{proxy.port}")), Level.FAILED)
    assert "that it still has" in failure
    s3_store.delete_prefix("videos/")


@pytest.mark.parametrize("redirects", [True, False])
def test_urls_that_nobody_reaches_matter_where_players_are_redirected(
    s3_config: S3Config, s3_store: S3Store, *, redirects: bool
) -> None:
    config = replace(s3_config, public_endpoint_url="http://127.0.0.1:9")
    found = list(check(config, redirects=redirects))
    level = Level.FAILED if redirects else Level.WARNING
    assert any("TRANSCODER_S3_PUBLIC_ENDPOINT_URL" in text for text in texts(iter(found), level))
    if not redirects:
        assert texts(iter(found), Level.FAILED) == []


def test_a_bucket_without_rules_for_browsers_is_named(s3_config: S3Config, proxy: StoreProxy) -> None:
    proxy.judge = lambda method, _path, headers: (
        StoreFault(status=200, document="0123456789") if method == "GET" and "Origin" in headers else None
    )
    warnings = texts(check(replace(s3_config, endpoint_url=f"http://127.0.0.1:{proxy.port}")), Level.WARNING)
    assert any("store_prepare" in text and "CORS" in text for text in warnings)
