from dataclasses import replace

import pytest
from django.conf import settings
from django.core.management import call_command

from embedded.servers import SeaweedFS
from storage.errors import StorageError
from storage.wiring import store_from


def test_makes_the_bucket_and_may_run_again(s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = replace(settings.TRANSCODER.storage, s3_bucket="made-by-hand")
    monkeypatch.setattr(settings, "TRANSCODER", replace(settings.TRANSCODER, storage=fresh))
    store = store_from(fresh)
    with pytest.raises(StorageError):
        list(store.list("videos/"))
    call_command("store_prepare")
    call_command("store_prepare")
    assert list(store.list("videos/")) == []
