"""Ends of uploads, and what must not end one."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from access.services import default_owner
from api.problems import Problem
from jobs.dispatching.upload_janitor import multiparts_abandon
from storage.keys import source_key
from storage.local import LocalStore
from tests.rows import an_upload
from videos.imports import import_update, video_import
from videos.models import Upload, Video
from videos.uploads.limits import OpenLimits
from videos.uploads.services import (
    MAX_OPEN,
    UploadLabels,
    multipart_open,
    upload_complete,
    upload_create,
    upload_expire,
    upload_renew,
)

pytestmark = pytest.mark.django_db

LIMITS = OpenLimits(max_bytes=1 << 30)
FILE = bytes.fromhex("0000001c") + b"ftypisom" + bytes(1000)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path, part_bytes=5 << 20)
    store.prepare()
    return store


def test_an_upload_that_is_renewed_while_the_janitor_is_about_to_end_it_stays_open(store: LocalStore) -> None:
    upload = an_upload()
    Upload.objects.update(multipart_id=store.create_multipart(upload.key, "video/mp4"))
    found = Upload.objects.get()
    upload_renew(upload=upload, limits=LIMITS)
    upload_expire(upload=found, store=store)
    assert Upload.objects.get().state == "open"
    assert len(list(store.list_multiparts("videos/"))) == 1


def test_no_upload_is_open_for_longer_than_the_store_keeps_its_parts(store: LocalStore) -> None:
    upload = an_upload()
    Upload.objects.update(created_at=Now() - MAX_OPEN)
    upload_renew(upload=upload, limits=LIMITS)
    assert Upload.objects.filter(expires_at__lte=Now()).exists()
    Upload.objects.update(created_at=Now() - MAX_OPEN + timedelta(hours=1))
    upload_renew(upload=upload, limits=LIMITS)
    assert Upload.objects.filter(expires_at__gt=Now(), expires_at__lt=Now() + timedelta(hours=2)).exists()


def completed(upload: Upload, store: LocalStore) -> Upload:
    return upload_complete(
        owner=upload.owner,
        upload_id=upload.id,
        store=store,
        etags={},
        look=lambda _stored, _container: None,
        recorded=lambda _upload, _video: None,
    )


def arrived(store: LocalStore, *, days: int | None = None) -> Upload:
    """An upload by tus of which all has arrived."""
    upload = an_upload(protocol="tus", size_bytes=len(FILE), received_bytes=len(FILE), source_retention_days=days)
    multipart_id = store.create_multipart(upload.key, "video/mp4")
    etags = [store.put_part(upload.key, multipart_id, 1, FILE)]
    Upload.objects.filter(id=upload.id).update(multipart_id=multipart_id, part_etags=etags)
    return Upload.objects.get(id=upload.id)


def test_a_tus_upload_of_whose_parts_the_store_has_others_fails_and_says_so(store: LocalStore) -> None:
    upload = arrived(store)
    store.put_part(upload.key, upload.multipart_id, 1, bytes(len(FILE)))  # of a request that had lost the lock
    with pytest.raises(Problem) as raised:
        completed(upload, store)
    assert (raised.value.status, raised.value.code) == (422, "parts_wrong")
    assert "other bytes in part 1" in raised.value.detail
    upload.refresh_from_db()
    assert (upload.state, upload.error_code, upload.multipart_id) == ("failed", "parts_wrong", "")
    assert list(store.list_multiparts("videos/")) == []


def test_a_tus_upload_that_the_store_has_lost_says_so(store: LocalStore) -> None:
    upload = arrived(store)
    store.abort_multipart(upload.key, upload.multipart_id)
    with pytest.raises(Problem) as raised:
        completed(upload, store)
    assert (raised.value.status, raised.value.code) == (422, "upload_lost")


def test_the_source_of_an_upload_has_the_lifetime_of_its_request(store: LocalStore) -> None:
    upload = completed(arrived(store, days=3), store)
    days = timedelta(days=3)
    within = Video.objects.filter(source_expires_at__gt=Now() + days - timedelta(hours=1))
    assert within.filter(id=upload.video_id, source_expires_at__lte=Now() + days).exists()


def test_two_requests_at_once_open_no_more_uploads_than_are_allowed(store: LocalStore) -> None:
    """Both had been counted before the other one was recorded."""
    limits = OpenLimits(max_bytes=1 << 30, max_open=1)
    owner = default_owner()
    slots = [multipart_open(owner=owner, size_bytes=4, store=store, limits=limits) for _ in range(2)]
    labels = UploadLabels(filename="clip.mp4")
    upload_create(owner=owner, slot=slots[0], size_bytes=4, labels=labels, limits=limits)
    with pytest.raises(Problem) as raised:
        upload_create(owner=owner, slot=slots[1], size_bytes=4, labels=labels, limits=limits)
    assert (raised.value.status, raised.value.code) == (429, "too_many_open_uploads")
    assert Upload.objects.count() == 1


def test_what_an_import_has_fetched_is_not_abandoned(store: LocalStore) -> None:
    video = video_import(video_id=uuid4(), owner=default_owner(), url="", shown_url="", filename="clip.mp4")
    fetched = store.create_multipart(source_key(video.id), "video/mp4")
    import_update(video_id=video.id, multipart_id=fetched)
    store.create_multipart("videos/a/source", "video/mp4")
    assert multiparts_abandon(store=store, older_than_seconds=-1) == 1
    assert [each.upload_id for each in store.list_multiparts("videos/")] == [fetched]
