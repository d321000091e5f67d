"""Uploads whose clients are gone, and what is left of those that have ended."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.db.models.functions import Now

from access.services import default_owner
from jobs.dispatching.upload_janitor import multiparts_abandon, sources_abandon, uploads_expire, uploads_forget
from storage.errors import StorageRefused, StorageUnavailable
from storage.local import LocalStore
from tests.rows import an_upload
from videos.models import Upload
from videos.uploads.limits import OpenLimits
from videos.uploads.services import UploadLabels, multipart_open, upload_create, upload_renew

pytestmark = pytest.mark.django_db

LIMITS = OpenLimits(max_bytes=1 << 30)
AGO = timedelta(seconds=1)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path, part_bytes=5 << 20)
    store.prepare()
    return store


def opened(store: LocalStore) -> Upload:
    owner = default_owner()
    slot = multipart_open(owner=owner, size_bytes=4, store=store, limits=LIMITS)
    labels = UploadLabels(filename="clip.mp4")
    upload = upload_create(owner=owner, slot=slot, size_bytes=4, labels=labels, limits=LIMITS)
    store.put_part(upload.key, upload.multipart_id, 1, b"part")
    return upload


def states() -> dict[UUID, str]:
    return dict(Upload.objects.values_list("id", "state"))


def test_an_upload_without_a_sign_of_its_client_expires_and_leaves_nothing(store: LocalStore) -> None:
    gone, active = opened(store), opened(store)
    for upload in (gone, active):
        Upload.objects.filter(id=upload.id).update(expires_at=Now() - AGO)
    upload_renew(upload=active, limits=LIMITS)
    assert uploads_expire(store=store) == 1
    assert states() == {gone.id: "expired", active.id: "open"}
    assert [each.upload_id for each in store.list_multiparts("videos/")] == [active.multipart_id]
    assert uploads_expire(store=store) == 0


def test_the_object_of_an_upload_that_expires_before_its_row_was_written_goes_too(store: LocalStore) -> None:
    upload = opened(store)
    (part,) = store.list_parts(upload.key, upload.multipart_id)
    store.complete_multipart(upload.key, upload.multipart_id, [part.etag])
    unknown: dict[UUID, float] = {}
    assert sources_abandon(store=store, unknown=unknown, older_than_seconds=-1) == 0  # its client may try again
    Upload.objects.update(expires_at=Now() - AGO)
    assert uploads_expire(store=store) == 1
    assert list(store.list("videos/")) == []


def test_what_could_not_be_removed_is_removed_by_a_later_pass(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(key: str, _upload_id: str) -> None:
        raise StorageUnavailable(key)

    upload = opened(store)
    Upload.objects.update(expires_at=Now() - AGO)
    with monkeypatch.context() as patch:
        patch.setattr(store, "abort_multipart", unavailable)
        uploads_expire(store=store)
    assert states() == {upload.id: "expired"}
    uploads_expire(store=store)
    assert list(store.list_multiparts("videos/")) == []
    assert Upload.objects.get().multipart_id == ""


def test_an_upload_that_cannot_be_removed_does_not_hold_up_the_others(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = opened(store), opened(store)
    Upload.objects.update(expires_at=Now() - AGO)
    abort = store.abort_multipart

    def refusing(key: str, upload_id: str) -> None:
        if key == bad.key:
            raise StorageRefused(key)
        abort(key, upload_id)

    monkeypatch.setattr(store, "abort_multipart", refusing)
    for _ in range(2):
        uploads_expire(store=store)
    assert states() == {bad.id: "expired", good.id: "expired"}
    assert [each.key for each in store.list_multiparts("videos/")] == [bad.key]


def test_a_store_that_is_gone_ends_the_pass(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(6):
        opened(store)
    Upload.objects.update(expires_at=Now() - AGO)
    tried = []

    def unavailable(key: str, _upload_id: str) -> None:
        tried.append(key)
        raise StorageUnavailable(key)

    monkeypatch.setattr(store, "abort_multipart", unavailable)
    with pytest.raises(StorageUnavailable):
        uploads_expire(store=store)
    assert len(tried) == 4


def test_the_multipart_upload_of_an_open_one_is_not_abandoned(store: LocalStore) -> None:
    upload = opened(store)
    store.create_multipart("videos/a/source", "video/mp4")
    assert multiparts_abandon(store=store, older_than_seconds=-1) == 1
    assert [each.upload_id for each in store.list_multiparts("videos/")] == [upload.multipart_id]


def test_rows_of_old_uploads_are_forgotten() -> None:
    month = Now() - timedelta(days=31)
    old = an_upload(state="ready", multipart_id="", completed_at=month)
    new = an_upload(state="ready", multipart_id="", completed_at=Now())
    still = an_upload()
    uncleared = an_upload(state="aborted", completed_at=month)
    assert uploads_forget(older_than_days=30) == 1
    assert set(states()) == {new.id, still.id, uncleared.id}
    assert old.id not in states()
