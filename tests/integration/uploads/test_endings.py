"""Ends of uploads, and what must not end one."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from access.services import default_owner
from jobs.dispatching.upload_janitor import multiparts_abandon
from storage.keys import source_key
from storage.local import LocalStore
from tests.rows import an_upload
from videos.imports import import_update, video_import
from videos.models import Upload
from videos.uploads.limits import OpenLimits
from videos.uploads.services import MAX_OPEN, upload_expire, upload_renew

pytestmark = pytest.mark.django_db

LIMITS = OpenLimits(max_bytes=1 << 30)


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


def test_what_an_import_has_fetched_is_not_abandoned(store: LocalStore) -> None:
    video = video_import(video_id=uuid4(), owner=default_owner(), url="", shown_url="", filename="clip.mp4")
    fetched = store.create_multipart(source_key(video.id), "video/mp4")
    import_update(video_id=video.id, multipart_id=fetched)
    store.create_multipart("videos/a/source", "video/mp4")
    assert multiparts_abandon(store=store, older_than_seconds=-1) == 1
    assert [each.upload_id for each in store.list_multiparts("videos/")] == [fetched]
