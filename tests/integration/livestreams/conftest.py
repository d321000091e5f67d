"""The secret of ingest servers, low limits, and the conformance of the events that tests leave."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.conf import settings

from tests.integration.jobs.conftest import pytest_runtest_call

SECRET = "between-us-and-them"

__all__ = ["pytest_runtest_call"]


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings.TRANSCODER.livestreams
    config = replace(before, ingest_secret=SECRET, live_max_streams=4, live_max_streams_per_owner=3)
    monkeypatch.setattr(settings, "TRANSCODER", replace(settings.TRANSCODER, livestreams=config))
