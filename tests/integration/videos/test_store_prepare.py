from dataclasses import replace

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

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


def test_storage_check_prints_a_sentence_for_each_finding(
    s3_server: SeaweedFS, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("store_prepare")
    call_command("storage_check")
    lines = capsys.readouterr().out.splitlines()
    assert "ok       objects are deleted" in lines
    assert not [line for line in lines if line.startswith("failed")]


def test_storage_check_fails_where_something_necessary_does(
    s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(settings.TRANSCODER.storage, s3_secret_key="wrong")
    monkeypatch.setattr(settings, "TRANSCODER", replace(settings.TRANSCODER, storage=wrong))
    with pytest.raises(CommandError, match=r"1 of these .* docs/storage.md"):
        call_command("storage_check")
    assert "TRANSCODER_S3_SECRET_KEY" in capsys.readouterr().out
